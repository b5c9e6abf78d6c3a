#include "experiments/cluster/submission.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "experiments/instruments/cost.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/import/json_file.hpp"

namespace fs = std::filesystem;
using nlohmann::json;

namespace hone::experiments {
namespace {

constexpr const char* schema = "hone.submission-1";
constexpr double flops_per_second = 40e9;  ///< of one core

json to_json(const TaskResources& r) {
  return {{"partition", r.partition}, {"time", r.time}, {"cpus", r.cpus}, {"grace", r.grace}, {"more", r.more}};
}

TaskResources resources_from(const json& object) {
  TaskResources r;
  object.at("partition").get_to(r.partition), object.at("time").get_to(r.time);
  object.at("cpus").get_to(r.cpus), object.at("grace").get_to(r.grace), object.at("more").get_to(r.more);
  return r;
}

Submission from_json(const json& object) {
  if (object.at("schema") != schema) throw FormatError("is of another schema");
  Submission s;
  s.folder = object.at("folder").get<std::string>();
  object.at("study_file").get_to(s.study_file), object.at("study_sha256").get_to(s.study_sha256);
  object.at("seeds").get_to(s.seeds);
  for (const json& task : object.at("tasks")) {
    std::vector<WorkUnit>& units = s.tasks.emplace_back();
    for (const json& unit : task) units.push_back({unit.at("run").get<std::string>(), unit.at("flops").get<double>()});
  }
  s.resources = resources_from(object.at("resources"));
  return s;
}

}  // namespace

std::string Submission::manifest() const {
  json list = json::array();
  for (const std::vector<WorkUnit>& units : tasks) {
    json& task = list.emplace_back(json::array());
    for (const WorkUnit& unit : units) task.push_back({{"run", unit.run}, {"flops", unit.flops}});
  }
  const json object = {{"schema", schema},
                       {"folder", folder.string()},
                       {"study_file", study_file},
                       {"study_sha256", study_sha256},
                       {"seeds", seeds},
                       {"tasks", list},
                       {"resources", to_json(resources)}};
  return object.dump(1) + "\n";
}

std::string Submission::id() const { return sha256(manifest()).substr(0, 12); }

fs::path Submission::place() const { return folder / "slurm" / id(); }

double seconds_of(double flops, std::int64_t cpus) { return flops / (flops_per_second * double(cpus)); }

std::vector<std::vector<WorkUnit>> pack(const std::vector<RunSpec>& runs, const Packing& packing) {
  std::vector<WorkUnit> units;
  for (const RunSpec& run : runs) units.push_back({run.id(), run_cost(run)});
  std::stable_sort(units.begin(), units.end(), [](const WorkUnit& a, const WorkUnit& b) { return a.flops > b.flops; });
  std::vector<std::vector<WorkUnit>> tasks;
  double flops = 0;
  const auto is_full = [&] {
    if (packing.units_per_task > 0) return std::int64_t(tasks.back().size()) >= packing.units_per_task;
    return seconds_of(flops, packing.cpus) >= packing.seconds;
  };
  for (WorkUnit& unit : units) {
    if (tasks.empty() || is_full()) tasks.emplace_back(), flops = 0;
    flops += unit.flops;
    tasks.back().push_back(std::move(unit));
  }
  return tasks;
}

void write_submission(const Submission& submission, const Study& study) {
  ensure_writable_folder(submission.place() / "log");
  write_text_atomically(submission.place() / submission.study_file, study.text);
  write_text_atomically(submission.place() / "manifest.json", submission.manifest());
}

Submission read_submission(const fs::path& manifest, const std::string& hash) {
  const std::string text = read_text(manifest);
  const auto refuse = [&](const std::string& what) {
    throw FormatError(fmt::format("{}: {}; submit the study again", manifest.string(), what));
  };
  if (sha256(text) != hash) refuse(fmt::format("its SHA-256 is not {}: it was changed after the submission", hash));
  Submission submission;
  try {
    submission = from_json(parse_json(text, manifest.string()));
  } catch (const json::exception& error) {
    refuse(error.what());
  }
  const fs::path study = manifest.parent_path() / submission.study_file;
  if (sha256_of_file(study) != submission.study_sha256)
    refuse(fmt::format("{} was changed after the submission", study.string()));
  return submission;
}

std::vector<Submission> submissions_in(const fs::path& folder) {
  std::vector<std::pair<fs::file_time_type, Submission>> found;
  std::error_code error;
  for (fs::directory_iterator at(folder / "slurm", error), end; !error && at != end; at.increment(error)) {
    const fs::path manifest = at->path() / "manifest.json";
    try {
      found.emplace_back(fs::last_write_time(manifest), read_submission(manifest, sha256_of_file(manifest)));
    } catch (const std::exception&) {
      continue;  // one that a killed submit left behind
    }
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Submission> submissions;
  for (auto& [time, submission] : found) submissions.push_back(std::move(submission));
  return submissions;
}

}  // namespace hone::experiments
