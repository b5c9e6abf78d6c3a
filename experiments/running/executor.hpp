// The local executor: the runs of a study on the cores of this machine, longest first, each a unit of its own.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/study/study.hpp"

namespace hone::experiments {

struct ExecuteOptions {
  std::filesystem::path folder;  ///< outputs/STUDY
  int jobs = 0;                  ///< runs at a time; 0 = one per core
  int threads = 0;               ///< per run; 0 = cores / jobs
  std::string command;           ///< as typed, for the manifests
  int cores = 0;                 ///< to share among the jobs; 0 = all of this machine
};

/// How a call of execute_study ended.
struct ExecuteSummary {
  int finished = 0;  ///< runs executed now
  int skipped = 0;   ///< runs that were finished before
  int failed = 0;    ///< runs that threw; the others went on
  bool interrupted = false;
  double wall_seconds = 0;
};

/// Executes those of the runs that are not finished. Ctrl-C (SIGINT, SIGTERM, and SIGUSR1 from a queue before its time
/// limit) ends it cleanly: every run under way saves itself. One failing run does not stop the others.
ExecuteSummary execute_runs(const std::string& title, const std::vector<RunSpec>& runs, const ExecuteOptions& options);

/// Claims the folder and executes the runs of the study.
ExecuteSummary execute_study(const Study& study, const ExecuteOptions& options);

}  // namespace hone::experiments
