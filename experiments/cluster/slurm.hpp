// The interface to Slurm: batch scripts, sbatch, squeue, scontrol. Slurm delivers a task at least once, and possibly
// twice at the same time after a node or controller restart. Runs tolerate duplicate execution. The records of the queue
// are used for messages only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/cluster/submission.hpp"

namespace hone::experiments {

/// Exit code of a task that saved itself and wants to go on; Slurm's RequeueExit must name it.
inline constexpr int requeue_code = 99;

/// What of the cluster's configuration matters here.
struct SlurmConfiguration {
  std::int64_t max_array_size = 1001;  ///< one above the largest index; Slurm's own default. 0: arrays are switched off
  bool requeues = true;                ///< requeue_code is in RequeueExit
};

/// What the answer of "scontrol show config" says. With `max_array` > 0, the user's own limit, a MaxArraySize that
/// cannot be read is not needed and not an error.
/// errors  FormatError when MaxArraySize is missing or no whole number from 0 to 4294967295
SlurmConfiguration parse_configuration(const std::string& text, std::int64_t max_array);

/// The same of this cluster; nothing where there is no Slurm.
std::optional<SlurmConfiguration> slurm_configuration(std::int64_t max_array);

/// How the tasks of a submission are handed over.
struct TaskJobs {
  bool uses_arrays = true;         ///< false: one job per task
  std::int64_t tasks_per_job = 1;  ///< at most
};

/// Job arrays as long as the cluster and the user (max_array, 0: no limit) allow. Plain jobs where the cluster has
/// switched arrays off (MaxArraySize = 0) or leaves room for one task in each (1), which gains nothing.
TaskJobs task_jobs(const SlurmConfiguration& cluster, std::int64_t max_array);

/// The batch script of the tasks. Its first argument is the number of the job's first task; in a job array Slurm's index
/// is added to it. `program` is this hone.
std::string task_script(const Submission& submission, const Study& study, const std::string& program, bool uses_arrays);
/// The script of the job that comes after all tasks: verdicts, and what is missing.
std::string reduce_script(const Submission& submission, const Study& study, const std::string& program);

/// The part of a submission's tasks that one job has.
struct TaskChunk {
  std::int64_t first = 0, count = 0;
};
/// expects  tasks_per_job >= 1
std::vector<TaskChunk> chunks(std::int64_t tasks, std::int64_t tasks_per_job);

/// Arguments of sbatch for one job of tasks, as words of a shell.
std::string task_arguments(const Submission& submission, const Study& study, const TaskChunk& chunk, bool uses_arrays);
std::string reduce_arguments(const Submission& submission, const Study& study, const std::vector<std::string>& jobs);

/// The job id in what "sbatch --parsable" printed, "17" or "17;CLUSTER", after any messages.
/// errors  FormatError when there is none
std::string parse_job_id(const std::string& text);

/// Runs sbatch and returns the job's id.
/// errors  IoError with what sbatch said; FormatError when it says no job id
std::string sbatch(const std::string& arguments);

/// A task that Slurm has not ended yet.
struct QueuedTask {
  std::string submission;  ///< id
  std::int64_t task = 0;
  std::string job;  ///< as squeue names it, 17_3; 17 without an array
  bool is_running = false;
};

/// The study's tasks among the lines "NAME INDEX STATE JOB_INDEX" of squeue; INDEX is N/A for a job without an array.
/// Jobs that hone did not name are left out.
/// errors  FormatError when a task's number or index is none
std::vector<QueuedTask> parse_queue(const std::string& text, const std::string& study);

/// The study's tasks in the queue; nothing where there is no squeue or it does not answer.
/// errors  FormatError as parse_queue
std::optional<std::vector<QueuedTask>> queued_tasks(const std::string& study);

}  // namespace hone::experiments
