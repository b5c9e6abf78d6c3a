#include "theory/rows/rows.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "theory/rows/column.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Least bits at which the weighted trace is read: below, rounding shrinks weights and the step is
/// no noise.
constexpr double reference_bits_min = 3;

constexpr Architecture architectures[] = {Architecture::transformer, Architecture::mlp};
constexpr Kind kinds[] = {Kind::trunk, Kind::average, Kind::cooldown, Kind::tuned, Kind::lowered};

/// The value of an enum by its name in a run file.
template <class Enum, std::size_t count>
Enum named(const Enum (&all)[count], const char* what, std::string_view name, const std::string& source) {
  std::string known;
  for (const Enum value : all) {
    if (name_of(value) == name) return value;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name_of(value));
  }
  throw FormatError(fmt::format("{}: {} = \"{}\", expected one of {}; run the study again", source, what, name, known));
}

/// One run under reading: its checkpoints, and access to the groups that hang on them.
class Reader {
 public:
  Reader(const RunFile& run, std::string source) : run_(run), source_(std::move(source)) {
    const Dataset& manifest = run.group("manifest");
    const Dataset& points = run.group("checkpoints");
    Subject subject;
    subject.run = text(manifest, "run_id");
    subject.architecture = architecture_of(text(manifest, "architecture"), source_);
    subject.seed = seed_of(manifest);
    subject.N = model_params_of(manifest);
    read_recipe(subject, manifest);
    const std::vector<std::string> dims{"checkpoint"};
    const Column tokens(points, "tokens", dims, source_ + ": /checkpoints");
    if (!tokens.is_present())
      throw FormatError(fmt::format("{}: group /checkpoints has no variable tokens; run the study again", source_));
    lr_ = Column(points, "lr", dims, source_);
    loss_ = Column(points, "loss_nats", dims, source_);
    loss_se_ = Column(points, "loss_se_nats", dims, source_);
    weight_norm2_ = Column(points, "weight_norm2", dims, source_);
    const Column branched(points, "branched_at", dims, source_);
    const auto& variants = points.strings("variant");
    if (!points.has("kind"))
      throw FormatError(fmt::format("{}: group /checkpoints has no variable kind; run the study again", source_));
    const auto& kind_names = points.strings("kind");
    for (std::size_t i = 0; i < variants.size(); ++i) {
      subject.D = tokens.at(i);
      subject.variant = variants[i];
      subject.kind = kind_of(kind_names[i], source_ + ": /checkpoints");
      const bool is_branch = subject.kind != Kind::trunk && subject.kind != Kind::average;
      subject.branched_at = branched.is_present() ? branched.at(i) : is_branch ? 0 : subject.D;
      subjects_.push_back(subject);
      read_branch(subjects_.back());
    }
  }

  /// Losses at the precision of training: /qat where it is low.
  void append_losses(Table& table) const {
    const Dataset* qat = group("qat");
    Column low, low_se;
    if (qat != nullptr) {
      expect_checkpoints(*qat, "qat");
      low = Column(*qat, "loss_nats", {"checkpoint"}, source_ + ": /qat");
      low_se = Column(*qat, "loss_se_nats", {"checkpoint"}, source_ + ": /qat");
    }
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      LossRow row;
      static_cast<Subject&>(row) = subjects_[i];
      const bool is_full = row.is_full_precision();
      row.loss = is_full ? loss_.at(i) : low.at(i);
      row.loss_se = is_full ? loss_se_.at(i) : low_se.at(i);
      table.losses.push_back(row);
    }
  }

  void append_ptq(Table& table) const {
    const Dataset* ptq = group("ptq");
    if (ptq == nullptr) return;
    const std::vector<std::string> dims{"checkpoint", "bits"};
    const auto column = [&](const char* name) { return Column(*ptq, name, dims, source_ + ": /ptq"); };
    const Column bits(*ptq, "bits", {"bits"}, source_ + ": /ptq");
    const Column delta = column("delta_nats"), delta_se = column("delta_se_nats"), predicted = column("predicted_nats"),
                 predicted_se = column("predicted_se_nats"), gradient = column("gradient_nats"),
                 quadratic = column("quadratic_nats"), step2 = column("mean_step2");
    const Dataset* curvature = group("curvature");
    Column probes;
    if (curvature != nullptr) probes = Column(*curvature, "trace_probes", {"checkpoint"}, source_ + ": /curvature");
    const auto count = static_cast<std::size_t>(ptq->length("bits"));
    expect_checkpoints(*ptq, "ptq");
    for (std::size_t i = 0; i < subjects_.size(); ++i)
      for (std::size_t j = 0; j < count; ++j) {
        PtqRow row;
        static_cast<Subject&>(row) = subjects_[i];
        row.P = bits.at(j);
        row.lr = lr_.at(i);
        row.loss = loss_.at(i);
        row.delta = delta.at(i, j);
        row.delta_se = delta_se.at(i, j);
        row.predicted = predicted.at(i, j);
        row.predicted_se = predicted_se.at(i, j);
        row.predicted_probes = probes.at(i);
        row.gradient = gradient.at(i, j);
        row.quadratic = quadratic.at(i, j);
        row.mean_step2 = step2.at(i, j);
        table.ptq.push_back(row);
      }
  }

  /// expects this run's rows of table.ptq, from `first_ptq` on, to be there already
  void append_sharpness(Table& table, std::size_t first_ptq) const {
    const Dataset* curvature = group("curvature");
    if (curvature == nullptr) return;
    const std::string where = source_ + ": /curvature";
    const Column trace(*curvature, "trace", {"checkpoint"}, where);
    const Column trace_se(*curvature, "trace_se", {"checkpoint"}, where);
    const Column frobenius2(*curvature, "frobenius2", {"checkpoint"}, where);
    const Column lambda(*curvature, "lambda", {"checkpoint", "rank"}, where);
    const std::size_t ranks = lambda.is_present() ? static_cast<std::size_t>(curvature->length("rank")) : 0;
    expect_checkpoints(*curvature, "curvature");
    for (std::size_t i = 0; i < subjects_.size(); ++i) {
      SharpnessRow row;
      static_cast<Subject&>(row) = subjects_[i];
      row.trace = trace.at(i);
      row.trace_se = trace_se.at(i);
      row.lambda_max = nan;
      for (std::size_t j = 0; j < ranks; ++j)  // the order of ranks is the recorder's business
        row.lambda_max = std::fmax(row.lambda_max, lambda.at(i, j));
      row.frobenius = std::sqrt(frobenius2.at(i));
      row.weight_norm2 = weight_norm2_.at(i);
      row.weighted_trace = weighted_trace(table, first_ptq, i);
      table.sharpness.push_back(row);
    }
  }

  void append_factorial(Table& table) const {
    const Dataset* factorial = group("factorial");
    if (factorial == nullptr) return;
    const std::string where = source_ + ": /factorial";
    const Column w(*factorial, "w_bits", {"cell"}, where), a(*factorial, "a_bits", {"cell"}, where),
        kv(*factorial, "kv_bits", {"cell"}, where);
    const Column delta(*factorial, "delta_nats", {"checkpoint", "cell"}, where);
    const Column delta_se(*factorial, "delta_se_nats", {"checkpoint", "cell"}, where);
    const auto count = static_cast<std::size_t>(factorial->length("cell"));
    expect_checkpoints(*factorial, "factorial");
    for (std::size_t i = 0; i < subjects_.size(); ++i)
      for (std::size_t j = 0; j < count; ++j) {
        FactorialRow row;
        static_cast<Subject&>(row) = subjects_[i];
        row.w_bits = w.at(j);
        row.a_bits = a.at(j);
        row.kv_bits = kv.at(j);
        row.delta = delta.at(i, j);
        row.delta_se = delta_se.at(i, j);
        table.factorial.push_back(row);
      }
  }

  void append_shift(Table& table) const {
    const Dataset* shift = group("shift");
    if (shift == nullptr) return;
    const std::string where = source_ + ": /shift";
    const std::vector<std::string> dims{"checkpoint", "bits"};
    const Column bits(*shift, "bits", {"bits"}, where), loss(*shift, "loss_nats", {"checkpoint"}, where);
    const Column delta(*shift, "delta_nats", dims, where), delta_se(*shift, "delta_se_nats", dims, where);
    const std::string data = shift->attributes().contains("data") ? text(*shift, "data") : "";
    expect_checkpoints(*shift, "shift");
    const auto count = static_cast<std::size_t>(shift->length("bits"));
    for (std::size_t i = 0; i < subjects_.size(); ++i)
      for (std::size_t j = 0; j < count; ++j) {
        ShiftRow row;
        static_cast<Subject&>(row) = subjects_[i];
        row.shifted_data = data;
        row.P = bits.at(j);
        row.loss = loss.at(i);
        row.delta = delta.at(i, j);
        row.delta_se = delta_se.at(i, j);
        table.shift.push_back(row);
      }
  }

  /// The schemes belong to the last checkpoint of the trunk.
  void append_schemes(Table& table) const {
    const Dataset* schemes = group("schemes");
    const auto last =
        std::find_if(subjects_.rbegin(), subjects_.rend(), [](const Subject& s) { return s.kind == Kind::trunk; });
    if (schemes == nullptr || last == subjects_.rend()) return;
    const std::string where = source_ + ": /schemes";
    const auto column = [&](const char* name) { return Column(*schemes, name, {"entry"}, where); };
    const Column bits = column("bits"), delta = column("delta_nats"), delta_se = column("delta_se_nats"),
                 gradient = column("gradient_nats"), quadratic = column("quadratic_nats");
    const auto& names = schemes->strings("scheme");
    for (std::size_t i = 0; i < names.size(); ++i) {
      SchemeRow row;
      static_cast<Subject&>(row) = *last;
      row.scheme = names[i];
      row.P = bits.at(i);
      row.delta = delta.at(i);
      row.delta_se = delta_se.at(i);
      row.gradient = gradient.at(i);
      row.quadratic = quadratic.at(i);
      table.schemes.push_back(row);
    }
  }

  void append_noise(Table& table) const {
    const Dataset* noise = group("noise");
    if (noise == nullptr) return;
    const std::string where = source_ + ": /noise";
    const std::vector<std::string> dims{"checkpoint", "subspace", "amplitude"};
    const Column energy(*noise, "energy", {"checkpoint", "amplitude"}, where);
    const Column delta(*noise, "delta_nats", dims, where), delta_se(*noise, "delta_se_nats", dims, where),
        predicted(*noise, "predicted_nats", dims, where);
    const Column residual(*noise, "residual_share", {"checkpoint"}, where);
    const Column null(*noise, "null_share", {"checkpoint"}, where);
    const Column curvature(*noise, "curvature_share", {"checkpoint"}, where);
    const Column curvature_null(*noise, "curvature_null_share", {"checkpoint"}, where);
    const auto& subspaces = noise->strings("subspace");
    const auto amplitudes = static_cast<std::size_t>(noise->length("amplitude"));
    expect_checkpoints(*noise, "noise");
    for (std::size_t i = 0; i < subjects_.size(); ++i)
      for (std::size_t j = 0; j < subspaces.size(); ++j)
        for (std::size_t k = 0; k < amplitudes; ++k) {
          NoiseRow row;
          static_cast<Subject&>(row) = subjects_[i];
          row.subspace = subspaces[j];
          row.energy = energy.at(i, k);
          row.delta = delta.at(i, j, k, amplitudes);
          row.delta_se = delta_se.at(i, j, k, amplitudes);
          row.predicted = predicted.at(i, j, k, amplitudes);
          row.residual_share = residual.at(i);
          row.null_share = null.at(i);
          row.curvature_share = curvature.at(i);
          row.curvature_null_share = curvature_null.at(i);
          table.noise.push_back(row);
        }
  }

 private:
  std::string text(const Dataset& group, const std::string& name) const {
    if (const auto* value = std::get_if<std::string>(&group.attribute(name))) return *value;
    throw FormatError(
        fmt::format("{}: attribute {} of /manifest is a number, expected text; run the study again", source_, name));
  }

  /// Seeds are recorded as an integer or as decimal text, so that all 64 bits survive.
  std::int64_t seed_of(const Dataset& manifest) const {
    const Attribute& value = manifest.attribute("seed");
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
  void read_recipe(Subject& subject, const Dataset& manifest) const {
    if (manifest.attributes().contains("model_name")) subject.model = text(manifest, "model_name");
    subject.schedule = option_text("model.schedule", "");
    subject.arm = option_text("model.arm", "main");
    subject.data = option_text("model.data", "");
    subject.peak_lr = option_number("model.lr", 0);
    subject.batch = option_number("train.batch", 0);
    subject.weight_decay = option_number("train.weight_decay", 0);
    subject.horizon = option_number("model.tokens", 0);
  }

  /// The options of the branch that a checkpoint ends: "branch1.", or nothing.
  std::string branch_of(const Subject& subject) const {
    if (subject.kind == Kind::trunk || subject.kind == Kind::average) return "";
    for (int i = 1; !option_text(fmt::format("branch{}.name", i), "").empty(); ++i)
      if (option_text(fmt::format("branch{}.name", i), "") == subject.variant) return fmt::format("branch{}.", i);
    return "";
  }

  /// Length of its branch and precision of its training: that of the branch, or that of the model for what the recorder
  /// marked.
  void read_branch(Subject& subject) const {
    const std::string branch = branch_of(subject);
    if (!branch.empty()) subject.branch_tokens = option_number(branch + "tokens", 0);
    const bool is_of_model = subject.variant.rfind("qat_", 0) == 0;
    const std::string section = is_of_model ? "model." : subject.kind == Kind::lowered ? branch : "";
    if (section.empty()) return;
    subject.train_w_bits = option_number(section + "train_weight_bits", 16);
    subject.train_a_bits = option_number(section + "train_activation_bits", 16);
    subject.train_kv_bits = option_number(section + "train_kv_bits", 16);
    subject.method = option_text(section + "method", "");
  }

  std::string option_text(const std::string& name, const std::string& otherwise) const {
    const Dataset* options = group("options");
    if (options == nullptr || !options->attributes().contains(name)) return otherwise;
    const auto* value = std::get_if<std::string>(&options->attribute(name));
    return value == nullptr ? otherwise : *value;
  }

  double option_number(const std::string& name, double otherwise) const {
    const Dataset* options = group("options");
    if (options == nullptr || !options->attributes().contains(name)) return otherwise;
    const Attribute& value = options->attribute(name);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
    const auto* real = std::get_if<double>(&value);
    return real == nullptr ? otherwise : *real;
  }

  double model_params_of(const Dataset& manifest) const {
    const Attribute& value = manifest.attribute("model_params");
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
    if (const auto* real = std::get_if<double>(&value)) return *real;
    throw FormatError(fmt::format(
        "{}: attribute model_params of /manifest is text, expected a number; run the study again", source_));
  }

  const Dataset* group(const std::string& name) const {
    const auto found = run_.groups.find(name);
    return found == run_.groups.end() ? nullptr : &found->second;
  }

  void expect_checkpoints(const Dataset& group, const std::string& name) const {
    if (group.length("checkpoint") != static_cast<std::int64_t>(subjects_.size()))
      throw FormatError(fmt::format("{}: group /{} has {} checkpoints, /checkpoints has {}; run the study again",
                                    source_, name, group.length("checkpoint"), subjects_.size()));
  }

  /// The step-weighted trace at the least usable bits of checkpoint i; NaN when not measured.
  double weighted_trace(const Table& table, std::size_t first_ptq, std::size_t i) const {
    const std::size_t bits = (table.ptq.size() - first_ptq) / subjects_.size();
    double least = std::numeric_limits<double>::infinity(), value = nan;
    for (std::size_t j = 0; j < bits; ++j) {
      const PtqRow& row = table.ptq[first_ptq + i * bits + j];
      if (row.P < reference_bits_min || row.P >= least) continue;
      least = row.P;
      value = 24 * row.predicted / row.mean_step2;
    }
    return value;
  }

  const RunFile& run_;
  std::string source_;
  std::vector<Subject> subjects_;
  Column lr_, loss_, loss_se_, weight_norm2_;
};

}  // namespace

std::string_view name_of(Architecture architecture) {
  return architecture == Architecture::transformer ? "transformer" : "mlp";
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::trunk: return "trunk";
    case Kind::average: return "average";
    case Kind::cooldown: return "cooldown";
    case Kind::tuned: return "tuned";
    case Kind::lowered: return "lowered";
  }
  return "";
}

Kind kind_of(std::string_view name, const std::string& source) { return named(kinds, "kind", name, source); }

Architecture architecture_of(std::string_view name, const std::string& source) {
  return named(architectures, "architecture", name, source);
}

void append_run(Table& table, const RunFile& run, const std::string& source) {
  const Reader reader(run, source);
  const std::size_t first_ptq = table.ptq.size();
  reader.append_ptq(table);
  reader.append_sharpness(table, first_ptq);
  reader.append_factorial(table);
  reader.append_noise(table);
  reader.append_losses(table);
  reader.append_shift(table);
  reader.append_schemes(table);
}

Table collect(const std::vector<std::filesystem::path>& paths) {
  Table table;
  for (const auto& path : paths) append_run(table, read_run_file(path), path.string());
  return table;
}

}  // namespace hone::theory
