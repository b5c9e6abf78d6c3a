#include "experiments/study/study.hpp"

#include <algorithm>
#include <iomanip>
#include <set>
#include <sstream>

#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"

namespace hone::experiments {
namespace {

/// Part of every run id, which leaves out options at their defaults so that a new option renames no finished run. Count
/// it up when a default changes its value.
constexpr std::int32_t defaults_revision = 1;

/// Flattens the fields of one part into attributes "section.field".
struct OptionWriter {
  std::map<std::string, Attribute>& options;
  std::string section;

  void operator()(const char* key, const std::string& value, Range = {}) { options[section + "." + key] = value; }
  void operator()(const char* key, std::int64_t value, Range = {}) { options[section + "." + key] = value; }
  void operator()(const char* key, double value, Range = {}) { options[section + "." + key] = value; }
  template <class T>
  void operator()(const char* key, const std::vector<T>& values, Range = {}) {
    options[section + "." + key] = fmt::format("[{}]", fmt::join(values, ", "));
  }
  /// Quoted, so that no two lists of texts become the same text.
  void operator()(const char* key, const std::vector<std::string>& values, Range = {}) {
    std::ostringstream list;
    for (const std::string& value : values) list << (&value == &values.front() ? "" : ", ") << std::quoted(value);
    options[section + "." + key] = fmt::format("[{}]", list.str());
  }
};

template <class Part>
void write_part(std::map<std::string, Attribute>& options, const std::string& section, Part part) {
  OptionWriter writer{options, section};
  part.fields(writer);
}

}  // namespace

RunSpec run_of(const Study& study, const ModelPlan& plan, std::int64_t seed) {
  const auto data = [&](const std::string& name) {
    return *std::find_if(study.data.begin(), study.data.end(), [&](const DataSpec& d) { return d.name == name; });
  };
  std::set<std::string> others;
  if (!plan.model.shifted_data.empty()) others.insert(plan.model.shifted_data);
  for (const BranchSpec& branch : plan.branches)
    if (!branch.data.empty()) others.insert(branch.data);
  RunSpec run{study.name, seed,         data(plan.model.data), {},         plan.model, plan.branches,
              plan.train, plan.measure, plan.quantize,         plan.noise, plan.decode};
  for (const std::string& name : others)
    if (name != plan.model.data) run.others.push_back(data(name));
  return run;
}

const DataSpec& RunSpec::data_named(const std::string& wanted) const {
  if (data.name == wanted) return data;
  const auto found = std::find_if(others.begin(), others.end(), [&](const DataSpec& d) { return d.name == wanted; });
  EXPECTS(found != others.end(), "run {} reads no data \"{}\"", model.name, wanted);
  return *found;
}

std::map<std::string, Attribute> RunSpec::options() const {
  std::map<std::string, Attribute> options;
  options["study.name"] = study;
  options["study.seed"] = seed;
  write_part(options, "data", data);
  for (size_t i = 0; i < others.size(); ++i) write_part(options, fmt::format("data{}", i + 2), others[i]);
  write_part(options, "model", model);
  for (size_t i = 0; i < branches.size(); ++i) write_part(options, fmt::format("branch{}", i + 1), branches[i]);
  write_part(options, "train", train);
  write_part(options, "measure", measure);
  write_part(options, "quantize", quantize);
  write_part(options, "noise", noise);
  write_part(options, "decode", decode);
  return options;
}

std::string RunSpec::id() const {
  RunSpec blank;
  blank.others.resize(others.size());
  blank.branches.resize(branches.size());
  const std::map<std::string, Attribute> defaults = blank.options();
  Sha256 hash;
  hash.update(&defaults_revision, sizeof defaults_revision);
  for (const auto& [name, value] : options()) {
    if (value == defaults.at(name)) continue;
    const std::string text = std::visit([](const auto& v) { return fmt::format("{}", v); }, value);
    const std::string line = fmt::format("{} = {}\n", name, text);
    hash.update(line.data(), line.size());
  }
  return fmt::format("{}-s{}-{}", model.name, seed, hash.finish().substr(0, 8));
}

std::vector<RunSpec> plan_runs(const Study& study) {
  std::vector<RunSpec> runs;
  for (const ModelPlan& plan : study.models)
    for (std::int64_t seed : plan.seeds.empty() ? study.seeds : plan.seeds) runs.push_back(run_of(study, plan, seed));
  return runs;
}

}  // namespace hone::experiments
