// A run so far as a file: what it is (/manifest, /options), the rows measured so far, and the state of the trunk (/state),
// from which a later process goes on with the same bits. A finished run's file is the same without /state.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "experiments/running/context.hpp"
#include "experiments/running/outcome.hpp"
#include "sim/record/run_file.hpp"
#include "sim/train/trainer.hpp"

namespace hone::experiments {

/// What is known of a run only once data and model are there.
struct RunFacts {
  Index quantizable_parameters = 0, parameters = 0;
  std::string corpus_sha256;                  ///< of the trunk's data
  std::int64_t epochs = 0;                    ///< of the last training batch
  double entropy_rate_nats = 0;               ///< NaN where it is not known
  std::map<std::string, std::string> inputs;  ///< sha256 of each data source by its name
  std::string series_sha256;                  ///< of the checkpoints of a series, which are in `inputs` too
};

/// The name of a series among the inputs.
inline constexpr const char* series_input = "model.checkpoints";

/// Writes title, /manifest and /options into the file.
void describe_run(RunFile& file, const RunSpec& spec, const RunFacts& facts, const RunContext& context,
                  const RunOutcome& outcome);

/// Where a run stands.
struct RunSoFar {
  TrainState<float> trunk;
  std::int64_t checkpoints = 0;  ///< measured
  RunFile rows;                  ///< without /manifest, /options and /state
};

/// Writes a run under way as a saved state; all but the two furthest states of the run are removed.
/// errors  Error when another process has finished the run; IoError
void save_run(const RunSoFar& run, const RunSpec& spec, const RunFacts& facts, const RunContext& context);

/// Where the run stands by its furthest saved state that is whole and was trained on the same text; nothing without one.
/// Says which states it passes over, and why.
/// shapes  parameters: of the trunk's state, learned steps included
std::optional<RunSoFar> resumed_run(const RunSpec& spec, const RunFacts& facts, const RunContext& context,
                                    const TrainOptions& options, Index parameters);

}  // namespace hone::experiments
