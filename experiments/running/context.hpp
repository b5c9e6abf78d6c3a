// What all runs of a study share, and the progress of one run among them.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

#include "experiments/running/progress.hpp"
#include "experiments/study/sources.hpp"
#include "experiments/study/study.hpp"
#include "sim/base/error.hpp"

namespace hone::experiments {

struct RunContext {
  std::filesystem::path folder;  ///< of the study; runs/ and work/ lie in it
  CorpusShelf& shelf;
  Progress& progress;
  const std::atomic<bool>& stop;  ///< set by Ctrl-C; the run saves itself and throws Interrupted
  int threads = 1;
  std::string command;       ///< as typed, for the manifest
  std::string registration;  ///< SHA-256 of the study's registration; empty: none
};

/// The run in lines of progress, "small-lr0.001 s1".
std::string label_of(const RunSpec& run);

/// What a run throws when the user asked to stop and it has saved itself.
Interrupted interrupted();

/// Reports work of a run after so many updates of its trunk, as "ACTIVITY at 1.2 M".
/// errors  Interrupted, when the user asked to stop
void report(const RunContext& context, const RunSpec& run, std::int64_t updates, double flops,
            const std::string& activity, Work work = Work::done);

}  // namespace hone::experiments
