#include "experiments/study.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "experiments/build.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"

namespace hone::experiments {
namespace {

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
};

template <class Part>
void write_part(std::map<std::string, Attribute>& options, const char* section, Part part) {
  OptionWriter writer{options, section};
  part.fields(writer);
}

/// What a study says about one model, tried out: everything a run would build, without data.
void check_model(const Study& study, const ModelSpec& model, std::vector<std::string>& wrong) {
  const auto data = std::find_if(study.data.begin(), study.data.end(),
                                 [&](const DataSpec& d) { return d.name == model.data; });
  std::vector<std::string> known;
  for (const DataSpec& d : study.data) known.push_back(d.name);
  if (data == study.data.end()) {
    wrong.push_back(fmt::format("models.{}: data = \"{}\" is no [[data]]; did you mean \"{}\"?", model.name,
                                model.data, nearest_name(model.data, known)));
    return;
  }
  try {
    RunSpec run{study.name, 0, *data, model, study.train, study.measure, study.quantize, study.noise};
    const bool wants_vectors = data->kind == "teacher" || data->kind == "digits";
    if (wants_vectors != (model.kind == "mlp"))
      throw OptionError(fmt::format("kind = \"{}\" cannot learn from data of kind \"{}\"; use {}", model.kind,
                                    data->kind, wants_vectors ? "kind = \"mlp\"" : "kind = \"llama\" or \"gpt2\""));
    if (model.kind == "mlp")
      mlp_options(model, data->inputs, data->outputs, data->kind == "digits").validate();
    else
      transformer_options(model, data->vocabulary).validate();
    const TrainOptions train = train_options(run, 1);
    train.schedule.validate();
    train.optimizer.validate();
    const auto steps = checkpoint_steps(run);
    for (std::int64_t at : model.cooldown_at)
      if (at > std::int64_t(steps.size()))
        throw OptionError(fmt::format("cooldown_at = {}, there are {} checkpoints", at, steps.size()));
    for (std::int64_t bits : study.quantize.bits) weight_quantizer(study.quantize, int(bits)).validate("quantize");
    (void)precision_of(study.quantize, 4, 4, 4);
  } catch (const OptionError& error) {
    wrong.push_back(fmt::format("models.{}: {}", model.name, error.what()));
  }
}

}  // namespace

void Study::validate() const {
  std::vector<std::string> wrong;
  if (seeds.empty()) wrong.push_back("study.seeds is empty; give at least one");
  if (name.find_first_of("/\\ ") != std::string::npos)
    wrong.push_back(fmt::format("study.name = \"{}\" holds a blank or slash; it names a folder", name));
  std::set<std::string> names;
  for (const DataSpec& d : data)
    if (d.name.empty() || !names.insert("d:" + d.name).second)
      wrong.push_back(fmt::format("data.name = \"{}\" is missing or used twice", d.name));
  for (const ModelSpec& m : models) {
    if (m.name.empty() || m.name.find_first_of("/\\ ") != std::string::npos || !names.insert("m:" + m.name).second)
      wrong.push_back(fmt::format("models.name = \"{}\" is missing, used twice, or holds a blank or slash", m.name));
    check_model(*this, m, wrong);
  }
  if (measure.precision != "float32" && measure.precision != "float64")
    wrong.push_back(fmt::format("measure.precision = \"{}\" (expected float32 or float64)", measure.precision));
  if (measure.curvature_windows > measure.evaluation_windows)
    wrong.push_back(fmt::format("measure.curvature_windows = {} above evaluation_windows = {}; it is a subset",
                                measure.curvature_windows, measure.evaluation_windows));
  if (!wrong.empty()) throw OptionError(fmt::format("{}", fmt::join(wrong, "; ")));
}

std::map<std::string, Attribute> RunSpec::options() const {
  std::map<std::string, Attribute> options;
  options["study.name"] = study;
  options["study.seed"] = seed;
  write_part(options, "data", data);
  write_part(options, "model", model);
  write_part(options, "train", train);
  write_part(options, "measure", measure);
  write_part(options, "quantize", quantize);
  write_part(options, "noise", noise);
  return options;
}

std::string RunSpec::id() const {
  Sha256 hash;
  for (const auto& [name, value] : options()) {
    const std::string line =
        std::visit([&](const auto& v) { return fmt::format("{} = {}\n", name, v); }, value);
    hash.update(line.data(), line.size());
  }
  return fmt::format("{}-s{}-{}", model.name, seed, hash.finish().substr(0, 8));
}

std::vector<RunSpec> plan_runs(const Study& study) {
  std::vector<RunSpec> runs;
  for (const ModelSpec& model : study.models)
    for (std::int64_t seed : study.seeds) {
      const auto data = std::find_if(study.data.begin(), study.data.end(),
                                     [&](const DataSpec& d) { return d.name == model.data; });
      runs.push_back({study.name, seed, *data, model, study.train, study.measure, study.quantize, study.noise});
    }
  return runs;
}

}  // namespace hone::experiments
