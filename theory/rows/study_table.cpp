#include "theory/rows/study_table.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
#include "theory/rows/column.hpp"
#include "theory/rows/csv.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Where a row stands in its run: a checkpoint, and one of the bits of /ptq unless there are none.
struct RowPlace {
  std::size_t checkpoint = 0;
  std::optional<double> bits;
};

/// One run as its rows see it.
class RunRows {
 public:
  RunRows(const RunFile& run, std::string file, std::string sha256)
      : file_(std::move(file)), sha256_(std::move(sha256)), run_(run) {
    Table table;
    append_run(table, run, file_);
    checkpoints_ = std::move(table.losses);
    sharpness_ = std::move(table.sharpness);
    const std::vector<double> bits = bits_of(schema::ptq.group);
    for (std::size_t i = 0; i < checkpoints_.size(); ++i) {
      if (bits.empty()) places_.push_back({i, {}});
      for (const double b : bits) places_.push_back({i, b});
    }
  }

  const std::string& file() const { return file_; }
  const std::string& sha256() const { return sha256_; }
  const Subject& subject(const RowPlace& at) const { return checkpoints_[at.checkpoint]; }
  double lambda_max(const RowPlace& at) const {
    return sharpness_.empty() ? nan : sharpness_[at.checkpoint].lambda_max;
  }

  /// One value per row.
  template <class T>
  std::vector<T> each(const std::function<T(const RowPlace&)>& value) const {
    std::vector<T> values;
    for (const RowPlace& at : places_) values.push_back(value(at));
    return values;
  }

  /// An attribute of a group; the empty one where it is absent or of the other type.
  std::string text(const FieldFacts& fact) const {
    const Attribute* value = attribute(fact);
    const auto* text = value ? std::get_if<std::string>(value) : nullptr;
    return text ? *text : "";
  }
  double number(const FieldFacts& fact) const {
    const Attribute* value = attribute(fact);
    if (!value) return nan;
    if (const auto* integer = std::get_if<std::int64_t>(value)) return static_cast<double>(*integer);
    const auto* real = std::get_if<double>(value);
    return real ? *real : nan;
  }

  /// A variable over checkpoints.
  std::vector<double> numbers(const FieldFacts& field) const {
    const Column column(run_, field, file_);
    return each<double>([&](const RowPlace& at) { return column.at(at.checkpoint); });
  }

  /// A variable over checkpoints and the group's own bits.
  std::vector<double> numbers_at_bits(const FieldFacts& field) const {
    const Column column(run_, field, file_);
    const std::vector<double> known = bits_of(field.group);
    return each<double>([&](const RowPlace& at) {
      for (std::size_t j = 0; j < known.size(); ++j)
        if (at.bits == known[j]) return column.at(at.checkpoint, j);
      return nan;
    });
  }

 private:
  const Attribute* attribute(const FieldFacts& fact) const {
    const Dataset* data = group_of(run_, fact.group);
    if (!data) return nullptr;
    const auto found = data->attributes().find(fact.name);
    return found == data->attributes().end() ? nullptr : &found->second;
  }

  /// The widths of /ptq or /shift.
  std::vector<double> bits_of(const std::string& group) const {
    const bool is_ptq = group == schema::ptq.group;
    const Column bits(run_, is_ptq ? schema::ptq.bits : schema::shift.bits, file_);
    std::vector<double> values(bits.is_present() ? std::size_t(group_of(run_, group)->length(schema::axis::bits)) : 0);
    for (std::size_t j = 0; j < values.size(); ++j) values[j] = bits.at(j);
    return values;
  }

  std::string file_, sha256_;
  const RunFile& run_;
  std::vector<LossRow> checkpoints_;
  std::vector<SharpnessRow> sharpness_;
  std::vector<RowPlace> places_;
};

/// A column of the table and where its values come from.
struct TableColumn {
  const char* name;
  FieldFacts::Type type;
  const char* unit;
  const char* meaning;
  std::function<Values(const RunRows&)> values;
};

template <class T>
TableColumn of_subject(const char* name, const char* unit, const char* meaning, T Subject::*member) {
  return {name, detail::type_of<T>, unit, meaning,
          [=](const RunRows& run) { return run.each<T>([&](const RowPlace& at) { return run.subject(at).*member; }); }};
}

/// Of the same meaning as a fact of the schema.
template <class T>
TableColumn of_subject(const char* name, const FieldFacts& fact, T Subject::*member) {
  return of_subject(name, fact.unit, fact.meaning, member);
}

/// Of an enum with name_of.
template <class Enum>
TableColumn named_of_subject(const char* name, const FieldFacts& fact, Enum Subject::*member) {
  return {
      name, FieldFacts::Type::text, fact.unit, fact.meaning, [=](const RunRows& run) {
        return run.each<std::string>([&](const RowPlace& at) { return std::string(name_of(run.subject(at).*member)); });
      }};
}

TableColumn of_run(const char* name, const char* meaning, std::function<std::string(const RunRows&)> text) {
  return {name, FieldFacts::Type::text, "1", meaning, [text = std::move(text)](const RunRows& run) {
            const std::string value = text(run);
            return run.each<std::string>([&](const RowPlace&) { return value; });
          }};
}

TableColumn text_of(const char* name, const Fact<std::string>& fact) {
  return of_run(name, fact.meaning, [fact](const RunRows& run) { return run.text(fact); });
}

TableColumn number_of(const char* name, const FieldFacts& fact) {
  return {name, FieldFacts::Type::float64, fact.unit, fact.meaning, [fact](const RunRows& run) {
            const double value = run.number(fact);
            return run.each<double>([&](const RowPlace&) { return value; });
          }};
}

TableColumn at_checkpoint(const char* name, const FieldFacts& field) {
  return {name, FieldFacts::Type::float64, field.unit, field.meaning,
          [field](const RunRows& run) { return run.numbers(field); }};
}

TableColumn at_bits(const char* name, const FieldFacts& field) {
  return {name, FieldFacts::Type::float64, field.unit, field.meaning,
          [field](const RunRows& run) { return run.numbers_at_bits(field); }};
}

void add_run_columns(std::vector<TableColumn>& f) {
  constexpr const schema::Manifest& m = schema::manifest;
  constexpr const schema::Options& o = schema::options;
  f.push_back(text_of("study", m.study));
  f.push_back(of_subject("run", m.run_id, &Subject::run));
  f.push_back(of_run("file", "run file, from the folder of the study", [](const RunRows& run) { return run.file(); }));
  f.push_back(of_run("file_sha256", "SHA-256 of that whole file", [](const RunRows& run) { return run.sha256(); }));
  f.push_back(text_of("outcome", m.outcome));
  f.push_back(of_subject("model", m.model_name, &Subject::model));
  f.push_back(of_subject("arm", o.model_arm, &Subject::arm));
  f.push_back(named_of_subject("architecture", m.architecture, &Subject::architecture));
  f.push_back(of_subject("seed", "1", "seed of the run", &Subject::seed));
  f.push_back(of_subject("params", m.model_params, &Subject::N));
  f.push_back(number_of("total_params", m.total_params));
  f.push_back(text_of("data", o.model_data));
  f.push_back(text_of("shifted_data", o.model_shifted_data));
  f.push_back(number_of("horizon_tokens", o.model_tokens));
  f.push_back(of_subject("schedule", o.model_schedule, &Subject::schedule));
  f.push_back(number_of("peak_lr", o.model_lr));
  f.push_back(number_of("batch", o.train_batch));
  f.push_back(number_of("weight_decay", o.train_weight_decay));
  f.push_back(number_of("sam_rho", o.train_sam_rho));
  f.push_back(number_of("gradient_penalty", o.train_gradient_penalty));
  f.push_back(of_subject("train_format", o.model_train_format, &Subject::train_format));
  f.push_back(text_of("grid", o.quantize_grid));
  f.push_back(text_of("granularity", o.quantize_granularity));
  f.push_back(of_subject("rounding", o.quantize_rounding, &Subject::rounding));
  f.push_back(of_subject("style", o.model_kind, &Subject::style));
  f.push_back(of_subject("layers", o.model_layers, &Subject::layers));
  f.push_back(of_subject("width", o.model_width, &Subject::width));
  f.push_back(of_subject("heads", o.model_heads, &Subject::heads));
  f.push_back(of_subject("kv_heads", o.model_kv_heads, &Subject::kv_heads));
  f.push_back(of_subject("mlp_width", o.model_mlp_width, &Subject::mlp_width));
  f.push_back(of_subject("experts", o.model_experts, &Subject::experts));
  f.push_back(of_subject("experts_per_token", o.model_experts_per_token, &Subject::experts_per_token));
  f.push_back(of_subject("sub_norms", o.model_sub_norms, &Subject::sub_norms));
}

void add_checkpoint_columns(std::vector<TableColumn>& f) {
  constexpr const schema::Checkpoints& c = schema::checkpoints;
  constexpr const schema::Options& o = schema::options;
  f.push_back({"checkpoint", FieldFacts::Type::int64, "1", "row of /checkpoints in the run file, from 0",
               [](const RunRows& run) {
                 return run.each<std::int64_t>([](const RowPlace& at) { return std::int64_t(at.checkpoint); });
               }});
  f.push_back(at_checkpoint("step", c.step));
  f.push_back(of_subject("tokens", c.tokens, &Subject::D));
  f.push_back(of_subject("variant", c.variant, &Subject::variant));
  f.push_back(named_of_subject("kind", c.kind, &Subject::kind));
  f.push_back(of_subject("branched_at", c.branched_at, &Subject::branched_at));
  f.push_back(of_subject("method", o.model_method, &Subject::method));
  f.push_back(of_subject("train_weight_bits", o.model_train_weight_bits, &Subject::train_w_bits));
  f.push_back(of_subject("train_activation_bits", o.model_train_activation_bits, &Subject::train_a_bits));
  f.push_back(of_subject("train_kv_bits", o.model_train_kv_bits, &Subject::train_kv_bits));
  f.push_back(at_checkpoint("lr", c.lr));
  f.push_back(at_checkpoint("loss_nats", c.loss_nats));
  f.push_back(at_checkpoint("loss_se_nats", c.loss_se_nats));
  f.push_back(at_checkpoint("shifted_loss_nats", schema::shift.loss_nats));
  f.push_back(at_checkpoint("shifted_loss_se_nats", schema::shift.loss_se_nats));
  f.push_back(at_checkpoint("weight_norm2", c.weight_norm2));
  f.push_back(at_checkpoint("trace_nats", schema::curvature.trace));
  f.push_back(at_checkpoint("trace_se_nats", schema::curvature.trace_se));
  f.push_back(
      {"lambda_max_nats", FieldFacts::Type::float64, schema::curvature.lambda.unit, "largest eigenvalue of H",
       [](const RunRows& run) { return run.each<double>([&](const RowPlace& at) { return run.lambda_max(at); }); }});
  f.push_back(at_checkpoint("certificates_failed", schema::curvature.certificates_failed));
}

void add_bits_columns(std::vector<TableColumn>& f) {
  constexpr const schema::Ptq& p = schema::ptq;
  f.push_back({"bits", FieldFacts::Type::float64, p.bits.unit, p.bits.meaning, [](const RunRows& run) {
                 return run.each<double>([](const RowPlace& at) { return at.bits.value_or(nan); });
               }});
  f.push_back(at_bits("bits_per_weight", p.bits_per_weight));
  f.push_back(at_bits("delta_nats", p.delta_nats));
  f.push_back(at_bits("delta_se_nats", p.delta_se_nats));
  f.push_back(at_bits("predicted_nats", p.predicted_nats));
  f.push_back(at_bits("predicted_se_nats", p.predicted_se_nats));
  f.push_back(at_bits("gradient_nats", p.gradient_nats));
  f.push_back(at_bits("quadratic_nats", p.quadratic_nats));
  f.push_back(at_bits("mean_step2", p.mean_step2));
  f.push_back(at_bits("shifted_delta_nats", schema::shift.delta_nats));
  f.push_back(at_bits("shifted_delta_se_nats", schema::shift.delta_se_nats));
}

const std::vector<TableColumn>& columns() {
  static const std::vector<TableColumn> all = [] {
    std::vector<TableColumn> f;
    add_run_columns(f);
    add_checkpoint_columns(f);
    add_bits_columns(f);
    return f;
  }();
  return all;
}

}  // namespace

void append_rows(Dataset& table, const RunFile& run, const std::string& file, const std::string& sha256) {
  const RunRows rows(run, file, sha256);
  Dataset more(file);
  for (const TableColumn& column : columns())
    more.set(column.name, vector_variable("row", column.values(rows), column.unit, column.meaning));
  table.append(more, "row");
}

std::string table_as_markdown() {
  std::string text = "| column | type | unit | meaning |\n|---|---|---|---|\n";
  for (const TableColumn& column : columns())
    text += fmt::format("| {} | {} | {} | {} |\n", column.name, name_of(column.type), column.unit, column.meaning);
  return text;
}

std::string to_csv(const Dataset& table) {
  std::vector<std::string> names;
  for (const TableColumn& column : columns()) names.emplace_back(column.name);
  return to_csv(table, "row", names);
}

}  // namespace hone::theory
