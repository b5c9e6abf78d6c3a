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
const std::vector<AlignedVector<float>>& Specimen<Model>::quantized() {
  if (quantized_.empty())
    for (std::int64_t bits : bench.run.quantize.bits)
      for (std::int64_t number = 0; number < bench.run.quantize.draws; ++number)
        quantized_.push_back(quantize_weights(theta.data(), bench.model.layout(), draw(bits, number)).theta);
  return quantized_;
}

template <template <class> class Model>
const std::vector<Vector<double>>& Specimen<Model>::errors() {
  if (!errors_.empty()) return errors_;
  const auto add = [&](const auto& rounded) {
    std::vector<double> error(wide.size());
    for (size_t i = 0; i < wide.size(); ++i) error[i] = double(rounded[i]) - wide[i];
    errors_.push_back(bench.restricted(error));
  };
  for (const AlignedVector<float>& rounded : quantized()) add(rounded);
  add(quantize_weights(wide.data(), bench.model.layout(), draw(bench.run.noise.residual_bits, 0)).theta);
  return errors_;
}

template <template <class> class Model>
const Curvature& Specimen<Model>::curvature() {
  if (!curvature_) curvature_ = measure_curvature(bench, wide, errors());
  return *curvature_;
}

template class Specimen<Transformer>;
template class Specimen<Mlp>;

}  // namespace hone::experiments
