#include "experiments/instruments/shift.hpp"

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/draws.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "sim/base/mean.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {
namespace {

template <template <class> class Model>
class ShiftInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Shift::group; }
  bool is_on(const RunSpec& run) const override { return !run.model.shifted_data.empty(); }
  double flops(const RunSpec& run, Index parameters) const override {
    return double(1 + run.quantize.roundings()) * evaluation_flops(run, parameters);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const auto losses_at = [&](const AlignedVector<float>& weights) {
      specimen.bench.watch(specimen.bench.evaluation_flops(*specimen.bench.shifted), "other data", Work::done);
      return specimen.bench.losses_on(*specimen.bench.shifted, weights.data());
    };
    const std::vector<double> reference = losses_at(specimen.theta);
    std::vector<double> delta, delta_se;
    const std::int64_t draws = specimen.bench.run.quantize.draws, rounded = specimen.bench.run.quantize.roundings();
    for (std::int64_t first = 0; first < rounded; first += draws) {
      std::vector<std::vector<double>> losses;
      for (std::int64_t i = first; i < first + draws; ++i) losses.push_back(losses_at(specimen.quantized(i)));
      const MeanEstimate d = change_over_draws(losses, reference);
      delta.push_back(d.mean), delta_se.push_back(d.standard_error);
    }
    const MeanEstimate loss = mean_with_error(reference);
    set(group, schema::shift.data, specimen.bench.run.model.shifted_data);
    set(group, schema::shift.bits, specimen.bench.run.quantize.bits);
    set_row(group, schema::shift.loss_nats, {loss.mean});
    set_row(group, schema::shift.loss_se_nats, {loss.standard_error});
    set_row(group, schema::shift.delta_nats, delta);
    set_row(group, schema::shift.delta_se_nats, delta_se);
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> shift_instrument() {
  return std::make_unique<ShiftInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> shift_instrument();
template std::unique_ptr<Instrument<Mlp>> shift_instrument();

}  // namespace hone::experiments
