#include "experiments/instruments/damage.hpp"

#include <cmath>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/draws.hpp"
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
std::vector<double> first_order(const Specimen<Model>& specimen) {
  const Bench<Model>& bench = specimen.bench;
  const Model<double> wide(bench.model.options());
  Vector<double> gradient;
  gradient_function(wide, bench.source.evaluation, bench.curvature_options(0).chunks)(
      ConstVecView<double>(specimen.wide.data(), Index(specimen.wide.size())), gradient);
  bench.watch(3 * bench.evaluation_flops(bench.source.evaluation), "gradient", Work::done);
  const Vector<double> part = bench.restricted(std::vector<double>(gradient.data(), gradient.data() + gradient.size()));
  std::vector<double> products;
  for (std::int64_t i = 0; i < bench.run.quantize.roundings(); ++i) products.push_back(part.dot(specimen.error(i)));
  return products;
}

/// The first-order term of each rounding error on each evaluation window.
template <template <class> class Model>
std::vector<std::vector<double>> window_slopes(const Specimen<Model>& specimen) {
  const Bench<Model>& bench = specimen.bench;
  const std::int64_t rounded = bench.run.quantize.roundings();
  std::vector<AlignedVector<float>> errors;
  for (std::int64_t number = 0; number < rounded; ++number) {
    errors.push_back(specimen.quantized(number));
    AlignedVector<float>& e = errors.back();
    for (size_t i = 0; i < e.size(); ++i) e[i] -= specimen.theta[i];
  }
  auto slopes = example_slopes(bench.model, specimen.theta.data(), errors, bench.source.evaluation,
                               bench.curvature_options(0).chunks);
  bench.watch(double(1 + 2 * rounded) * bench.evaluation_flops(bench.source.evaluation), "gradient", Work::done);
  return slopes;
}

/// What is recorded at one width, in means over its draws.
struct Damage {
  MeanEstimate delta, predicted;
  double remainder_se = 0, gradient = 0, quadratic = 0, mean_step2 = 0, mse = 0, bits_per_weight = 0;
};

double mean_of(const std::vector<double>& values, size_t first, size_t count) {
  return mean_with_error({values.begin() + std::ptrdiff_t(first), values.begin() + std::ptrdiff_t(first + count)}).mean;
}

template <template <class> class Model>
class DamageInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Ptq::group; }
  double flops(const RunSpec& run, Index parameters) const override {
    return double(4 + 3 * run.quantize.roundings()) * evaluation_flops(run, parameters);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const std::vector<std::int64_t>& bits = specimen.bench.run.quantize.bits;
    const std::vector<double> linear = first_order(specimen);
    const auto slopes = window_slopes(specimen);
    std::vector<Damage> all;
    for (size_t width = 0; width < bits.size(); ++width) all.push_back(at_width(specimen, width, linear, slopes));
    constexpr const schema::Ptq& f = schema::ptq;
    const auto put = [&](const Field<double>& field, auto&& read) {
      std::vector<double> values;
      values.reserve(all.size());
      for (const Damage& d : all) values.push_back(read(d));
      set_row(group, field, values);
    };
    using D = const Damage&;
    set(group, f.bits, bits);
    put(f.delta_nats, [](D d) { return d.delta.mean; });
    put(f.delta_se_nats, [](D d) { return d.delta.standard_error; });
    put(f.predicted_nats, [](D d) { return d.predicted.mean; });
    put(f.predicted_se_nats, [](D d) { return d.predicted.standard_error; });
    put(f.gradient_nats, [](D d) { return d.gradient; });
    put(f.remainder_se_nats, [](D d) { return d.remainder_se; });
    put(f.quadratic_nats, [](D d) { return d.quadratic; });
    put(f.mean_step2, [](D d) { return d.mean_step2; });
    put(f.mse, [](D d) { return d.mse; });
    put(f.bits_per_weight, [](D d) { return d.bits_per_weight; });
  }

 private:
  Damage at_width(Specimen<Model>& specimen, size_t width, const std::vector<double>& linear,
                  const std::vector<std::vector<double>>& slopes) {
    Bench<Model>& bench = specimen.bench;
    const Curvature& found = specimen.curvature();
    const auto draws = size_t(bench.run.quantize.draws);
    const size_t first = width * draws;
    const double count = double(bench.positions.size());
    std::vector<std::vector<double>> losses, remainders;
    std::vector<double> squares;
    for (size_t i = first; i < first + draws; ++i) {
      const AlignedVector<float> rounded = specimen.quantized(std::int64_t(i));
      losses.push_back(bench.losses(rounded.data(), Precision{}));
      remainders.push_back(losses.back());
      for (size_t w = 0; w < slopes[i].size(); ++w) remainders.back()[w] -= slopes[i][w];
      squares.push_back(0);
      for (Index p : bench.positions)
        squares.back() += std::pow(double(rounded[size_t(p)]) - specimen.wide[size_t(p)], 2);
    }
    const Quantizer q = weight_quantizer(bench.run.quantize, int(bench.run.quantize.bits[width]));
    Damage d;
    d.delta = change_over_draws(losses, specimen.reference);
    d.remainder_se = change_over_draws(remainders, specimen.reference).standard_error;
    d.predicted = found.predicted[width];
    d.gradient = mean_of(linear, first, draws);
    d.quadratic = mean_of(found.quadratic, first, draws);
    d.mean_step2 = bench.restricted(step2_per_parameter(specimen.wide.data(), bench.model.layout(), q)).sum() / count;
    d.mse = mean_with_error(squares).mean / count;
    d.bits_per_weight = quantize_weights(specimen.wide.data(), bench.model.layout(), q).bits_per_weight;
    return d;
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
