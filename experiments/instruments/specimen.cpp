#include "experiments/instruments/specimen.hpp"

#include <cmath>

#include "experiments/study/build.hpp"
#include "sim/base/mean.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/weights.hpp"

namespace hone::experiments {

template <template <class> class Model>
Specimen<Model>::Specimen(Bench<Model>& shared, const AlignedVector<float>& parameters, const Moment& at)
    : bench(shared),
      theta(parameters),
      moment(at),
      wide(parameters.begin(), parameters.end()),
      reference(shared.losses(parameters.data(), Precision{})) {}

template <template <class> class Model>
bool Specimen<Model>::is_finite() const {
  return std::isfinite(mean_with_error(reference).mean) && bench.restricted(wide).allFinite();
}

template <template <class> class Model>
Quantizer Specimen<Model>::draw(std::int64_t bits, std::int64_t number) const {
  return weight_draw(bench.run.quantize, int(bits), {std::uint64_t(bench.run.seed), moment.step, number});
}

template <template <class> class Model>
AlignedVector<float> Specimen<Model>::quantized(std::int64_t number) const {
  const std::int64_t draws = bench.run.quantize.draws, bits = bench.run.quantize.bits[size_t(number / draws)];
  return quantize_weights(theta.data(), bench.model.layout(), draw(bits, number % draws)).theta;
}

template <template <class> class Model>
template <class S>
Vector<double> Specimen<Model>::error_of(const AlignedVector<S>& rounded) const {
  Vector<double> error(Index(bench.positions.size()));
  for (size_t i = 0; i < bench.positions.size(); ++i) {
    const auto p = size_t(bench.positions[i]);
    error[Index(i)] = double(rounded[p]) - wide[p];
  }
  return error;
}

template <template <class> class Model>
Vector<double> Specimen<Model>::error(std::int64_t number) const {
  return error_of(quantized(number));
}

template <template <class> class Model>
Vector<double> Specimen<Model>::residual_error() const {
  return error_of(quantize_weights(wide.data(), bench.model.layout(), draw(bench.run.noise.residual_bits, 0)).theta);
}

template <template <class> class Model>
const Curvature& Specimen<Model>::curvature() {
  const std::int64_t rounded = bench.run.quantize.roundings();
  const auto at = [&](std::int64_t i) { return i < rounded ? error(i) : residual_error(); };
  if (!curvature_) curvature_ = measure_curvature(bench, wide, {rounded + 1, at});
  return *curvature_;
}

template class Specimen<Transformer>;
template class Specimen<Mlp>;

}  // namespace hone::experiments
