#include "experiments/instruments/shift.hpp"

#include "experiments/instruments/cost.hpp"
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
  std::string group() const override { return "shift"; }
  bool is_on(const RunSpec& run) const override { return !run.model.shifted_data.empty(); }
  double flops(const RunSpec& run, Index parameters) const override {
    return double(1 + run.quantize.bits.size()) * evaluation_flops(run, parameters);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const auto losses_at = [&](const AlignedVector<float>& weights) {
      specimen.bench.watch(specimen.bench.evaluation_flops(*specimen.bench.shifted), "other data", Work::done);
      return specimen.bench.objective.example_losses(weights.data(), *specimen.bench.shifted);
    };
    const std::vector<double> reference = losses_at(specimen.theta);
    std::vector<double> delta, delta_se;
    for (const AlignedVector<float>& weights : specimen.quantized()) {
      const MeanEstimate d = paired_difference(losses_at(weights), reference);
      delta.push_back(d.mean), delta_se.push_back(d.standard_error);
    }
    const MeanEstimate loss = mean_with_error(reference);
    group.set_attribute("data", specimen.bench.run.model.shifted_data);
    group.set("bits", vector_variable("bits", specimen.bench.run.quantize.bits, "bits",
                                      "nominal bits of a weight, as in /ptq"));
    group.set("loss_nats", row(std::vector{loss.mean}, "nats", "mean loss on held-out windows of the other data"));
    group.set("loss_se_nats", row(std::vector{loss.standard_error}, "nats", "its standard error over windows"));
    group.set("delta_nats", row("bits", delta, "nats", "loss at rounded weights minus loss, same windows"));
    group.set("delta_se_nats", row("bits", delta_se, "nats", "its standard error over windows"));
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
