// What hone says to Slurm and hears from it: batch scripts, sbatch, squeue, scontrol. Slurm delivers a task at least
// once, and twice at the same time when a node or the controller comes back from the dead; the runs bear that, and the
// queue's own records are used for messages only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/submission.hpp"

namespace hone::experiments {

/// Exit code of a task that saved itself and wants to go on; Slurm's RequeueExit must name it.
inline constexpr int requeue_code = 99;

/// What of the cluster's configuration matters here.
struct SlurmConfiguration {
  std::int64_t max_array_size = 1001;  ///< one above the largest index; Slurm's own default
  bool requeues = true;                ///< requeue_code is in RequeueExit
};

/// As scontrol says it; nothing where there is no Slurm.
std::optional<SlurmConfiguration> slurm_configuration();

/// The script of a job array; its first argument is added to the array index. `program` is this hone.
std::string array_script(const Submission& submission, const Study& study, const std::string& program);
/// The script of the job that comes after all tasks: verdicts, and what is missing.
std::string reduce_script(const Submission& submission, const Study& study, const std::string& program);

/// A part of a submission's tasks small enough for one job array.
struct ArrayChunk {
  std::int64_t first = 0, count = 0;
};
std::vector<ArrayChunk> chunks(std::int64_t tasks, std::int64_t max_array_size);

/// Arguments of sbatch before the script, as words of a shell.
std::string array_arguments(const Submission& submission, const Study& study, const ArrayChunk& chunk);
std::string reduce_arguments(const Submission& submission, const Study& study, const std::vector<std::string>& jobs);

/// Runs sbatch and returns the job's id.
/// errors  IoError with what sbatch said
std::string sbatch(const std::string& arguments);

/// A task that Slurm has not ended yet.
struct QueuedTask {
  std::string submission;  ///< id
  std::int64_t task = 0;
  std::string job;  ///< as squeue names it, 17_3
  bool is_running = false;
};

/// The study's tasks in the queue; nothing where there is no squeue or it does not answer.
std::optional<std::vector<QueuedTask>> queued_tasks(const std::string& study);

}  // namespace hone::experiments
