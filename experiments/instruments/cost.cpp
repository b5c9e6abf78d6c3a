#include "experiments/instruments/cost.hpp"

#include "experiments/instruments/instruments.hpp"
#include "experiments/instruments/trunk_end.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/series.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {

double training_flops(const RunSpec& run, Index parameters) {
  const SharpnessOptions sharpness{run.train.sam_rho, run.train.gradient_penalty};
  return 6.0 * sharpness.gradients() * double(parameters) * double(tokens_per_step(run));
}

double window_flops(const RunSpec& run, Index parameters) {
  return 2.0 * double(parameters) * (run.model.kind == "mlp" ? 1 : double(run.model.context));
}

double evaluation_flops(const RunSpec& run, Index parameters) {
  return window_flops(run, parameters) * double(run.measure.evaluation_windows) *
         (run.measure.losses == "float64" ? 2 : 1);
}

double window_product_flops(const RunSpec& run, Index parameters) {
  return 6 * window_flops(run, parameters) * (run.measure.precision == "float64" ? 2 : 1);
}

double moment_products(const RunSpec& run) {
  // Beside the spectrum: the rounding errors, gradients and products of the checks, and the probes of the windows.
  return spectrum_products(run.measure) + double(run.quantize.roundings()) + 24 +
         (run.measure.windows > 0 ? window_probes : 0);
}

namespace {

template <template <class> class Model>
double instruments_flops(const RunSpec& run, Index parameters) {
  double flops = 0;
  for (const auto& instrument : all_instruments<Model>())
    if (instrument->is_on(run)) flops += instrument->flops(run, parameters);
  return flops;
}

}  // namespace

double moment_flops(const RunSpec& run, Index parameters) {
  return run.model.kind == "mlp" ? instruments_flops<Mlp>(run, parameters)
                                 : instruments_flops<Transformer>(run, parameters);
}

namespace {

template <template <class> class Model>
double studies_flops(const RunSpec& run, Index parameters) {
  double flops = 0;
  for (const auto& study : trunk_end_studies<Model>())
    if (study.is_on(run)) flops += study.flops(run, parameters);
  return flops;
}

}  // namespace

double updates_worth(const BranchSpec& branch) { return branch.dpo_beta > 0 ? 2 * (1 + 2 / 3.0) : 1; }

double trunk_end_flops(const RunSpec& run, Index parameters) {
  return run.model.kind == "mlp" ? studies_flops<Mlp>(run, parameters) : studies_flops<Transformer>(run, parameters);
}

RunWork work_until(const RunSpec& run, std::int64_t updates, std::int64_t checkpoints) {
  RunWork work;
  work.parameters = run.model.kind == "mlp"
                        ? mlp_options(run.model, run.data.inputs, run.data.outputs, true).layout().size()
                        : architecture_of(run, run.data.vocabulary).layout().size();
  const auto steps = checkpoint_steps(run);
  const double averages = (run.train.ema_decay > 0 ? 1 : 0) + (run.train.lawa_window > 0 ? 1 : 0);
  work.updates = is_series(run.model) ? 0 : double(updates), work.moments = double(checkpoints) * (1 + averages);
  for (const BranchSpec& branch : run.branches)
    for (std::int64_t at : branch.at)
      if (at <= checkpoints)
        work.updates += updates_worth(branch) * double(branch_length(run, branch, steps[size_t(at) - 1])),
            work.moments += 1;
  work.training_flops = work.updates * training_flops(run, work.parameters);
  work.measuring_flops = work.moments * moment_flops(run, work.parameters);
  return work;
}

RunWork work_of(const RunSpec& run) {
  const auto steps = checkpoint_steps(run);
  RunWork work = work_until(run, steps.back(), std::int64_t(steps.size()));
  work.measuring_flops += trunk_end_flops(run, work.parameters);
  return work;
}

double run_cost(const RunSpec& run) { return work_of(run).flops(); }

}  // namespace hone::experiments
