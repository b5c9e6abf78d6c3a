#include "experiments/instruments/preconditioned.hpp"

#include <cmath>
#include <limits>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "experiments/study/build.hpp"
#include "sim/curvature/extremes.hpp"
#include "sim/curvature/preconditioner.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {
namespace {

template <template <class> class Model>
class PreconditionedInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Preconditioned::group; }
  bool is_on(const RunSpec& run) const override {
    return run.train.optimizer == "adamw" && run.measure.preconditioned_steps > 0;
  }
  double flops(const RunSpec& run, Index parameters) const override {
    return double(run.measure.preconditioned_steps + 1) * window_product_flops(run, parameters) *
           double(run.measure.curvature_windows);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    Found found;
    if (specimen.moment.optimizer && specimen.moment.optimizer->step > 0)
      found = specimen.bench.run.measure.precision == "float64" ? find<double>(specimen) : find<float>(specimen);
    constexpr const schema::Preconditioned& f = schema::preconditioned;
    set_row(group, f.lambda_max, {found.value});
    set_row(group, f.lambda_max_bound, {found.bound});
    set_row(group, f.stability_threshold, {found.threshold});
  }

 private:
  struct Found {
    double value = std::nan(""), bound = std::nan(""), threshold = std::nan("");
  };

  template <class S>
  static Found find(Specimen<Model>& specimen) {
    const Bench<Model>& bench = specimen.bench;
    const OptimizerOptions optimizer = train_options(bench.run, bench.threads).optimizer;
    const Vector<double> all = adam_preconditioner(optimizer, *specimen.moment.optimizer);
    Vector<double> d(Index(bench.positions.size()));
    for (Index i = 0; i < d.size(); ++i) d[i] = all[bench.positions[size_t(i)]];
    const Model<S> model(bench.model.options());
    Linearization<Model<S>> linear(model, specimen.wide.data(), bench.source.curvature, bench.curvature_options(1));
    LinearOperator op = scaled(restrict_to(linear.quantizable_hessian(), bench.positions), d);
    op.apply = [&bench, inner = std::move(op.apply)](const Vector<double>& v, Vector<double>& result) {
      inner(v, result);
      bench.watch(bench.product_flops(), "Adam's sharpness", Work::done);
    };
    op.apply_many = {};
    ExtremesOptions options;
    options.count_largest = 1;
    options.steps_max = int(std::min<std::int64_t>(bench.run.measure.preconditioned_steps, op.size));
    options.products_max = options.steps_max + 1;
    options.probe_steps = 0;
    options.tolerance = 1e-6;
    options.noise_floor = std::is_same_v<S, double> ? 0 : 1e-6;
    options.seed = std::uint64_t(bench.run.seed);
    const Eigenpairs pairs = extreme_eigenpairs(op, options);
    if (pairs.values.size() == 0) return {};
    const double lr = specimen.moment.lr;  // 0 at the end of a cooldown, where no sharpness is unstable
    return {pairs.values[0], pairs.error_bounds[0],
            lr > 0 ? stability_threshold(optimizer, lr) : std::numeric_limits<double>::infinity()};
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> preconditioned_instrument() {
  return std::make_unique<PreconditionedInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> preconditioned_instrument();
template std::unique_ptr<Instrument<Mlp>> preconditioned_instrument();

}  // namespace hone::experiments
