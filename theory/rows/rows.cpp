#include "theory/rows/rows.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
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

/// A number or a text of a row, and the field that holds it.
template <class Row>
struct NumberOf {
  FieldFacts field;
  double Row::*member;
};
template <class Row>
struct TextOf {
  Field<std::string> field;
  std::string Row::*member;
};

/// How the rows of a kind lie in a run file: one for each entry of the group along `axes`. A field of fewer axes, or of
/// another group, repeats.
template <class Row>
struct Layout {
  const char* group;
  std::vector<std::string> axes;
  std::vector<NumberOf<Row>> numbers;
  std::vector<TextOf<Row>> texts{};
};

Layout<PtqRow> ptq_layout() {
  constexpr const schema::Ptq& f = schema::ptq;
  return {f.group,
          {schema::axis::checkpoint, schema::axis::bits},
          {{f.bits, &PtqRow::P},
           {schema::checkpoints.loss_nats, &PtqRow::loss},
           {f.delta_nats, &PtqRow::delta},
           {f.delta_se_nats, &PtqRow::delta_se},
           {f.predicted_nats, &PtqRow::predicted},
           {f.predicted_se_nats, &PtqRow::predicted_se},
           {schema::curvature.trace_probes, &PtqRow::predicted_probes},
           {f.gradient_nats, &PtqRow::gradient},
           {f.remainder_se_nats, &PtqRow::remainder_se},
           {f.quadratic_nats, &PtqRow::quadratic},
           {f.mean_step2, &PtqRow::mean_step2}}};
}

Layout<SharpnessRow> sharpness_layout() {
  constexpr const schema::Curvature& f = schema::curvature;
  return {f.group,
          {schema::axis::checkpoint},
          {{f.trace, &SharpnessRow::trace},
           {f.trace_se, &SharpnessRow::trace_se},
           {schema::checkpoints.weight_norm2, &SharpnessRow::weight_norm2},
           {schema::preconditioned.lambda_max, &SharpnessRow::preconditioned},
           {schema::preconditioned.stability_threshold, &SharpnessRow::stability}}};
}

Layout<FactorialRow> factorial_layout() {
  constexpr const schema::Factorial& f = schema::factorial;
  return {f.group,
          {schema::axis::checkpoint, schema::axis::cell},
          {{f.w_bits, &FactorialRow::w_bits},
           {f.a_bits, &FactorialRow::a_bits},
           {f.kv_bits, &FactorialRow::kv_bits},
           {f.delta_nats, &FactorialRow::delta},
           {f.delta_se_nats, &FactorialRow::delta_se}}};
}

Layout<NoiseRow> noise_layout() {
  constexpr const schema::Noise& f = schema::noise;
  return {f.group,
          {schema::axis::checkpoint, schema::axis::subspace, schema::axis::amplitude},
          {{f.energy, &NoiseRow::energy},
           {f.delta_nats, &NoiseRow::delta},
           {f.delta_se_nats, &NoiseRow::delta_se},
           {f.predicted_nats, &NoiseRow::predicted},
           {f.residual_share, &NoiseRow::residual_share},
           {f.null_share, &NoiseRow::null_share},
           {f.curvature_share, &NoiseRow::curvature_share},
           {f.curvature_null_share, &NoiseRow::curvature_null_share}},
          {{f.subspace, &NoiseRow::subspace}}};
}

Layout<LossRow> loss_layout() {
  constexpr const schema::Checkpoints& f = schema::checkpoints;
  return {f.group, {schema::axis::checkpoint}, {{f.loss_nats, &LossRow::loss}, {f.loss_se_nats, &LossRow::loss_se}}};
}

Layout<ShiftRow> shift_layout() {
  constexpr const schema::Shift& f = schema::shift;
  return {f.group,
          {schema::axis::checkpoint, schema::axis::bits},
          {{f.bits, &ShiftRow::P},
           {f.loss_nats, &ShiftRow::loss},
           {f.delta_nats, &ShiftRow::delta},
           {f.delta_se_nats, &ShiftRow::delta_se}}};
}

/// The schemes belong to the last checkpoint of the trunk.
Layout<SchemeRow> scheme_layout() {
  constexpr const schema::Schemes& f = schema::schemes;
  return {f.group,
          {schema::axis::entry},
          {{f.bits, &SchemeRow::P},
           {f.delta_nats, &SchemeRow::delta},
           {f.delta_se_nats, &SchemeRow::delta_se},
           {f.gradient_nats, &SchemeRow::gradient},
           {f.quadratic_nats, &SchemeRow::quadratic}},
          {{f.scheme, &SchemeRow::scheme}}};
}

/// The entries of a field in an array over `axes`.
class Projection {
 public:
  Projection(const FieldFacts& field, const std::vector<std::string>& axes) {
    for (const std::string& dim : field.dim_names())
      axis_of_.push_back(std::size_t(std::find(axes.begin(), axes.end(), dim) - axes.begin()));
  }
  Place operator()(const Place& entry) const {
    Place place{};
    for (std::size_t i = 0; i < axis_of_.size(); ++i) place[i] = entry[axis_of_[i]];
    return place;
  }

 private:
  std::vector<std::size_t> axis_of_;
};

/// One run under reading: its checkpoints, and access to the groups that hang on them.
class Reader {
 public:
  Reader(const RunFile& run, std::string source) : run_(run), source_(std::move(source)) {
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

  /// Appends the rows of a group in the order of its axes; finish(row, entry) adds what no field says.
  template <class Row, class Finish>
  void append(std::vector<Row>& rows, const Layout<Row>& layout, Finish&& finish) const {
    const Dataset* group = group_of(run_, layout.group);
    if (!group) return;
    const bool is_by_checkpoint = layout.axes[0] == schema::axis::checkpoint;
    const Subject* last = last_of_trunk();
    if (is_by_checkpoint) expect_checkpoints(*group, layout.group);
    if (!is_by_checkpoint && !last) return;
    std::vector<std::pair<Column, Projection>> columns;
    for (const auto& number : layout.numbers) {
      columns.emplace_back(Column(run_, number.field, source_), Projection(number.field, layout.axes));
      const Dataset* other = group_of(run_, number.field.group);
      if (is_by_checkpoint && other && columns.back().first.is_present() && number.field.dims[0] == layout.axes[0])
        expect_checkpoints(*other, number.field.group);
    }
    Place lengths{1, 1, 1}, at{};
    for (std::size_t i = 0; i < layout.axes.size(); ++i) lengths[i] = std::size_t(group->length(layout.axes[i]));
    for (at[0] = 0; at[0] < lengths[0]; ++at[0])
      for (at[1] = 0; at[1] < lengths[1]; ++at[1])
        for (at[2] = 0; at[2] < lengths[2]; ++at[2]) {
          Row row;
          static_cast<Subject&>(row) = is_by_checkpoint ? subjects_[at[0]] : *last;
          for (std::size_t i = 0; i < columns.size(); ++i)
            row.*layout.numbers[i].member = columns[i].first.at(columns[i].second(at));
          for (const auto& text : layout.texts)
            row.*text.member = values_of(*group, text.field)[Projection(text.field, layout.axes)(at)[0]];
          finish(row, at);
          rows.push_back(row);
        }
  }

  template <class Row>
  void append(std::vector<Row>& rows, const Layout<Row>& layout) const {
    append(rows, layout, [](Row&, const Place&) {});
  }

  /// Losses at the precision of training: /qat where it is low.
  void append_losses(Table& table) const {
    if (const Dataset* qat = group_of(run_, schema::qat.group)) expect_checkpoints(*qat, schema::qat.group);
    const Column low(run_, schema::qat.loss_nats, source_), low_se(run_, schema::qat.loss_se_nats, source_);
    append(table.losses, loss_layout(), [&](LossRow& row, const Place& at) {
      if (row.is_full_precision()) return;
      row.loss = low.at(at);
      row.loss_se = low_se.at(at);
    });
  }

  /// expects this run's rows of table.ptq, from `first_ptq` on, to be there already
  void append_sharpness(Table& table, std::size_t first_ptq) const {
    const Dataset* group = group_of(run_, schema::curvature.group);
    const Column frobenius2(run_, schema::curvature.frobenius2, source_),
        lambda(run_, schema::curvature.lambda, source_);
    const std::size_t ranks = lambda.is_present() ? std::size_t(group->length(schema::axis::rank)) : 0;
    append(table.sharpness, sharpness_layout(), [&](SharpnessRow& row, const Place& at) {
      row.lambda_max = nan;
      for (std::size_t j = 0; j < ranks; ++j)  // the order of ranks is the recorder's business
        row.lambda_max = std::fmax(row.lambda_max, lambda.at(at[0], j));
      row.frobenius = std::sqrt(frobenius2.at(at));
      row.weighted_trace = weighted_trace(table, first_ptq, at[0]);
    });
  }

  void append_shift(Table& table) const {
    const Dataset* group = group_of(run_, schema::shift.group);
    const std::string data =
        group && group->attributes().contains(schema::shift.data.name) ? text(*group, schema::shift.data) : "";
    append(table.shift, shift_layout(), [&](ShiftRow& row, const Place&) { row.shifted_data = data; });
  }

 private:
  std::string text(const Dataset& group, const Fact<std::string>& fact) const {
    if (const auto* value = std::get_if<std::string>(&group.attribute(fact.name))) return *value;
    throw FormatError(fmt::format("{}: attribute {} of /{} is a number, expected text; run the study again", source_,
                                  fact.name, fact.group));
  }

  /// Seeds are recorded as an integer or as decimal text, so that all 64 bits survive.
  std::int64_t seed_of(const Dataset& manifest) const {
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
  void read_recipe(Subject& subject, const Dataset& manifest) const {
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
    subject.horizon = option(f.model_tokens.name, 0.0);
  }

  /// The section of the branch that a checkpoint ends: "branch1", or nothing.
  std::string branch_of(const Subject& subject) const {
    if (subject.kind == Kind::trunk || subject.kind == Kind::average) return "";
    for (int i = 1;; ++i) {
      const std::string section = fmt::format("branch{}", i);
      const std::string name = option(section + ".name", std::string());
      if (name == subject.variant) return section;
      if (name.empty()) return "";
    }
  }

  /// Length of its branch and precision of its training: that of the branch, or that of the model for what the recorder
  /// marked.
  void read_branch(Subject& subject) const {
    constexpr const schema::Options& f = schema::options;
    const std::string branch = branch_of(subject);
    if (!branch.empty()) subject.branch_tokens = option(in_section(f.model_tokens, branch), 0.0);
    const bool is_of_model = subject.variant.rfind("qat_", 0) == 0;
    const std::string section = is_of_model ? "model" : subject.kind == Kind::lowered ? branch : "";
    if (section.empty()) return;
    subject.train_w_bits = option(in_section(f.model_train_weight_bits, section), 16.0);
    subject.train_a_bits = option(in_section(f.model_train_activation_bits, section), 16.0);
    subject.train_kv_bits = option(in_section(f.model_train_kv_bits, section), 16.0);
    subject.method = option(in_section(f.model_method, section), std::string());
  }

  /// The share of an average's weight that lies in the warm-up.
  /// math    ema with decay b at step t, warm-up of w steps: b^(t - w); lawa: of its last snapshots, one each `every`
  ///         steps, those up to w
  double warmup_weight(const std::string& variant, double step) const {
    constexpr const schema::Options& f = schema::options;
    const double warmup = option(f.train_warmup_steps.name, 0.0);
    if (variant == "ema" || variant == "qat_ema")
      return std::pow(option(f.train_ema_decay.name, 0.0), std::max(0.0, step - warmup));
    const double every = option(f.train_lawa_every.name, 1.0), window = option(f.train_lawa_window.name, 0.0);
    const double last = std::floor(step / every), first = std::max(1.0, last - window + 1);
    const double early = std::clamp(std::floor(warmup / every) - first + 1, 0.0, last - first + 1);
    return early > 0 ? early / (last - first + 1) : 0;
  }

  /// An option of the run; `otherwise` where it is absent or of another type. Integers are numbers too.
  template <class T>
  T option(const std::string& name, T otherwise) const {
    const Dataset* options = group_of(run_, schema::options.group);
    if (!options || !options->attributes().contains(name)) return otherwise;
    const Attribute& value = options->attribute(name);
    if constexpr (std::is_same_v<T, double>)
      if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
    const auto* found = std::get_if<T>(&value);
    return found ? *found : otherwise;
  }

  double model_params_of(const Dataset& manifest) const {
    const Attribute& value = manifest.attribute(schema::manifest.model_params.name);
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
    if (const auto* real = std::get_if<double>(&value)) return *real;
    throw FormatError(fmt::format(
        "{}: attribute model_params of /manifest is text, expected a number; run the study again", source_));
  }

  const Subject* last_of_trunk() const {
    const auto last =
        std::find_if(subjects_.rbegin(), subjects_.rend(), [](const Subject& s) { return s.kind == Kind::trunk; });
    return last == subjects_.rend() ? nullptr : &*last;
  }

  void expect_checkpoints(const Dataset& group, const std::string& name) const {
    const std::int64_t count = group.length(schema::axis::checkpoint);
    if (count != static_cast<std::int64_t>(subjects_.size()))
      throw FormatError(fmt::format("{}: group /{} has {} checkpoints, /checkpoints has {}; run the study again",
                                    source_, name, count, subjects_.size()));
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
  reader.append(table.ptq, ptq_layout());
  reader.append_sharpness(table, first_ptq);
  reader.append(table.factorial, factorial_layout());
  reader.append(table.noise, noise_layout());
  reader.append_losses(table);
  reader.append_shift(table);
  reader.append(table.schemes, scheme_layout());
}

Table collect(const std::vector<std::filesystem::path>& paths) {
  Table table;
  for (const auto& path : paths) append_run(table, read_run_file(path), path.string());
  return table;
}

}  // namespace hone::theory
