#include "experiments/running/saved_run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/instruments/cost.hpp"
#include "experiments/running/files.hpp"
#include "experiments/study/series.hpp"
#include "sim/base/error.hpp"
#include "sim/record/manifest.hpp"
#include "sim/record/schema.hpp"
#include "sim/train/checkpoint.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// errors  Error when the file is damaged or was made from another text
RunSoFar read_saved_run(const fs::path& path, const RunSpec& spec, const RunFacts& facts, const TrainOptions& options,
                        Index parameters) {
  RunFile file = read_run_file(path);
  schema::expect_written_by_this_version(file);
  if (value_of(file.group(schema::manifest.group), schema::manifest.corpus_sha256) != facts.corpus_sha256)
    throw FormatError(fmt::format("{}: was trained on another text of data.{}", path.string(), spec.data.name));
  if (!facts.series_sha256.empty() &&
      file.group(schema::manifest.group).attribute(std::string("input_sha256.") + series_input) !=
          Attribute(facts.series_sha256))
    throw FormatError(
        fmt::format("{}: was measured on other checkpoints of models.{}", path.string(), spec.model.name));
  RunSoFar run;
  if (facts.series_sha256.empty())
    run.trunk = state_from_dataset<float>(file.group("state"), options, parameters);
  else
    run.trunk.optimizer.step = std::get<std::int64_t>(file.group("state").attribute("step"));
  run.checkpoints = std::get<std::int64_t>(file.group("state").attribute("checkpoints_done"));
  for (const char* name : {"state", schema::manifest.group, schema::options.group}) file.groups.erase(name);
  run.rows = std::move(file);
  return run;
}

}  // namespace

void describe_run(RunFile& file, const RunSpec& spec, const RunFacts& facts, const RunContext& context,
                  const RunOutcome& outcome) {
  constexpr const schema::Manifest& f = schema::manifest;
  Dataset options, manifest = manifest_group(this_build(), std::uint64_t(spec.seed), context.threads, facts.inputs);
  set(manifest, f.run_id, spec.id());
  set(manifest, f.study, spec.study);
  set(manifest, f.model_name, spec.model.name);
  set(manifest, f.architecture, spec.model.kind == "mlp" ? "mlp" : "transformer");
  set(manifest, f.model_params, facts.quantizable_parameters);
  set(manifest, f.total_params, facts.parameters);
  const bool is_corpus = spec.data.kind == "text" && spec.data.files.empty() && spec.data.held_out.empty();
  set(manifest, f.corpus, is_corpus ? fmt::format("{}", fmt::join(spec.data.corpora, "+")) : spec.data.name);
  set(manifest, f.corpus_sha256, facts.corpus_sha256);
  if (!is_series(spec.model)) set(manifest, f.data_epochs, facts.epochs);
  set(manifest, f.entropy_rate_nats, facts.entropy_rate_nats);
  set(manifest, f.command, context.command);
  if (!context.registration.empty()) set(manifest, f.registration_sha256, context.registration);
  set(manifest, f.outcome, outcome_text(outcome));
  for (const auto& [name, value] : recorded_options(spec)) options.set_attribute(name, value);
  file.groups[f.group] = std::move(manifest);
  file.groups[schema::options.group] = std::move(options);
  file.attributes["title"] = std::string("hone run ") + spec.id();
}

void save_run(const RunSoFar& run, const RunSpec& spec, const RunFacts& facts, const RunContext& context) {
  if (finished_outcome(context.folder, spec)) throw Error("another process was quicker");
  const std::int64_t updates = run.trunk.step();
  const SavedState now{saved_path(context.folder, spec, updates, run.checkpoints), updates, run.checkpoints};
  RunFile file = run.rows;
  describe_run(file, spec, facts, context, RunOutcome{});
  if (is_series(spec.model))  // its files are the state
    file.groups["state"].set_attribute("step", updates);
  else
    file.groups["state"] = to_dataset(run.trunk);
  file.groups["state"].set_attribute("checkpoints_done", run.checkpoints);
  write_run_file(now.path, file);
  remove_old_states(now, context.folder, spec);
}

std::optional<RunSoFar> resumed_run(const RunSpec& spec, const RunFacts& facts, const RunContext& context,
                                    const TrainOptions& options, Index parameters) {
  const std::vector<SavedState> states = saved_states(context.folder, spec);
  for (const SavedState& state : states) {
    try {
      RunSoFar run = read_saved_run(state.path, spec, facts, options, parameters);
      if (state.path != states.front().path)
        context.progress.say(fmt::format("{} goes on from {}", spec.id(), state.path.filename().string()));
      context.progress.advance(label_of(spec), work_until(spec, run.trunk.step(), run.checkpoints).flops(), "resumed",
                               Work::taken_over);
      return run;
    } catch (const Error& error) {
      context.progress.say(fmt::format("{}; {} does not go on from it", error.what(), spec.id()));
    }
  }
  if (!states.empty()) context.progress.say(fmt::format("starting {} anew", spec.id()));
  return std::nullopt;
}

}  // namespace hone::experiments
