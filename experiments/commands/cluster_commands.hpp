// The subcommands that bring a study to a cluster: submit and resubmit, the worker that a task runs, and the state of
// every run.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/commands/study_commands.hpp"

namespace hone::experiments {

/// Options of submit and resubmit; what is not given is taken from the last submission, then from TaskResources and
/// Packing.
struct SubmitOptions {
  std::optional<std::string> partition, time;
  std::optional<std::int64_t> cpus, grace;
  std::vector<std::string> more;    ///< further lines for #SBATCH
  std::int64_t units_per_task = 0;  ///< 0: by cost
  double task_minutes = 2;          ///< least work of a task, by cost
  std::int64_t max_array = 0;       ///< tasks in one job array; 0: as many as the cluster allows
  bool is_slurm = false;            ///< the one queue there is; submit asks for it by name
  bool is_dry = false;              ///< print the scripts and commands, change nothing
};

struct WorkOptions {
  std::filesystem::path manifest;
  std::string sha256;
  std::string task = "0";   ///< a number as the batch script gives it
  std::string index = "0";  ///< in the job array, added to the task
  std::string command_line;
};

/// Hands every run that is not finished to Slurm as one job array, or several where it is too long for one, or a job for
/// each task where the cluster takes no arrays, and a job after them that judges and lists what is missing.
/// errors  OptionError when the study was submitted before; those of the data; IoError with what sbatch said
int submit_command(CommandOptions options, const SubmitOptions& submit);

/// The same for runs that are neither finished nor in the queue, of a study that was submitted before.
int resubmit_command(CommandOptions options, const SubmitOptions& submit);

/// Executes the runs of one task that are not finished, on SLURM_CPUS_PER_TASK cores.
/// returns  0; 1 when a run failed; requeue_code when a signal (SIGUSR1, SIGTERM, SIGINT) ended it and it saved itself
int work_command(const WorkOptions& options);

/// Prints the state of every run: done, running, queued, partly done, failed, missing.
/// returns  0 when all are done, else 1
int status_command(CommandOptions options);

Action submit_options(CLI::App& command, const std::string& line);
Action resubmit_options(CLI::App& command, const std::string& line);
Action status_options(CLI::App& command, const std::string& line);
Action work_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
