#include "experiments/instruments/expert_damage.hpp"

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "experiments/study/build.hpp"
#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "sim/model/expert_load.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/weights.hpp"

namespace hone::experiments {
namespace {

/// The weights with the matrices of one expert rounded.
AlignedVector<float> with_rounded_expert(const AlignedVector<float>& theta, const ParamLayout& layout, Index layer,
                                         Index expert, const Quantizer& q) {
  AlignedVector<float> rounded = theta;
  const std::string prefix = fmt::format("layers.{}.experts.{}.", layer, expert);
  for (size_t number = 0; number < layout.blocks().size(); ++number) {
    const ParamBlock& block = layout.blocks()[number];
    if (block.is_quantizable() && block.name.starts_with(prefix))
      fake_quantize_block(rounded.data(), layout, number, q);
  }
  return rounded;
}

template <template <class> class Model>
class ExpertDamageInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Experts::group; }
  bool is_on(const RunSpec& run) const override { return run.model.experts > 0 && run.quantize.expert_bits > 0; }
  double flops(const RunSpec& run, Index parameters) const override {
    if (!is_on(run)) return 0;
    return double(1 + run.model.experts * run.model.layers) * evaluation_flops(run, parameters);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    if constexpr (std::is_same_v<Model<float>, Transformer<float>>)
      add_expert_rows(specimen, group);
    else
      EXPECTS(false, "experts: a perceptron has none");
  }

 private:
  static void add_expert_rows(Specimen<Model>& specimen, Dataset& group) {
    Bench<Model>& bench = specimen.bench;
    const TransformerOptions& options = bench.model.options();
    const std::int64_t bits = bench.run.quantize.expert_bits;
    const Quantizer q =
        weight_draw(bench.run.quantize, int(bits), {std::uint64_t(bench.run.seed), specimen.moment.step, 0});
    const Matrix<Index> loads = expert_loads(bench.model, specimen.theta.data(), bench.source.evaluation, Precision{},
                                             bench.curvature_options(0).chunks);
    bench.watch(bench.evaluation_flops(bench.source.evaluation), "experts", Work::done);
    std::vector<std::int64_t> layers, numbers;
    std::vector<double> load, delta, delta_se;
    for (Index l = 0; l < options.layers; ++l)
      for (Index e = 0; e < options.experts; ++e) {
        const auto rounded = with_rounded_expert(specimen.theta, bench.model.layout(), l, e, q);
        const MeanEstimate d = paired_difference(bench.losses(rounded.data(), Precision{}), specimen.reference);
        layers.push_back(l), numbers.push_back(e);
        load.push_back(double(loads(l, e)) * double(options.experts) / double(loads.row(l).sum()));
        delta.push_back(d.mean), delta_se.push_back(d.standard_error);
      }
    constexpr const schema::Experts& f = schema::experts;
    set(group, f.bits, std::vector<std::int64_t>(layers.size(), bits));
    set(group, f.layer, layers), set(group, f.expert, numbers);
    set_row(group, f.load, load), set_row(group, f.delta_nats, delta), set_row(group, f.delta_se_nats, delta_se);
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> expert_damage_instrument() {
  return std::make_unique<ExpertDamageInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> expert_damage_instrument();
template std::unique_ptr<Instrument<Mlp>> expert_damage_instrument();

}  // namespace hone::experiments
