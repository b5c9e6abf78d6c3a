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
  std::string group() const override { return schema::Checkpoints::group; }
  double flops(const RunSpec& run, Index parameters) const override { return evaluation_flops(run, parameters); }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const MeanEstimate loss = mean_with_error(specimen.reference);
    constexpr const schema::Checkpoints& f = schema::checkpoints;
    set_row(group, f.step, {specimen.moment.step});
    set_row(group, f.tokens, {specimen.moment.tokens});
    set_row(group, f.variant, {specimen.moment.variant});
    set_row(group, f.kind, {std::string(theory::name_of(specimen.moment.kind))});
    set_row(group, f.branched_at, {specimen.moment.branched_at});
    set_row(group, f.lr, {specimen.moment.lr});
    set_row(group, f.loss_nats, {loss.mean});
    set_row(group, f.loss_se_nats, {loss.standard_error});
    set_row(group, f.weight_norm2, {specimen.bench.restricted(specimen.wide).squaredNorm()});
    set_row(group, f.theta_sha256, {parameter_hash(specimen.theta)});
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
