#include "experiments/instruments/damage.hpp"

#include <cmath>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "experiments/study/build.hpp"
#include "sim/base/mean.hpp"
#include "sim/curvature/directional.hpp"
#include "sim/curvature/finite_difference.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/weights.hpp"

namespace hone::experiments {
namespace {

/// g·e with the gradient on the evaluation windows, those of the damage: the first order is noise of the windows, which
/// other windows do not predict.
template <template <class> class Model>
std::vector<double> first_order(const Bench<Model>& bench, const std::vector<double>& theta,
                                const std::vector<Vector<double>>& errors) {
  const Model<double> wide(bench.model.options());
  Vector<double> gradient;
  gradient_function(wide, bench.source.evaluation, bench.curvature_options(0).chunks)(
      ConstVecView<double>(theta.data(), Index(theta.size())), gradient);
  bench.watch(3 * bench.evaluation_flops(bench.source.evaluation), "gradient", Work::done);
  const Vector<double> part = bench.restricted(std::vector<double>(gradient.data(), gradient.data() + gradient.size()));
  std::vector<double> products;
  for (const Vector<double>& e : errors) products.push_back(part.dot(e));
  return products;
}

/// The first-order term of each rounding error on each evaluation window.
template <template <class> class Model>
std::vector<std::vector<double>> window_slopes(const Bench<Model>& bench, const AlignedVector<float>& theta,
                                               const std::vector<AlignedVector<float>>& rounded) {
  std::vector<AlignedVector<float>> errors = rounded;
  for (AlignedVector<float>& e : errors)
    for (size_t i = 0; i < e.size(); ++i) e[i] -= theta[i];
  auto slopes =
      example_slopes(bench.model, theta.data(), errors, bench.source.evaluation, bench.curvature_options(0).chunks);
  bench.watch(double(1 + 2 * rounded.size()) * bench.evaluation_flops(bench.source.evaluation), "gradient", Work::done);
  return slopes;
}

/// Standard error of the mean of losses - reference - slopes.
double remainder_error(std::vector<double> losses, const std::vector<double>& reference,
                       const std::vector<double>& slopes) {
  for (size_t w = 0; w < losses.size(); ++w) losses[w] -= slopes[w];
  return paired_difference(losses, reference).standard_error;
}

template <template <class> class Model>
class DamageInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Ptq::group; }
  double flops(const RunSpec& run, Index parameters) const override {
    return double(4 + 3 * run.quantize.bits.size()) * evaluation_flops(run, parameters);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const std::vector<AlignedVector<float>>& rounded = specimen.quantized();
    const Curvature& found = specimen.curvature();
    const std::vector<double> linear = first_order(specimen.bench, specimen.wide, specimen.errors());
    const auto slopes = window_slopes(specimen.bench, specimen.theta, rounded);
    std::vector<double> remainder_se, delta, delta_se, predicted, predicted_se, step2, mse, stored;
    const double count = double(specimen.bench.positions.size());
    for (size_t i = 0; i < rounded.size(); ++i) {
      const Quantizer q = weight_quantizer(specimen.bench.run.quantize, int(specimen.bench.run.quantize.bits[i]));
      const std::vector<double> losses = specimen.bench.losses(rounded[i].data(), Precision{});
      const MeanEstimate d = paired_difference(losses, specimen.reference);
      remainder_se.push_back(remainder_error(losses, specimen.reference, slopes[i]));
      delta.push_back(d.mean), delta_se.push_back(d.standard_error);
      predicted.push_back(found.predicted[i].mean), predicted_se.push_back(found.predicted[i].standard_error);
      step2.push_back(
          specimen.bench.restricted(step2_per_parameter(specimen.wide.data(), specimen.bench.model.layout(), q)).sum() /
          count);
      double squares = 0;
      for (Index p : specimen.bench.positions)
        squares += std::pow(double(rounded[i][size_t(p)]) - specimen.wide[size_t(p)], 2);
      mse.push_back(squares / count);
      stored.push_back(quantize_weights(specimen.wide.data(), specimen.bench.model.layout(), q).bits_per_weight);
    }
    constexpr const schema::Ptq& f = schema::ptq;
    set(group, f.bits, specimen.bench.run.quantize.bits);
    set_row(group, f.delta_nats, delta);
    set_row(group, f.delta_se_nats, delta_se);
    set_row(group, f.predicted_nats, predicted);
    set_row(group, f.predicted_se_nats, predicted_se);
    const auto per_width = [&](const std::vector<double>& all) {
      return std::vector<double>(all.begin(), all.begin() + std::ptrdiff_t(rounded.size()));
    };
    set_row(group, f.gradient_nats, per_width(linear));
    set_row(group, f.remainder_se_nats, remainder_se);
    set_row(group, f.quadratic_nats, per_width(found.quadratic));
    set_row(group, f.mean_step2, step2);
    set_row(group, f.mse, mse);
    set_row(group, f.bits_per_weight, stored);
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> damage_instrument() {
  return std::make_unique<DamageInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> damage_instrument();
template std::unique_ptr<Instrument<Mlp>> damage_instrument();

}  // namespace hone::experiments
