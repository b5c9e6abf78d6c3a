#include "experiments/study.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <set>
#include <sstream>

#include "experiments/build.hpp"
#include "experiments/decode_table.hpp"
#include "experiments/schemes.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/layers/kv_cache.hpp"

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
void write_part(std::map<std::string, Attribute>& options, const char* section, Part part) {
  OptionWriter writer{options, section};
  part.fields(writer);
}

void check_data(const DataSpec& data, std::vector<std::string>& wrong) {
  const auto check = [&](const char* field, const std::string& value, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), value) == known.end())
      wrong.push_back(fmt::format("line {}: data.{}: {} = \"{}\" is unknown; did you mean \"{}\"? (known: {})",
                                  data.line, data.name, field, value, nearest_name(value, known),
                                  fmt::join(known, ", ")));
  };
  check("kind", data.kind, {"text", "markov", "hidden_markov", "teacher", "digits"});
  check("tokenizer", data.tokenizer, {"bytes", "bpe"});
}

/// Every quantizer that the instruments would make.
void check_quantizers(const QuantizeSpec& spec, const NoiseSpec& noise) {
  const auto check_weights = [&](const char* field, std::int64_t bits) {
    weight_quantizer(spec, int(bits)).validate(field);
  };
  for (std::int64_t bits : spec.bits) check_weights("quantize", bits);
  for (std::int64_t bits : spec.factorial_w) check_weights("quantize.factorial_w", bits);
  for (std::int64_t bits : spec.factorial_a)
    precision_of(spec, 16, int(bits), 16).activation.validate("quantize.factorial_a");
  for (std::int64_t bits : spec.factorial_kv) {
    precision_of(spec, 16, int(bits), int(bits)).key.validate("quantize.factorial_kv");
    check_weights("quantize.factorial_kv", bits);
  }
  check_weights("noise.residual", noise.residual_bits);
  if (spec.activation_range != "dynamic" && spec.activation_range != "static")
    throw OptionError(
        fmt::format("quantize.activation_range = \"{}\" (expected dynamic or static)", spec.activation_range));
  for (const std::string& name : spec.schemes) scheme_from_name(name).check(spec);
}

void check_decode(const DecodeSpec& spec, const TransformerOptions& options) {
  if (spec.is_on()) (void)fitted_to(spec, options);
}

/// What a study says about one model, tried out: everything a run would build, without data.
void check_model(const Study& study, const ModelSpec& model, std::vector<std::string>& wrong) {
  const auto data =
      std::find_if(study.data.begin(), study.data.end(), [&](const DataSpec& d) { return d.name == model.data; });
  std::vector<std::string> known;
  for (const DataSpec& d : study.data) known.push_back(d.name);
  if (data == study.data.end()) {
    wrong.push_back(fmt::format("line {}: models.{}: data = \"{}\" is no [[data]]; did you mean \"{}\"?", model.line,
                                model.name, model.data, nearest_name(model.data, known)));
    return;
  }
  try {
    RunSpec run{study.name, 0, *data, model, study.train, study.measure, study.quantize, study.noise, study.decode};
    const bool wants_vectors = data->kind == "teacher" || data->kind == "digits";
    if (wants_vectors != (model.kind == "mlp"))
      throw OptionError(fmt::format("kind = \"{}\" cannot learn from data of kind \"{}\"; use {}", model.kind,
                                    data->kind, wants_vectors ? "kind = \"mlp\"" : "kind = \"llama\" or \"gpt2\""));
    if (model.kind == "mlp")
      mlp_options(model, data->inputs, data->outputs, data->kind == "digits").validate();
    else
      transformer_options(model, data->vocabulary).validate();
    if (model.kind != "mlp") check_decode(study.decode, transformer_options(model, data->vocabulary));
    const TrainOptions train = train_options(run, 1);
    train.schedule.validate();
    train.optimizer.validate();
    const auto steps = checkpoint_steps(run);
    const auto check_branches = [&](const char* field, const std::vector<std::int64_t>& branches) {
      for (std::int64_t at : branches)
        if (at > std::int64_t(steps.size()))
          throw OptionError(
              fmt::format("{} = {}, there are {} checkpoints; choose one of them", field, at, steps.size()));
    };
    check_branches("cooldown_at", model.cooldown_at);
    check_branches("qat_at", model.qat_at);
    for (std::int64_t at : model.qat_at)
      if (!(train.schedule(steps[size_t(at) - 1]) > 0))
        throw OptionError(
            fmt::format("qat_at = {}: the learning rate of schedule = \"{}\" is 0 there, a branch would learn nothing; "
                        "branch earlier or raise train.final_lr_ratio",
                        at, model.schedule));
    (void)training_precision(model, study.quantize);
    const Precision precision = precision_of(study.quantize, 4, 4, 4);
    const std::string problem =
        model.experts > 0 ? causality_problem(precision.activation, "quantize.activation") : std::string();
    if (!problem.empty()) throw OptionError("experts: tokens are quantized one by one; " + problem);
    check_quantizers(study.quantize, study.noise);
  } catch (const OptionError& error) {
    wrong.push_back(fmt::format("line {}: models.{}: {}", model.line, model.name, error.what()));
  }
}

}  // namespace

void Study::validate() const {
  std::vector<std::string> wrong;
  if (seeds.empty()) wrong.push_back("study.seeds is empty; give at least one");
  for (std::int64_t seed : seeds)
    if (seed < 0) wrong.push_back(fmt::format("study.seeds holds {}; seeds are 0 or above", seed));
  if (std::set<std::int64_t>(seeds.begin(), seeds.end()).size() < seeds.size())
    wrong.push_back(fmt::format("study.seeds = [{}] holds one seed twice; leave it out", fmt::join(seeds, ", ")));
  if (name.find_first_of("/\\ ") != std::string::npos || name.starts_with("."))
    wrong.push_back(
        fmt::format("study.name = \"{}\" holds a blank or slash or starts with a dot; it names a folder, so "
                    "choose another",
                    name));
  std::set<std::string> names;
  for (const DataSpec& d : data) {
    if (d.name.empty() || !names.insert("d:" + d.name).second)
      wrong.push_back(
          fmt::format("line {}: data.name = \"{}\" is missing or used twice; choose another", d.line, d.name));
    check_data(d, wrong);
  }
  for (const ModelSpec& m : models) {
    if (m.name.empty() || m.name.find_first_of("/\\ ") != std::string::npos || !names.insert("m:" + m.name).second)
      wrong.push_back(
          fmt::format("line {}: models.name = \"{}\" is missing, used twice, or holds a blank or slash; choose "
                      "another",
                      m.line, m.name));
    check_model(*this, m, wrong);
  }
  if (measure.precision != "float32" && measure.precision != "float64")
    wrong.push_back(fmt::format("measure.precision = \"{}\" (expected float32 or float64)", measure.precision));
  if (measure.curvature_windows > measure.evaluation_windows)
    wrong.push_back(
        fmt::format("measure.curvature_windows = {} above evaluation_windows = {}; it is a subset, make it smaller",
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
  write_part(options, "decode", decode);
  return options;
}

std::string RunSpec::id() const {
  static const std::map<std::string, Attribute> defaults = RunSpec().options();
  Sha256 hash;
  hash.update(&defaults_revision, sizeof defaults_revision);
  for (const auto& [name, value] : options()) {
    if (value == defaults.at(name)) continue;
    const std::string line = std::visit([&](const auto& v) { return fmt::format("{} = {}\n", name, v); }, value);
    hash.update(line.data(), line.size());
  }
  return fmt::format("{}-s{}-{}", model.name, seed, hash.finish().substr(0, 8));
}

std::vector<RunSpec> plan_runs(const Study& study) {
  std::vector<RunSpec> runs;
  for (const ModelSpec& model : study.models)
    for (std::int64_t seed : study.seeds) {
      const auto data =
          std::find_if(study.data.begin(), study.data.end(), [&](const DataSpec& d) { return d.name == model.data; });
      runs.push_back(
          {study.name, seed, *data, model, study.train, study.measure, study.quantize, study.noise, study.decode});
    }
  return runs;
}

}  // namespace hone::experiments
