#include "experiments/instruments/loss.hpp"

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "sim/base/mean.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/train/checkpoint.hpp"

namespace hone::experiments {
namespace {

template <template <class> class Model>
class LossInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return "checkpoints"; }
  double flops(const RunSpec& run, Index parameters) const override { return evaluation_flops(run, parameters); }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const MeanEstimate loss = mean_with_error(specimen.reference);
    using Ints = std::vector<std::int64_t>;
    using Doubles = std::vector<double>;
    using Strings = std::vector<std::string>;
    group.set("step", row(Ints{specimen.moment.step}, "updates", "updates done, cooldown included"));
    group.set("tokens", row(Ints{specimen.moment.tokens}, "tokens", "training tokens seen (examples for an mlp)"));
    group.set("variant", row(Strings{specimen.moment.variant}, "1", "trunk, ema, lawa, or the name of a branch"));
    group.set("kind", row(Strings{std::string(theory::name_of(specimen.moment.kind))}, "1",
                          "trunk, average, cooldown, tuned or lowered"));
    group.set("branched_at", row(Ints{specimen.moment.branched_at}, "tokens", "of the trunk where a branch left it"));
    group.set("lr", row(Doubles{specimen.moment.lr}, "1", "learning rate of the last update"));
    group.set("loss_nats", row(Doubles{loss.mean}, "nats", "mean held-out loss at full precision"));
    group.set("loss_se_nats", row(Doubles{loss.standard_error}, "nats", "its standard error over windows"));
    group.set("weight_norm2", row(Doubles{specimen.bench.restricted(specimen.wide).squaredNorm()}, "1",
                                  "sum of squared quantizable weights"));
    group.set("theta_sha256", row(Strings{parameter_hash(specimen.theta)}, "1", "hash of the parameters"));
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> loss_instrument() {
  return std::make_unique<LossInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> loss_instrument();
template std::unique_ptr<Instrument<Mlp>> loss_instrument();

}  // namespace hone::experiments
