// A submission to a queue: a folder OUT/slurm/ID with the study file, the scripts and manifest.json, which assigns runs
// to tasks. A task reads only the manifest and its own number.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/study/study.hpp"

namespace hone::experiments {

/// What a task asks of the queue.
struct TaskResources {
  std::string partition;          ///< empty: the cluster's default
  std::string time;               ///< limit as Slurm writes it ("30", "2:00:00", "1-0"); empty: the partition's default
  std::int64_t cpus = 1;          ///< per task
  std::int64_t grace = 120;       ///< seconds before the limit at which a task is told to save itself
  std::vector<std::string> more;  ///< lines for #SBATCH, such as --account=physics
};

/// One run in a task.
struct WorkUnit {
  std::string run;   ///< id
  double flops = 0;  ///< of the whole run by the cost model
};

struct Submission {
  std::filesystem::path folder;  ///< of the study, absolute
  std::string study_file;        ///< name of the study file beside the manifest
  std::string study_sha256;      ///< of its text
  std::vector<std::int64_t> seeds;
  std::vector<std::vector<WorkUnit>> tasks;
  TaskResources resources;

  /// As JSON with sorted keys: equal submissions, equal text.
  std::string manifest() const;
  /// First twelve digits of the manifest's SHA-256.
  std::string id() const;
  /// OUT/slurm/ID.
  std::filesystem::path place() const;
};

/// How runs are put together to tasks.
struct Packing {
  std::int64_t units_per_task = 0;  ///< 0: by cost
  double seconds = 120;             ///< least work of a task, so that starting it costs little beside
  std::int64_t cpus = 1;
};

/// The runs, the longest first, as tasks. By cost, a task is closed as soon as it has `seconds` of work; only the last
/// one can have less.
std::vector<std::vector<WorkUnit>> pack(const std::vector<RunSpec>& runs, const Packing& packing);

/// Seconds of a run by the cost model, at the rate that `hone plan` assumes.
double seconds_of(double flops, std::int64_t cpus);

/// Writes the study file and the manifest into place().
void write_submission(const Submission& submission, const Study& study);

/// Reads a manifest and checks that it has this hash.
/// errors  IoError; FormatError when it was changed, or is none, or the study file beside it was changed
Submission read_submission(const std::filesystem::path& manifest, const std::string& sha256);

/// The submissions of a study folder, the latest last; damaged ones are left out.
std::vector<Submission> submissions_in(const std::filesystem::path& folder);

}  // namespace hone::experiments
