// Controlled noise: perturbations of one energy in chosen subspaces, and the loss rise they cause beside what
// second order predicts.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/base/mean.hpp"
#include "sim/curvature/extremes.hpp"
#include "sim/model/objective.hpp"

namespace hone {

/// Where the noise lives; n dimensions in all, k of them spanned by the top eigenvectors.
enum class Subspace {
  top,         ///< span of the top-k eigenvectors
  random,      ///< one random k-dimensional subspace
  complement,  ///< orthogonal complement of the top-k space
  isotropic,   ///< all n dimensions
};
inline constexpr Subspace all_subspaces[] = {Subspace::top, Subspace::random, Subspace::complement,
                                             Subspace::isotropic};

std::string_view name_of(Subspace subspace);

/// A direction of norm 1, uniform on the sphere of the subspace.
/// shapes  top (n,k) orthonormal
/// cost    4·n·k flops; random: 2·n·k² more
Vector<double> unit_noise(Subspace subspace, const Basis& top, const Stream& stream);

/// The expected ½ε'Hε of noise of this energy ‖ε‖²: ½·energy·tr(P H)/dim.
/// math    top: Σλ/k   random, isotropic: tr/n   complement: (tr - Σλ)/(n-k)
double predicted_rise(Subspace subspace, double energy, const Vector<double>& top_values, double trace, Index size);

/// ‖U'e‖/‖e‖, the share of e's length in the span of U; for a random direction √(k/n) in the root mean square.
double residual_share(const Basis& top, const Vector<double>& e);

struct NoiseOptions {
  int draws = 4;  ///< antithetic pairs per subspace and energy
  std::uint64_t seed = 1;
};

/// Loss rise of one (subspace, energy): mean over draws of ½(L(θ+ε)+L(θ-ε)) - L(θ), odd orders cancelled.
/// The standard error joins the spread over draws and over windows.
struct NoiseRise {
  double delta_nats = 0;
  double standard_error_nats = 0;
};

/// Loss rise at `theta` (P) of steps (positions) on the given positions only.
/// cost  2·steps evaluations
template <class Model>
NoiseRise antithetic_rise(Objective<Model>& objective, const typename Model::Data& data, const double* theta,
                          const std::vector<Index>& positions, const std::vector<double>& reference_losses,
                          const std::vector<Vector<double>>& steps) {
  using S = typename Model::Scalar;
  const Index size = objective.model().layout().size();
  const double count = 2 * double(steps.size());
  AlignedVector<S> moved(theta, theta + size);
  std::vector<double> per_draw, per_window(reference_losses.size(), 0.0);
  for (const Vector<double>& step : steps) {
    double rise = 0;
    for (double sign : {1.0, -1.0}) {
      for (size_t i = 0; i < positions.size(); ++i)
        moved[size_t(positions[i])] = S(theta[positions[i]] + sign * step[Index(i)]);
      const std::vector<double> losses = objective.example_losses(moved.data(), data);
      for (size_t w = 0; w < losses.size(); ++w) {
        const double d = losses[w] - reference_losses[w];
        per_window[w] += d / count;
        rise += d / (2 * double(losses.size()));
      }
    }
    per_draw.push_back(rise);
  }
  const MeanEstimate draws = mean_with_error(per_draw), windows = mean_with_error(per_window);
  return {draws.mean, std::hypot(draws.standard_error, windows.standard_error)};
}

/// The rise of noise of one energy in one subspace.
/// cost  2·draws evaluations
template <class Model>
NoiseRise measure_noise(Objective<Model>& objective, const typename Model::Data& data, const double* theta,
                        const std::vector<Index>& positions, const std::vector<double>& reference_losses,
                        Subspace subspace, const Basis& top, double energy, const NoiseOptions& options) {
  std::vector<Vector<double>> steps;
  for (int draw = 0; draw < options.draws; ++draw) {
    const Stream stream{options.seed, Domain::noise, static_cast<std::uint32_t>(int(subspace) * 1000 + draw)};
    steps.push_back(std::sqrt(energy) * unit_noise(subspace, top, stream));
  }
  return antithetic_rise(objective, data, theta, positions, reference_losses, steps);
}

}  // namespace hone
