#include "experiments/running/study_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <vector>

#include "experiments/cluster/slurm.hpp"
#include "experiments/cluster/submission.hpp"
#include "experiments/running/files.hpp"
#include "experiments/study/reader.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// Whether a folder holds more than what a killed claim_folder left in it.
bool is_foreign(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().find(".tmp.") == std::string::npos) return true;
  return false;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    files.push_back(at->path());
  std::sort(files.begin(), files.end());
  return files;
}

bool is_measured(const fs::path& run_file) {
  try {
    return read_run_file(run_file).groups.contains("checkpoints");
  } catch (const Error&) {
    return true;
  }
}

std::set<std::string> ids_of(const Study& study) {
  std::set<std::string> ids;
  for (const RunSpec& run : plan_runs(study)) ids.insert(run.id());
  return ids;
}

/// The study that a folder holds, if it is another one than this, and in what it differs.
struct OtherStudy {
  Study study;
  std::string difference;
};

std::optional<OtherStudy> other_study(const fs::path& folder, const Study& study) {
  const fs::path copy = folder / "study.toml";
  if (!fs::exists(copy)) return std::nullopt;
  Study other = read_study(copy, study.name);  // the copy of a study without a name has another file's
  other.seeds = study.seeds;                   // more seeds are more runs of the same study
  const bool has_other_runs = ids_of(study) != ids_of(other);
  if (!has_other_runs && study.thresholds == other.thresholds) return std::nullopt;
  return OtherStudy{std::move(other), has_other_runs ? "options" : "thresholds"};
}

void expect_nothing_measured(const fs::path& folder, const OtherStudy& other) {
  if (has_measured(folder))
    throw OptionError(fmt::format("{}: holds study \"{}\" with other {}; choose another --out, or delete the folder",
                                  folder.string(), other.study.name, other.difference));
  const std::vector<Submission> submissions = submissions_in(folder);
  const auto is_ours = [&](const QueuedTask& task) {
    return std::any_of(submissions.begin(), submissions.end(),
                       [&](const Submission& s) { return s.id() == task.submission; });
  };
  if (submissions.empty()) return;
  const auto tasks = queued_tasks(other.study.name);
  if (tasks && std::any_of(tasks->begin(), tasks->end(), is_ours))
    throw OptionError(
        fmt::format("{}: tasks of study \"{}\" with other {} are in the queue; scancel them first, or "
                    "choose another --out",
                    folder.string(), other.study.name, other.difference));
}

/// Removes what runs of other options than the study's left behind.
void remove_other_runs(const fs::path& folder, const Study& study) {
  const std::set<std::string> ids = ids_of(study);
  for (const char* part : {"runs", "work", "times"})
    for (const fs::path& path : files_in(folder / part)) {
      const std::string name = path.filename().string();
      const auto belongs = [&](const std::string& id) { return name.starts_with(id + "."); };
      if (std::any_of(ids.begin(), ids.end(), belongs)) continue;
      std::error_code ignored;  // it disturbs no run of the study
      fs::remove(path, ignored);
    }
}

}  // namespace

bool has_measured(const fs::path& folder) {
  const std::vector<fs::path> finished = files_in(folder / "runs"), work = files_in(folder / "work");
  const auto is_run_file = [](const fs::path& path) { return path.extension() == ".h5"; };
  return std::any_of(finished.begin(), finished.end(),
                     [&](const fs::path& path) { return is_run_file(path) && is_measured(path); }) ||
         std::any_of(work.begin(), work.end(),
                     [&](const fs::path& path) { return is_run_file(path) && !path.stem().string().ends_with(".0"); });
}

void expect_same_study(const fs::path& folder, const Study& study) {
  if (const auto other = other_study(folder, study)) expect_nothing_measured(folder, *other);
}

void claim_folder(const fs::path& folder, const Study& study) {
  const fs::path copy = folder / "study.toml";
  if (const auto other = other_study(folder, study)) {
    expect_nothing_measured(folder, *other);
    fmt::print(stderr, "hone: {}: nothing was measured with the other {} that it held; it takes this study\n",
               folder.string(), other->difference);
    write_text_atomically(copy, study.text);
    remove_other_runs(folder, study);
  }
  if (fs::exists(copy)) return;
  if (fs::exists(folder) && fs::is_directory(folder) && is_foreign(folder)) {
    if (fs::exists(copy)) return expect_same_study(folder, study);  // another process has just claimed it
    throw OptionError(fmt::format("{}: is not empty and holds no study; choose another --out", folder.string()));
  }
  ensure_writable_folder(folder);
  write_text_atomically(copy, study.text);
}

}  // namespace hone::experiments
