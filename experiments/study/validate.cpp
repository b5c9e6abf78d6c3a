#include "experiments/study/validate.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "experiments/study/build.hpp"
#include "experiments/study/decode_policy.hpp"
#include "experiments/study/scheme.hpp"
#include "experiments/study/series.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/mean.hpp"
#include "sim/data/text_tasks.hpp"
#include "theory/questions/verdict.hpp"

namespace hone::experiments {
namespace {

/// Far above every study that can be run; what each run needs is held in memory while a study is planned.
constexpr std::size_t most_runs = 10'000;

void check_data(const DataSpec& data, std::vector<std::string>& wrong) {
  const auto check = [&](const char* field, const std::string& value, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), value) == known.end())
      wrong.push_back(fmt::format("line {}: data.{}: {} = \"{}\" is unknown; did you mean \"{}\"? (known: {})",
                                  data.line, data.name, field, value, nearest_name(value, known),
                                  fmt::join(known, ", ")));
  };
  check("kind", data.kind, {"text", "markov", "hidden_markov", "teacher", "digits"});
  check("tokenizer", data.tokenizer, {"bytes", "raw_bytes", "bpe", "checkpoint"});
  if (!data.held_out.empty() && data.tokenizer != "checkpoint")
    wrong.push_back(
        fmt::format("line {}: data.{}: held_out = [{}] with tokenizer = \"{}\", which holds out a share of "
                    "the text; leave it out, or give tokenizer = \"checkpoint\"",
                    data.line, data.name, fmt::join(data.held_out, ", "), data.tokenizer));
  if (data.kind == "text" && data.tokenizer == "raw_bytes" && data.files.empty())
    wrong.push_back(
        fmt::format("line {}: data.{}: tokenizer = \"raw_bytes\" takes files as they are, and corpora are packed; give "
                    "files = [...], or tokenizer = \"bytes\"",
                    data.line, data.name));
  for (const std::string& task : data.tasks) check("tasks", task, text_task_names());
  if (!data.tasks.empty() && (data.kind != "text" || data.tokenizer != "bytes"))
    wrong.push_back(fmt::format(
        "line {}: data.{}: tasks = [{}] are lines of characters; give kind = \"text\" and tokenizer = \"bytes\", or no "
        "tasks",
        data.line, data.name, fmt::join(data.tasks, ", ")));
}

/// What evaluates or trains with one rounded copy of the weights would take one draw for all.
void check_rounding(const RunSpec& run) {
  const QuantizeSpec& spec = run.quantize;
  check_draws(spec);
  if (spec.rounding != name_of(Rounding::stochastic)) return;
  const auto refuse = [&](const std::string& what) {
    throw OptionError(fmt::format(
        "quantize.rounding = stochastic with {}, which takes one draw for all; use rounding = \"nearest_even\"", what));
  };
  if (!spec.factorial_w.empty()) refuse(fmt::format("quantize.factorial_w = [{}]", fmt::join(spec.factorial_w, ", ")));
  if (training_precision(run.model, run.model, spec).precision.weight.is_on())
    refuse(fmt::format("method = \"{}\", train_weight_bits = {}", run.model.method, run.model.train_weight_bits));
  for (const BranchSpec& branch : run.branches)
    if (training_precision(branch, run.model, spec).precision.weight.is_on())
      refuse(fmt::format("train_weight_bits = {} of branch {}", branch.train_weight_bits, branch.name));
}

/// When schemes are measured, and how often a rotation is drawn.
void check_schemes_at(const QuantizeSpec& spec) {
  const std::string& at = spec.schemes_at;
  if (at != "last" && at != "every")
    throw OptionError(fmt::format("quantize.schemes_at = \"{}\" (expected last or every)", at));
  if (at == "every" && spec.schemes.empty())
    throw OptionError("quantize.schemes_at = \"every\": quantize.schemes names none; add schemes = [\"rtn\", ...]");
  const bool rotates = std::any_of(spec.schemes.begin(), spec.schemes.end(), [](const std::string& name) {
    return scheme_from_name(name).coordinates == Coordinates::rotated;
  });
  if (spec.rotations > 1 && !(at == "every" && rotates))
    throw OptionError(
        fmt::format("quantize.rotations = {}: signs are drawn by schemes with rotate+ and schemes_at = \"every\"; add "
                    "them, or leave rotations at 1",
                    spec.rotations));
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
  const Precision beside =
      precision_of(spec, 16, int(spec.scheme_activation_bits), int(spec.scheme_kv_bits));  // in force with schemes
  beside.activation.validate("quantize.scheme_activation");
  beside.key.validate("quantize.scheme_kv");
  check_weights("noise.residual", noise.residual_bits);
  if (spec.factorial != "pairs" && spec.factorial != "full")
    throw OptionError(fmt::format("quantize.factorial = \"{}\" (expected pairs or full)", spec.factorial));
  if (spec.factorial_at != "all" && spec.factorial_at != "last")
    throw OptionError(fmt::format("quantize.factorial_at = \"{}\" (expected all or last)", spec.factorial_at));
  if (spec.activation_range != "dynamic" && spec.activation_range != "static")
    throw OptionError(
        fmt::format("quantize.activation_range = \"{}\" (expected dynamic or static)", spec.activation_range));
  for (const std::string& name : spec.schemes) scheme_from_name(name).check(spec);
  check_schemes_at(spec);
}

/// Experts are rounded one by one only where there are experts.
void check_experts(const RunSpec& run) {
  const std::int64_t bits = run.quantize.expert_bits;
  if (bits == 0) return;
  if (run.model.kind == "mlp" || run.model.experts == 0)
    throw OptionError(
        fmt::format("quantize.expert_bits = {} with kind = \"{}\", experts = {}; set it in "
                    "[models.quantize] of the models with experts",
                    bits, run.model.kind, run.model.experts));
  weight_quantizer(run.quantize, int(bits)).validate("quantize.expert_bits");
}

void check_decode(const DecodeSpec& spec, const TransformerOptions& options) {
  if (spec.is_on()) (void)fitted_to(spec, options);
}

/// Data of that name; null, and a complaint about the field, when the study has none.
const DataSpec* find_data(const Study& study, const ModelSpec& model, const char* field, const std::string& name,
                          std::vector<std::string>& wrong) {
  std::vector<std::string> known;
  for (const DataSpec& d : study.data)
    if (d.name == name)
      return &d;
    else
      known.push_back(d.name);
  wrong.push_back(fmt::format("line {}: models.{}: {} = \"{}\" is no [[data]]; did you mean \"{}\"?", model.line,
                              model.name, field, name, nearest_name(name, known)));
  return nullptr;
}

/// Tokens of one data mean the same to a model trained on another only if both are bytes.
void check_other_data(const DataSpec& own, const DataSpec& other, const char* field) {
  const auto is_bytes = [](const DataSpec& data) {
    return data.kind == "text" && (data.tokenizer == "bytes" || data.tokenizer == "raw_bytes");
  };
  if (is_bytes(own) && is_bytes(other)) return;
  if (own.tokenizer == "checkpoint" && other.tokenizer == "checkpoint") return;
  throw OptionError(fmt::format(
      "{} = \"{}\": a model reads other data only where both are text with tokenizer = \"bytes\" or \"raw_bytes\"",
      field, other.name));
}

void check_branch(const RunSpec& run, const BranchSpec& branch, const std::vector<std::int64_t>& steps,
                  const Schedule& schedule) {
  const auto refuse = [&](const std::string& what) {
    throw OptionError(fmt::format("line {}: branches.{}: {}", branch.line, branch.name, what));
  };
  const std::vector<std::string> reserved = {"", "trunk", "ema", "lawa"};
  if (std::find(reserved.begin(), reserved.end(), branch.name) != reserved.end())
    refuse("name is missing or that of another variant; choose a word such as cooled");
  if (branch.name.find_first_of("/\\ ") != std::string::npos)
    refuse("name holds a blank or slash; it names a file, so choose another");
  if (branch.at.empty()) refuse("at is missing; write the checkpoints that it leaves from, such as at = [2, 4]");
  (void)branch_decay(branch);
  const QatOptions precision = training_precision(branch, run.model, run.quantize);
  if (!precision.is_full() && !training_precision(run.model, run.model, run.quantize).is_full())
    refuse("the trunk is trained at low precision already, which the branch keeps; leave its own bits out");
  if (branch.dpo_beta > 0) {
    const auto refuse_preference = [&](const std::string& what) {
      refuse(fmt::format("dpo_beta = {} with {}; leave dpo_beta out", branch.dpo_beta, what));
    };
    if (run.model.kind == "mlp") refuse_preference("kind = \"mlp\", which gives no answers");
    if (run.model.experts > 0)
      refuse_preference(fmt::format("experts = {}, whose balance loss has no pairs", run.model.experts));
    if (!precision.is_full()) refuse_preference("training at low precision");
    if (run.train.gradient_penalty > 0)
      refuse_preference(fmt::format("train.gradient_penalty = {}", run.train.gradient_penalty));
    if (run.train.batch < 2) refuse_preference("train.batch = 1, which has no second answer");
    if (run.model.context < 2) refuse_preference("context = 1, which has no prompt");
  }
  for (std::int64_t at : branch.at) {
    if (at > std::int64_t(steps.size()))
      refuse(fmt::format("at = {}, there are {} checkpoints; choose one of them", at, steps.size()));
    if (!(schedule(steps[size_t(at) - 1]) > 0))
      refuse(
          fmt::format("at = {}: the learning rate of schedule = \"{}\" is 0 there, a branch would learn nothing; "
                      "branch earlier or raise train.final_lr_ratio",
                      at, run.model.schedule));
  }
}

/// The penalty takes a Hessian product, which straight-through gradients and the balance loss of experts do not have.
void check_sharpness(const RunSpec& run, const SharpnessOptions& sharpness) {
  sharpness.validate();
  if (sharpness.gradient_penalty == 0) return;
  const auto refuse = [&](const std::string& what) {
    throw OptionError(fmt::format("train.gradient_penalty = {} with {}; use train.sam_rho instead",
                                  sharpness.gradient_penalty, what));
  };
  if (run.model.train_format != "fp32") refuse(fmt::format("train_format = \"{}\"", run.model.train_format));
  if (run.model.experts > 0) refuse(fmt::format("experts = {}", run.model.experts));
  if (!training_precision(run.model, run.model, run.quantize).is_full()) refuse("a trunk trained at low precision");
  for (const BranchSpec& branch : run.branches)
    if (!training_precision(branch, run.model, run.quantize).is_full())
      refuse(fmt::format("branch {} trained at low precision", branch.name));
}

void check_branches(const RunSpec& run, const Schedule& schedule) {
  std::set<std::string> names;
  for (const BranchSpec& branch : run.branches) {
    if (!names.insert(branch.name).second)
      throw OptionError(
          fmt::format("line {}: branches.{} is there twice; choose another name", branch.line, branch.name));
    if (!branch.data.empty()) check_other_data(run.data, run.data_named(branch.data), "branches.data");
    check_branch(run, branch, checkpoint_steps(run), schedule);
  }
}

void check_measure(const MeasureSpec& measure) {
  if (measure.losses != "float32" && measure.losses != "float64")
    throw OptionError(fmt::format("measure.losses = \"{}\" (expected float32 or float64)", measure.losses));
  if (measure.precision != "float32" && measure.precision != "float64")
    throw OptionError(fmt::format("measure.precision = \"{}\" (expected float32 or float64)", measure.precision));
  if (measure.curvature_windows > measure.evaluation_windows)
    throw OptionError(
        fmt::format("measure.curvature_windows = {} above evaluation_windows = {}; it is a subset, make it smaller",
                    measure.curvature_windows, measure.evaluation_windows));
  if (measure.windows > 0 && measure.windows < fewest_samples)
    throw OptionError(fmt::format("measure.windows = {}: the spread of so few parts says nothing; write {} to 64, or 0",
                                  measure.windows, fewest_samples));
}

/// What only a series has, of a model that is none.
void check_no_series(const RunSpec& run) {
  const ModelSpec& model = run.model;
  if (!model.folders.empty() || !model.table.empty() || !model.steps.empty() || model.tokens_per_step > 0)
    throw OptionError(
        fmt::format("folders, table, steps or tokens_per_step with kind = \"{}\", which is trained here; "
                    "leave them out, or give kind = \"series\"",
                    model.kind));
  if (run.data.tokenizer == "checkpoint")
    throw OptionError(
        fmt::format("data = \"{}\" has tokenizer = \"checkpoint\", and a model of kind = \"{}\" brings "
                    "none; use bytes, raw_bytes or bpe",
                    run.data.name, model.kind));
}

/// Where a series lies, and what it reads.
void check_series(const RunSpec& run) {
  const ModelSpec& model = run.model;
  if (model.folders.empty() == model.table.empty())
    throw OptionError(
        fmt::format("folders = \"{}\" and table = \"{}\": a series has one of the two", model.folders, model.table));
  if (!model.folders.empty() && model.folders.find("{step}") == std::string::npos)
    throw OptionError(
        fmt::format("folders = \"{}\" holds no {{step}}, the updates of each checkpoint; write it in their "
                    "place, or list the folders in a table",
                    model.folders));
  if (!model.table.empty() && !model.steps.empty())
    throw OptionError("steps with table, which lists its checkpoints itself; leave steps out");
  if (run.data.kind != "text" || run.data.tokenizer != "checkpoint")
    throw OptionError(
        fmt::format("data = \"{}\" has kind = \"{}\", tokenizer = \"{}\"; a series reads text with "
                    "tokenizer = \"checkpoint\"",
                    run.data.name, run.data.kind, run.data.tokenizer));
}

/// What a series takes from its files, or what ended with its training.
void check_untouched(const RunSpec& run) {
  const std::map<std::string, Attribute> own = run.options(), defaults = RunSpec().options();
  for (const char* field : {"model.layers",
                            "model.width",
                            "model.heads",
                            "model.kv_heads",
                            "model.mlp_width",
                            "model.rope",
                            "model.head",
                            "model.experts",
                            "model.experts_per_token",
                            "model.gates",
                            "model.load_balance",
                            "model.widths",
                            "model.activation",
                            "model.tokens",
                            "model.first_tokens",
                            "model.checkpoints",
                            "model.sub_norms",
                            "model.train_format",
                            "model.method",
                            "model.ste",
                            "model.train_weight_bits",
                            "model.train_activation_bits",
                            "model.train_kv_bits",
                            "train.ema_decay",
                            "train.lawa_window"})
    if (own.at(field) != defaults.at(field))
      throw OptionError(
          fmt::format("{} = {} with kind = \"series\", whose files say it, or which is trained already; "
                      "leave it out",
                      field, std::visit([](const auto& v) { return fmt::format("{}", v); }, own.at(field))));
}

/// What needs the architecture and the checkpoints of the trunk.
void check_trunk(const RunSpec& run) {
  if (run.model.kind != "mlp") {
    const TransformerOptions options = architecture_of(run, run.data.vocabulary);
    options.validate();
    check_decode(run.decode, options);
  }
  const TrainOptions train = train_options(run, 1);
  train.schedule.validate();
  train.optimizer.validate();
  check_sharpness(run, train.sharpness);
  check_branches(run, train.schedule);
}

/// What a run would build, tried out without data, and of a series without its files.
void check_run(const RunSpec& run) {
  const ModelSpec& model = run.model;
  if (is_series(model))
    check_series(run), check_untouched(run);
  else
    check_no_series(run);
  const bool is_mlp = model.kind == "mlp", wants_vectors = run.data.kind == "teacher" || run.data.kind == "digits";
  if (wants_vectors != is_mlp)
    throw OptionError(fmt::format("kind = \"{}\" cannot learn from data of kind \"{}\"; use {}", model.kind,
                                  run.data.kind, wants_vectors ? "kind = \"mlp\"" : "kind = \"llama\" or \"gpt2\""));
  if (is_mlp)
    // How many classes a table has, only the table says.
    mlp_options(model, run.data.inputs, run.data.kind == "digits" ? 10 : run.data.outputs, run.data.kind == "digits")
        .validate();
  if (!model.shifted_data.empty()) check_other_data(run.data, run.data_named(model.shifted_data), "shifted_data");
  (void)training_precision(model, model, run.quantize);
  if (!is_series(model)) check_trunk(run);
  constexpr std::int64_t exercise = 15;  // the longest, as inputs
  if (!run.data.tasks.empty() && model.context < exercise)
    throw OptionError(fmt::format("context = {} is shorter than an exercise of data.tasks; use at least {}",
                                  model.context, exercise));
  const Precision precision = precision_of(run.quantize, 4, 4, 4);
  const std::string problem =
      model.experts > 0 ? causality_problem(precision.activation, "quantize.activation") : std::string();
  if (!problem.empty()) throw OptionError("experts: tokens are quantized one by one; " + problem);
  check_rounding(run);
  check_quantizers(run.quantize, run.noise);
  check_measure(run.measure);
  check_experts(run);
}

void check_seeds(const std::vector<std::int64_t>& seeds, const std::string& where, std::vector<std::string>& wrong) {
  if (std::set<std::int64_t>(seeds.begin(), seeds.end()).size() < seeds.size())
    wrong.push_back(fmt::format("{} = [{}] holds one seed twice; leave it out", where, fmt::join(seeds, ", ")));
}

void check_model(const Study& study, const ModelPlan& plan, std::vector<std::string>& wrong) {
  const ModelSpec& model = plan.model;
  check_seeds(plan.seeds, fmt::format("models.{}.seeds", model.name), wrong);
  const std::vector<std::int64_t>& seeds = plan.seeds.empty() ? study.seeds : plan.seeds;
  if (is_series(model) && model.table.empty() && seeds.size() > 1 && model.folders.find("{seed}") == std::string::npos)
    wrong.push_back(
        fmt::format("line {}: models.{}: folders = \"{}\" holds no {{seed}}, and seeds = [{}] would count the "
                    "same checkpoints more than once; write {{seed}} where folders differ, or give seeds = "
                    "[{}]",
                    model.line, model.name, model.folders, fmt::join(seeds, ", "), seeds.front()));
  bool is_known = find_data(study, model, "data", model.data, wrong);
  if (!model.shifted_data.empty()) is_known &= !!find_data(study, model, "shifted_data", model.shifted_data, wrong);
  for (const BranchSpec& branch : plan.branches)
    if (!branch.data.empty()) is_known &= !!find_data(study, model, "branches.data", branch.data, wrong);
  if (!is_known) return;
  try {
    check_run(run_of(study, plan, 0));
  } catch (const OptionError& error) {
    wrong.push_back(fmt::format("line {}: models.{}: {}", model.line, model.name, error.what()));
  }
}

}  // namespace

void validate(const Study& study) {
  std::vector<std::string> wrong;
  if (study.seeds.empty()) wrong.push_back("study.seeds is empty; give at least one");
  for (std::int64_t seed : study.seeds)
    if (seed < 0) wrong.push_back(fmt::format("study.seeds holds {}; seeds are 0 or above", seed));
  check_seeds(study.seeds, "study.seeds", wrong);
  for (const std::string& id : study.questions)
    if (const auto& known = theory::question_ids; std::find(known.begin(), known.end(), id) == known.end())
      wrong.push_back(
          fmt::format("study.questions holds \"{}\", which is none; known: {}", id, fmt::join(known, ", ")));
  if (study.name.find_first_of("/\\ ") != std::string::npos || study.name.starts_with("."))
    wrong.push_back(
        fmt::format("study.name = \"{}\" holds a blank or slash or starts with a dot; it names a folder, so "
                    "choose another",
                    study.name));
  std::set<std::string> names;
  for (const DataSpec& d : study.data) {
    if (d.name.empty() || !names.insert("d:" + d.name).second)
      wrong.push_back(
          fmt::format("line {}: data.name = \"{}\" is missing or used twice; choose another", d.line, d.name));
    check_data(d, wrong);
  }
  for (const ModelPlan& plan : study.models) {
    const ModelSpec& m = plan.model;
    if (m.name.empty() || m.name.find_first_of("/\\ ") != std::string::npos || !names.insert("m:" + m.name).second)
      wrong.push_back(
          fmt::format("line {}: models.name = \"{}\" is missing, used twice, or holds a blank or slash; choose "
                      "another",
                      m.line, m.name));
    check_model(study, plan, wrong);
  }
  std::size_t runs = 0;
  for (const ModelPlan& plan : study.models) runs += plan.seeds.empty() ? study.seeds.size() : plan.seeds.size();
  if (runs > most_runs)
    wrong.push_back(fmt::format("models and seeds ask for {} runs, at most {}; leave some out", runs, most_runs));
  if (!wrong.empty()) throw OptionError(fmt::format("{}", fmt::join(wrong, "; ")));
}

void validate_series(const std::vector<RunSpec>& runs) {
  std::map<std::string, std::pair<std::string, std::string>> of_data;  // data -> hash of a tokenizer, and its file
  for (const RunSpec& run : runs) {
    if (!is_series(run.model)) continue;
    const Series& series = series_of(run);
    try {
      check_trunk(run);
    } catch (const OptionError& error) {
      throw OptionError(fmt::format("line {}: models.{}: {}", run.model.line, run.model.name, error.what()));
    }
    if (series.tokenizer.empty()) continue;
    const std::pair own(sha256_of_file(series.tokenizer), series.tokenizer.string());
    const auto& first = of_data.try_emplace(run.data.name, own).first->second;
    if (first.first != own.first)
      throw OptionError(
          fmt::format("models.{}: data = \"{}\": {} differs from {}, and losses of other tokens cannot be "
                      "compared; give each tokenizer a study of its own",
                      run.model.name, run.data.name, own.second, first.second));
  }
}

}  // namespace hone::experiments
