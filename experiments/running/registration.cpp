#include "experiments/running/registration.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "experiments/running/files.hpp"
#include "experiments/running/study_folder.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
#include "theory/questions/rules.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

using Json = nlohmann::ordered_json;

constexpr int schema_of_registration = 2;
constexpr const char* registered_before = "registered before the first run";

fs::path path_of(const fs::path& folder) { return folder / "registration.json"; }

Json registration_of(const Study& study) {
  Json all{{"schema", schema_of_registration},
           {"study", study.name},
           {"seeds", study.seeds},
           {"questions", study.questions}};
  std::string every;
  for (const theory::RuleOfQuestion& rule : theory::all_rules()) {
    all["rules"].push_back({{"question", rule.question}, {"name", rule.name}, {"sentence", rule.sentence}});
    every += rule.question + rule.sentence + "\n";
  }
  all["rules_sha256"] = sha256(every);
  study.thresholds.fields(
      [&](const char* name, const double& value, theory::Bounds, const char*) { all["thresholds"][name] = value; });
  all["runs"] = Json::array();
  for (const RunSpec& run : plan_runs(study)) all["runs"].push_back(run.id());
  return all;
}

Json read_registration(const fs::path& folder) {
  try {
    Json found = Json::parse(read_text(path_of(folder)));
    if (found.at("schema") == schema_of_registration) return found;
  } catch (const nlohmann::json::exception&) {
  }
  throw FormatError(fmt::format("{}: is no registration of schema {}; restore the file that hone register wrote",
                                path_of(folder).string(), schema_of_registration));
}

/// Questions of which a rule is not what it was. A study that named its primary questions answers for these alone; rules of
/// questions that came later are no change.
std::vector<std::string> other_rules(const Json& then, const Json& now) {
  std::vector<std::string> questions;
  const std::vector<std::string> primary = then.at("questions");
  const auto counts = [&](const std::string& question) {
    return primary.empty() || question == "all" || std::find(primary.begin(), primary.end(), question) != primary.end();
  };
  for (const Json& rule : then.at("rules")) {
    const std::string question = rule.at("question");
    const Json& rules = now.at("rules");
    if (counts(question) && std::find(rules.begin(), rules.end(), rule) == rules.end()) questions.push_back(question);
  }
  return questions;
}

/// What the study would register otherwise today.
std::vector<std::string> changes_since(const Json& then, const Json& now) {
  std::vector<std::string> changes, thresholds;
  if (then.at("questions") != now.at("questions")) changes.emplace_back("other questions");
  if (const auto rules = other_rules(then, now); !rules.empty())
    changes.push_back(fmt::format("other rules ({})", fmt::join(rules, " ")));
  for (const auto& [name, value] : then.at("thresholds").items())
    if (now.at("thresholds").value(name, Json()) != value) thresholds.push_back(name);
  if (!thresholds.empty()) changes.push_back(fmt::format("other thresholds ({})", fmt::join(thresholds, " ")));
  for (const char* field : {"seeds", "runs"})
    if (then.at(field) != now.at(field)) changes.push_back(fmt::format("other {}", field));
  return changes;
}

std::string state_of(const std::vector<std::string>& changes) {
  if (changes.empty()) return registered_before;
  return fmt::format("registered, but since then: {}", fmt::join(changes, ", "));
}

/// Finished runs of the study that were made under another registration, or none.
int unregistered_runs(const fs::path& folder, const Study& study, const std::string& hash) {
  int count = 0;
  for (const RunSpec& run : plan_runs(study)) {
    if (!finished_outcome(folder, run)) continue;
    const RunFile file = read_run_file(finished_path(folder, run));
    const auto& manifest = file.group(schema::manifest.group).attributes();
    const auto found = manifest.find(schema::manifest.registration_sha256.name);
    count += found == manifest.end() || found->second != Attribute(hash);
  }
  return count;
}

}  // namespace

std::string registration_text(const Study& study) { return registration_of(study).dump(1) + "\n"; }

void register_study(const fs::path& folder, const Study& study) {
  const std::string text = registration_text(study);
  const bool is_there = fs::exists(path_of(folder));
  if (is_there && read_text(path_of(folder)) == text) return;
  if (has_measured(folder))
    throw OptionError(fmt::format("{}: {}; choose another --out", folder.string(),
                                  is_there
                                      ? "runs are measured under another registration"
                                      : "runs are measured already, and a registration comes before the first run"));
  claim_folder(folder, study);
  write_text_atomically(path_of(folder), text);
}

std::string registration_hash(const fs::path& folder) {
  return fs::exists(path_of(folder)) ? sha256_of_file(path_of(folder)) : "";
}

std::string registration_state(const fs::path& folder, const Study& study) {
  if (!fs::exists(path_of(folder))) return "not registered";
  const Json then = read_registration(folder), now = registration_of(study);
  std::vector<std::string> changes = changes_since(then, now);
  if (const int count = unregistered_runs(folder, study, registration_hash(folder)); count > 0)
    changes.push_back(fmt::format("{} runs were made without it", count));
  return state_of(changes);
}

void keep_registration(const fs::path& folder, const fs::path& tables, const std::string& state) {
  if (state == registered_before)
    write_text_atomically(path_of(tables), read_text(path_of(folder)));
  else
    fs::remove(path_of(tables));
}

std::string registration_of_tables(const std::vector<fs::path>& tables, const Study& study) {
  std::string first;
  for (const fs::path& folder : tables) {
    if (!fs::is_directory(folder) || !fs::exists(path_of(folder))) return "not registered";
    const std::string text = read_text(path_of(folder));
    if (first.empty()) first = text;
    if (text != first) return fmt::format("registered in parts that differ: {}", path_of(folder).string());
  }
  return state_of(changes_since(read_registration(tables.at(0)), registration_of(study)));
}

}  // namespace hone::experiments
