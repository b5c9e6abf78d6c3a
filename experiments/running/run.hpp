// One run from its first step to its file: train, stop at the checkpoints, measure, save, write the finished file at the
// end. A run that was killed continues from its last saved state with the same bits.
#pragma once

#include <atomic>
#include <filesystem>

#include "experiments/running/files.hpp"
#include "experiments/running/progress.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/sources.hpp"

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

/// The run in lines of progress, "small-lr0.001 s1".
std::string label_of(const RunSpec& run);

/// Executes the run, or the rest of it, and returns its outcome: "complete" or "diverged: …".
/// ensures  the file's content does not depend on threads, interruptions or the other runs; a whole file that is there,
///          or that another process puts there meanwhile, is kept and its outcome returned
/// errors   Interrupted; OptionError and IoError of data and folders. A diverged run is no error: its file ends early
///          and says why in /manifest, attribute `outcome`.
std::string execute_run(const RunSpec& run, const RunContext& context);

}  // namespace hone::experiments
