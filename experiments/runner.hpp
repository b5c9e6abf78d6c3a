// One run from its first step to its file: train, stop at the checkpoints, measure, save so that a killed run goes on
// with the same bits, write runs/ID.h5 at the end.
#pragma once

#include <atomic>
#include <filesystem>

#include "experiments/build.hpp"
#include "experiments/progress.hpp"

namespace hone::experiments {

/// What all runs of a study share.
struct RunContext {
  std::filesystem::path folder;  ///< of the study; runs/ and work/ lie in it
  CorpusShelf& shelf;
  Progress& progress;
  const std::atomic<bool>& stop;  ///< set by Ctrl-C; the run saves itself and throws Interrupted
  int threads = 1;
  std::string command;  ///< as typed, for the manifest
};

/// Finished file and resumable file of a run.
std::filesystem::path finished_path(const std::filesystem::path& folder, const RunSpec& run);
std::filesystem::path partial_path(const std::filesystem::path& folder, const RunSpec& run);

/// True when the finished file is there and whole; `damage` says what is wrong with one that is there and is not.
bool is_finished(const std::filesystem::path& folder, const RunSpec& run, std::string& damage);

/// What a run consists of, by the cost model.
struct RunWork {
  Index parameters = 0;
  double updates = 0;  ///< of the trunk and its branches
  double moments = 0;  ///< checkpoints measured
  double training_flops = 0;
  double measuring_flops = 0;
};
RunWork work_of(const RunSpec& run);

/// Flops of the whole run by the cost model.
double run_cost(const RunSpec& run);

/// Executes the run, or the rest of it, and returns its outcome: "complete" or "diverged: …".
/// ensures  the file's content does not depend on threads, interruptions or the other runs
/// errors   Interrupted; OptionError and IoError of data and folders. A diverged run is no error: its file ends early
///          and says why in /manifest, attribute `outcome`.
std::string execute_run(const RunSpec& run, const RunContext& context);

}  // namespace hone::experiments
