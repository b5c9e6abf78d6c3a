#include "sim/perturb/injection.hpp"

#include <cmath>

namespace hone {

std::vector<InjectionSpace> injection_spaces(const Eigenpairs& pairs) {
  const Index largest = pairs.largest, half = (largest + 1) / 2;
  const Basis upper = pairs.vectors.leftCols(largest);
  Index negative = 0;  // the pairs at the lower end come last, the least of them at the very end
  for (Index i = pairs.values.size() - 1; i >= largest; --i)
    if (pairs.values[i] + pairs.error_bounds[i] < 0) ++negative;
  return {{"top", Subspace::top, upper.leftCols(half)},
          {"next", Subspace::top, upper.rightCols(largest - half)},
          {"random", Subspace::random, upper.leftCols(half)},
          {"complement", Subspace::complement, upper},
          {"negative", Subspace::top, pairs.vectors.rightCols(negative)}};
}

Vector<double> InjectedDirection::step(double rise) const {
  EXPECTS(curvature != 0 && rise > 0, "injected direction: curvature {}, rise {}", curvature, rise);
  return std::sqrt(2 * rise / std::abs(curvature)) * direction;
}

std::vector<InjectedDirection> injected_directions(const InjectionSpace& space, const LinearOperator& hessian,
                                                   const NoiseOptions& options) {
  std::vector<InjectedDirection> directions;
  if (space.basis.cols() == 0) return directions;
  for (int draw = 0; draw < options.draws; ++draw) {
    // Streams of their own: /noise uses the substreams below 4000.
    const Stream stream{options.seed, Domain::noise, static_cast<std::uint32_t>(10000 + draw)};
    InjectedDirection d{unit_noise(space.how, space.basis, stream), 0};
    Vector<double> product;
    hessian.apply(d.direction, product);
    d.curvature = d.direction.dot(product);
    directions.push_back(std::move(d));
  }
  return directions;
}

}  // namespace hone
