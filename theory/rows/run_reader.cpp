#include "theory/rows/run_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace hone::theory {

Projection::Projection(const FieldFacts& field, const std::vector<std::string>& axes) {
  for (const std::string& dim : field.dim_names())
    axis_of_.push_back(std::size_t(std::find(axes.begin(), axes.end(), dim) - axes.begin()));
}

/// An option of the run; `otherwise` where it is absent or of another type. Integers are numbers too.
template <class T>
T RunReader::option(const std::string& name, T otherwise) const {
  const Dataset* options = group_of(run_, schema::options.group);
  if (!options || !options->attributes().contains(name)) return otherwise;
  const Attribute& value = options->attribute(name);
  if constexpr (std::is_same_v<T, double>)
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  const auto* found = std::get_if<T>(&value);
  return found ? *found : otherwise;
}

RunReader::RunReader(const RunFile& run, std::string source) : run_(run), source_(std::move(source)) {
  const Dataset& manifest = run.group(schema::manifest.group);
  constexpr const schema::Checkpoints& f = schema::checkpoints;
  const Dataset& points = run.group(f.group);
  Subject subject;
  subject.run = text(manifest, schema::manifest.run_id);
  subject.architecture = architecture_of(text(manifest, schema::manifest.architecture), source_);
  subject.seed = seed_of(manifest);
  subject.N = model_params_of(manifest);
  read_recipe(subject, manifest);
  for (const FieldFacts& needed : {FieldFacts(f.tokens), FieldFacts(f.kind)})
    if (!points.has(needed.name))
      throw FormatError(
          fmt::format("{}: group /checkpoints has no variable {}; run the study again", source_, needed.name));
  const Column tokens(run, f.tokens, source_), branched(run, f.branched_at, source_), lr(run, f.lr, source_),
      step(run, f.step, source_);
  const std::vector<std::string>&variants = values_of(points, f.variant), &kind_names = values_of(points, f.kind);
  for (std::size_t i = 0; i < variants.size(); ++i) {
    subject.D = tokens.at(i);
    subject.variant = variants[i];
    subject.kind = kind_of(kind_names[i], source_ + ": /checkpoints");
    const bool is_branch = subject.kind != Kind::trunk && subject.kind != Kind::average;
    subject.branched_at = branched.is_present() ? branched.at(i) : is_branch ? 0 : subject.D;
    subject.lr = lr.is_present() ? lr.at(i) : 0;
    subject.step = step.is_present() ? step.at(i) : 0;
    subject.warmup_weight = subject.kind == Kind::average ? warmup_weight(subject.variant, step.at(i)) : 0;
    subjects_.push_back(subject);
    read_branch(subjects_.back());
  }
}

const std::vector<std::string>* RunReader::texts(const FieldFacts& field) const {
  const Dataset* data = group(field.group);
  if (!data || !data->has(field.name)) return nullptr;
  const std::vector<std::string>& dims = data->at(field.name).dims;
  if (dims != field.dim_names())
    throw FormatError(fmt::format("{}: /{}: variable {} has dimensions ({}), expected ({}); run the study again",
                                  source_, field.group, field.name, fmt::join(dims, ", "),
                                  fmt::join(field.dim_names(), ", ")));
  return &data->strings(field.name);
}

std::string RunReader::text(const Dataset& group, const Fact<std::string>& fact) const {
  if (const auto* value = std::get_if<std::string>(&group.attribute(fact.name))) return *value;
  throw FormatError(fmt::format("{}: attribute {} of /{} is a number, expected text; run the study again", source_,
                                fact.name, fact.group));
}

/// Seeds are recorded as an integer or as decimal text, so that all 64 bits survive.
std::int64_t RunReader::seed_of(const Dataset& manifest) const {
  const Attribute& value = manifest.attribute(schema::manifest.seed.name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* digits = std::get_if<std::string>(&value)) {
    std::uint64_t seed = 0;
    const char* end = digits->data() + digits->size();
    const auto result = std::from_chars(digits->data(), end, seed);
    if (result.ec == std::errc() && result.ptr == end) return static_cast<std::int64_t>(seed);
  }
  throw FormatError(fmt::format("{}: attribute seed of /manifest is no integer; run the study again", source_));
}

/// Model name and recipe, where they are recorded.
void RunReader::read_recipe(Subject& subject, const Dataset& manifest) const {
  constexpr const schema::Options& f = schema::options;
  if (manifest.attributes().contains(schema::manifest.model_name.name))
    subject.model = text(manifest, schema::manifest.model_name);
  subject.schedule = option(f.model_schedule.name, std::string());
  subject.arm = option(f.model_arm.name, std::string("main"));
  subject.data = option(f.model_data.name, std::string());
  subject.peak_lr = option(f.model_lr.name, 0.0);
  subject.batch = option(f.train_batch.name, 0.0);
  subject.weight_decay = option(f.train_weight_decay.name, 0.0);
  subject.sam_rho = option(f.train_sam_rho.name, 0.0);
  subject.gradient_penalty = option(f.train_gradient_penalty.name, 0.0);
  subject.train_format = option(f.model_train_format.name, std::string("fp32"));
  subject.rounding = option(f.quantize_rounding.name, std::string("nearest_even"));
  subject.horizon = option(f.model_tokens.name, 0.0);
  subject.style = option(f.model_kind.name, std::string());
  subject.layers = option(f.model_layers.name, 0.0), subject.width = option(f.model_width.name, 0.0);
  subject.heads = option(f.model_heads.name, 0.0), subject.kv_heads = option(f.model_kv_heads.name, 0.0);
  subject.mlp_width = option(f.model_mlp_width.name, 0.0), subject.experts = option(f.model_experts.name, 0.0);
  if (subject.has_experts()) subject.experts_per_token = option(f.model_experts_per_token.name, 1.0);
  subject.sub_norms = option(f.model_sub_norms.name, std::string("off"));
}

/// The section of the branch that a checkpoint ends: "branch1", or nothing.
std::string RunReader::branch_of(const Subject& subject) const {
  if (subject.kind == Kind::trunk || subject.kind == Kind::average) return "";
  for (int i = 1;; ++i) {
    std::string section = fmt::format("branch{}", i);
    const std::string name = option(section + ".name", std::string());
    if (name == subject.variant) return section;
    if (name.empty()) return "";
  }
}

/// Length and data of its branch and precision of its training: that of the branch, or that of the model for what the
/// recorder marked.
void RunReader::read_branch(Subject& subject) const {
  constexpr const schema::Options& f = schema::options;
  const std::string branch = branch_of(subject);
  if (!branch.empty()) {
    subject.branch_tokens = option(in_section(f.model_tokens, branch), 0.0);
    subject.branch_data = option(in_section(f.model_data, branch), std::string());
  }
  const bool is_of_model = subject.variant.rfind("qat_", 0) == 0;
  const std::string section = is_of_model ? "model" : subject.kind == Kind::lowered ? branch : "";
  if (section.empty()) return;
  subject.train_w_bits = option(in_section(f.model_train_weight_bits, section), 16.0);
  subject.train_a_bits = option(in_section(f.model_train_activation_bits, section), 16.0);
  subject.train_kv_bits = option(in_section(f.model_train_kv_bits, section), 16.0);
  subject.method = option(in_section(f.model_method, section), std::string());
  // These two bring their own widths, and their options stay at 16 bits.
  if (subject.method == "bitnet") subject.train_w_bits = ternary_bits, subject.train_a_bits = bitnet_activation_bits;
  if (subject.method == "binary") subject.train_w_bits = 1;
}

/// The share of an average's weight that lies in the warm-up.
/// math    ema with decay b at step t, warm-up of w steps: b^(t - w); lawa: of its last snapshots, one each `every`
///         steps, those up to w
double RunReader::warmup_weight(const std::string& variant, double step) const {
  constexpr const schema::Options& f = schema::options;
  const double warmup = option(f.train_warmup_steps.name, 0.0);
  if (variant == "ema" || variant == "qat_ema")
    return std::pow(option(f.train_ema_decay.name, 0.0), std::max(0.0, step - warmup));
  const double every = option(f.train_lawa_every.name, 1.0), window = option(f.train_lawa_window.name, 0.0);
  const double last = std::floor(step / every), first = std::max(1.0, last - window + 1);
  const double early = std::clamp(std::floor(warmup / every) - first + 1, 0.0, last - first + 1);
  return early > 0 ? early / (last - first + 1) : 0;
}

double RunReader::model_params_of(const Dataset& manifest) const {
  const Attribute& value = manifest.attribute(schema::manifest.model_params.name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  throw FormatError(
      fmt::format("{}: attribute model_params of /manifest is text, expected a number; run the study again", source_));
}

const Subject* RunReader::last_of_trunk() const {
  const auto last =
      std::find_if(subjects_.rbegin(), subjects_.rend(), [](const Subject& s) { return s.kind == Kind::trunk; });
  return last == subjects_.rend() ? nullptr : &*last;
}

void RunReader::expect_checkpoints(const std::string& name) const {
  const std::int64_t count = group(name)->length(schema::axis::checkpoint);
  if (count != static_cast<std::int64_t>(subjects_.size()))
    throw FormatError(fmt::format("{}: group /{} has {} checkpoints, /checkpoints has {}; run the study again", source_,
                                  name, count, subjects_.size()));
}

}  // namespace hone::theory
