#include "experiments/running/run.hpp"

#include "experiments/instruments/trunk_end.hpp"
#include "experiments/running/files.hpp"
#include "experiments/running/trunk.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/series.hpp"
#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

template <class Float>
RunFacts facts_of(const RunSpec& spec, const Float& model, const SourcesByName<typename Float::Data>& sources) {
  const auto& source = sources.at(spec.data.name);
  RunFacts facts{model.layout().quantizable_size(),
                 model.layout().size(),
                 source.sha256,
                 source.epochs,
                 source.entropy_rate_nats,
                 {},
                 ""};
  for (const auto& [name, other] : sources)
    if (!other.sha256.empty()) facts.inputs[name] = other.sha256;
  if (is_series(spec.model)) facts.inputs[series_input] = facts.series_sha256 = series_sha256(spec);
  return facts;
}

/// The optional studies of a trunk that was trained to its end; their groups go into its rows.
template <template <class> class Model>
void study_end(const TrunkEnd<Model>& end, TrainedTrunk& trunk, const RunContext& context) {
  const Watch watch = [&](double flops, const std::string& activity, Work work) {
    report(context, end.run, trunk.updates, flops, activity, work);
  };
  for (const TrunkEndStudy<Model>& study : trunk_end_studies<Model>()) {
    if (!study.is_on(end.run)) continue;
    TrunkEndRows found = study.measure(end, trunk.theta, watch);
    if (!found.warning.empty()) context.progress.say(fmt::format("{}: {}", end.run.id(), found.warning));
    trunk.rows.groups.merge(found.groups);
  }
}

/// For the plans of later runs. Without it the run is whole all the same.
void keep_time(const RunSpec& spec, const RunContext& context, const RunTime& time) {
  const bool has_trained = time.training.flops > 0 || is_series(spec.model);
  if (!has_trained || !(time.measuring.flops > 0)) return;
  try {
    write_run_time(context.folder, spec, time);
  } catch (const IoError& error) {
    context.progress.say(fmt::format("{}: its time is not kept: {}", spec.id(), error.what()));
  }
}

template <template <class> class Model>
RunOutcome execute(const RunSpec& spec, const RunContext& context, const Model<float>& model,
                   const SourcesByName<typename Model<float>::Data>& sources) {
  const TrunkEnd<Model> end{spec, model, sources.at(spec.data.name), context.threads};
  model.check(end.source.evaluation);
  for (const TrunkEndStudy<Model>& study : trunk_end_studies<Model>())
    if (study.is_on(spec)) study.check(end);
  const RunFacts facts = facts_of(spec, model, sources);
  TrainedTrunk trunk = train_and_measure<Model>(spec, context, facts, model, sources);
  if (trunk.outcome.is_complete()) study_end(end, trunk, context);
  describe_run(trunk.rows, spec, facts, context, trunk.outcome);
  if (!finished_outcome(context.folder, spec)) write_run_file(finished_path(context.folder, spec), trunk.rows);
  remove_work(context.folder, spec);
  keep_time(spec, context, trunk.time);
  return trunk.outcome;
}

RunOutcome execute_transformer(const RunSpec& spec, const RunContext& context) {
  SourcesByName<TokenBatch> sources;
  sources[spec.data.name] = open_tokens(spec, spec.data, context.shelf);
  for (const DataSpec& other : spec.others) sources[other.name] = open_tokens(spec, other, context.shelf);
  const Transformer<float> model(architecture_of(spec, sources[spec.data.name].vocabulary));
  return execute<Transformer>(spec, context, model, sources);
}

RunOutcome execute_mlp(const RunSpec& spec, const RunContext& context) {
  const SourcesByName<VectorBatch> sources{{spec.data.name, open_vectors(spec, context.shelf)}};
  const Source<VectorBatch>& source = sources.begin()->second;
  const Mlp<float> model(mlp_options(spec.model, source.inputs, source.outputs, spec.data.kind == "digits"));
  return execute<Mlp>(spec, context, model, sources);
}

}  // namespace

RunOutcome execute_run(const RunSpec& run, const RunContext& context) {
  if (const auto outcome = finished_outcome(context.folder, run)) return *outcome;
  forget_failure(context.folder, run);
  try {
    return run.model.kind == "mlp" ? execute_mlp(run, context) : execute_transformer(run, context);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    // A process that finishes a run removes its work files, also under another one that executes it at the same time.
    const auto outcome = finished_outcome(context.folder, run);
    if (!outcome) throw;
    context.progress.say(fmt::format("{} was finished by another process ({})", run.id(), error.what()));
    remove_work(context.folder, run);
    return *outcome;
  }
}

}  // namespace hone::experiments
