#include "theory/rows/study_table.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "theory/rows/column.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Where a row stands in its run: a checkpoint, and one of the bits of /ptq unless there are none.
struct Place {
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
    const std::vector<double> bits = bits_of("ptq");
    for (std::size_t i = 0; i < checkpoints_.size(); ++i) {
      if (bits.empty()) places_.push_back({i, {}});
      for (const double b : bits) places_.push_back({i, b});
    }
  }

  const std::string& file() const { return file_; }
  const std::string& sha256() const { return sha256_; }
  const Subject& subject(const Place& at) const { return checkpoints_[at.checkpoint]; }
  double lambda_max(const Place& at) const { return sharpness_.empty() ? nan : sharpness_[at.checkpoint].lambda_max; }

  /// One value per row.
  template <class T>
  std::vector<T> each(const std::function<T(const Place&)>& value) const {
    std::vector<T> values;
    for (const Place& at : places_) values.push_back(value(at));
    return values;
  }

  /// An attribute of a group; the empty one where it is absent or of the other type.
  std::string text(const char* group, const char* name) const {
    const Attribute* value = attribute(group, name);
    const auto* text = value ? std::get_if<std::string>(value) : nullptr;
    return text ? *text : "";
  }
  double number(const char* group, const char* name) const {
    const Attribute* value = attribute(group, name);
    if (!value) return nan;
    if (const auto* integer = std::get_if<std::int64_t>(value)) return static_cast<double>(*integer);
    const auto* real = std::get_if<double>(value);
    return real ? *real : nan;
  }

  /// A variable over checkpoints.
  std::vector<double> numbers(const char* name, const char* variable) const {
    const Column column = measured(name, variable, {"checkpoint"});
    return each<double>([&](const Place& at) { return column.at(at.checkpoint); });
  }

  /// A variable over checkpoints and the group's own bits.
  std::vector<double> numbers_at_bits(const char* name, const char* variable) const {
    const Column column = measured(name, variable, {"checkpoint", "bits"});
    const std::vector<double> known = bits_of(name);
    return each<double>([&](const Place& at) {
      for (std::size_t j = 0; j < known.size(); ++j)
        if (at.bits == known[j]) return column.at(at.checkpoint, j);
      return nan;
    });
  }

 private:
  const Dataset* group(const char* name) const {
    const auto found = run_.groups.find(name);
    return found == run_.groups.end() ? nullptr : &found->second;
  }

  const Attribute* attribute(const char* name, const char* key) const {
    const Dataset* data = group(name);
    if (!data) return nullptr;
    const auto found = data->attributes().find(key);
    return found == data->attributes().end() ? nullptr : &found->second;
  }

  /// append_run has checked that these groups have a row per checkpoint.
  Column measured(const char* name, const char* variable, const std::vector<std::string>& dims) const {
    const Dataset* data = group(name);
    return data ? Column(*data, variable, dims, fmt::format("{}: /{}", file_, name)) : Column();
  }

  std::vector<double> bits_of(const char* name) const {
    const Dataset* data = group(name);
    if (!data || !data->has("bits")) return {};
    const Column bits(*data, "bits", {"bits"}, fmt::format("{}: /{}", file_, name));
    std::vector<double> values(static_cast<std::size_t>(data->length("bits")));
    for (std::size_t j = 0; j < values.size(); ++j) values[j] = bits.at(j);
    return values;
  }

  std::string file_, sha256_;
  const RunFile& run_;
  std::vector<LossRow> checkpoints_;
  std::vector<SharpnessRow> sharpness_;
  std::vector<Place> places_;
};

/// A column of the table and where its values come from.
struct Field {
  const char* name;
  const char* unit;
  const char* meaning;
  std::function<Values(const RunRows&)> values;
};

template <class T>
Field of_subject(const char* name, const char* unit, const char* meaning, T Subject::*member) {
  return {name, unit, meaning,
          [=](const RunRows& run) { return run.each<T>([&](const Place& at) { return run.subject(at).*member; }); }};
}

/// Of an enum with name_of.
template <class Enum>
Field named_of_subject(const char* name, const char* meaning, Enum Subject::*member) {
  return {
      name, "1", meaning, [=](const RunRows& run) {
        return run.each<std::string>([&](const Place& at) { return std::string(name_of(run.subject(at).*member)); });
      }};
}

Field of_run(const char* name, const char* meaning, std::function<std::string(const RunRows&)> text) {
  return {name, "1", meaning, [text = std::move(text)](const RunRows& run) {
            const std::string value = text(run);
            return run.each<std::string>([&](const Place&) { return value; });
          }};
}

Field text_of(const char* name, const char* meaning, const char* group, const char* attribute) {
  return of_run(name, meaning, [=](const RunRows& run) { return run.text(group, attribute); });
}

Field number_of(const char* name, const char* unit, const char* meaning, const char* group, const char* attribute) {
  return {name, unit, meaning, [=](const RunRows& run) {
            const double value = run.number(group, attribute);
            return run.each<double>([&](const Place&) { return value; });
          }};
}

Field at_checkpoint(const char* name, const char* unit, const char* meaning, const char* group, const char* variable) {
  return {name, unit, meaning, [=](const RunRows& run) { return run.numbers(group, variable); }};
}

Field at_bits(const char* name, const char* unit, const char* meaning, const char* group, const char* variable) {
  return {name, unit, meaning, [=](const RunRows& run) { return run.numbers_at_bits(group, variable); }};
}

void add_run_fields(std::vector<Field>& f) {
  f.push_back(text_of("study", "name of the study", "manifest", "study"));
  f.push_back(of_subject("run", "1", "id of the run", &Subject::run));
  f.push_back(of_run("file", "run file, from the folder of the study", [](const RunRows& run) { return run.file(); }));
  f.push_back(of_run("file_sha256", "SHA-256 of that whole file", [](const RunRows& run) { return run.sha256(); }));
  f.push_back(text_of("outcome", "`complete`, or why the run ended early", "manifest", "outcome"));
  f.push_back(of_subject("model", "1", "name of the model in the study", &Subject::model));
  f.push_back(of_subject("arm", "1", "arm of the study that the model belongs to", &Subject::arm));
  f.push_back(named_of_subject("architecture", "`transformer` or `mlp`", &Subject::architecture));
  f.push_back(of_subject("seed", "1", "seed of the run", &Subject::seed));
  f.push_back(of_subject("params", "1", "N, quantizable parameters", &Subject::N));
  f.push_back(number_of("total_params", "1", "all parameters", "manifest", "total_params"));
  f.push_back(text_of("data", "what it was trained on", "options", "model.data"));
  f.push_back(text_of("shifted_data", "what it was evaluated on besides", "options", "model.shifted_data"));
  f.push_back(number_of("horizon_tokens", "tokens", "tokens at the end of the trunk", "options", "model.tokens"));
  f.push_back(of_subject("schedule", "1", "schedule of the trunk's learning rate", &Subject::schedule));
  f.push_back(number_of("peak_lr", "1", "peak learning rate", "options", "model.lr"));
  f.push_back(number_of("batch", "1", "sequences (mlp: examples) per update", "options", "train.batch"));
  f.push_back(number_of("weight_decay", "1", "weight decay", "options", "train.weight_decay"));
  f.push_back(text_of("grid", "grid of weights quantized after training", "options", "quantize.grid"));
  f.push_back(text_of("granularity", "weights that share a scale", "options", "quantize.granularity"));
}

void add_checkpoint_fields(std::vector<Field>& f) {
  f.push_back({"checkpoint", "1", "row of /checkpoints in the run file, from 0", [](const RunRows& run) {
                 return run.each<std::int64_t>([](const Place& at) { return std::int64_t(at.checkpoint); });
               }});
  f.push_back(at_checkpoint("step", "1", "optimizer updates done", "checkpoints", "step"));
  f.push_back(of_subject("tokens", "tokens", "D, training tokens seen", &Subject::D));
  f.push_back(of_subject("variant", "1", "`trunk`, `ema`, `lawa`, or the name of a branch", &Subject::variant));
  f.push_back(named_of_subject("kind", "`trunk`, `average`, `cooldown`, `tuned` or `lowered`", &Subject::kind));
  f.push_back(of_subject("branched_at", "tokens", "tokens of the trunk where a branch left it", &Subject::branched_at));
  f.push_back(of_subject("method", "1", "of training at low precision: `qat`, `lsq` or `bitnet`", &Subject::method));
  f.push_back(of_subject("train_weight_bits", "1", "bits of weights in training; 16 = full", &Subject::train_w_bits));
  f.push_back(of_subject("train_activation_bits", "1", "bits of activations in training", &Subject::train_a_bits));
  f.push_back(of_subject("train_kv_bits", "1", "bits of keys and values in training", &Subject::train_kv_bits));
  f.push_back(at_checkpoint("lr", "1", "learning rate of the last update", "checkpoints", "lr"));
  f.push_back(at_checkpoint("loss_nats", "nats", "held-out loss, not quantized", "checkpoints", "loss_nats"));
  f.push_back(at_checkpoint("loss_se_nats", "nats", "its standard error", "checkpoints", "loss_se_nats"));
  f.push_back(at_checkpoint("shifted_loss_nats", "nats", "loss on the shifted data", "shift", "loss_nats"));
  f.push_back(at_checkpoint("shifted_loss_se_nats", "nats", "its standard error", "shift", "loss_se_nats"));
  f.push_back(at_checkpoint("weight_norm2", "1", "sum of squared quantizable weights", "checkpoints", "weight_norm2"));
  f.push_back(at_checkpoint("trace_nats", "nats", "tr H", "curvature", "trace"));
  f.push_back(at_checkpoint("trace_se_nats", "nats", "its standard error over probes", "curvature", "trace_se"));
  f.push_back({"lambda_max_nats", "nats", "largest eigenvalue of H", [](const RunRows& run) {
                 return run.each<double>([&](const Place& at) { return run.lambda_max(at); });
               }});
  f.push_back(at_checkpoint("certificates_failed", "1", "kinds of certificate that failed", "curvature",
                            "certificates_failed"));
}

void add_bits_fields(std::vector<Field>& f) {
  f.push_back({"bits", "1", "P, bits of a quantized weight's code", [](const RunRows& run) {
                 return run.each<double>([](const Place& at) { return at.bits.value_or(nan); });
               }});
  f.push_back(at_bits("bits_per_weight", "1", "storage with scales, per quantizable weight", "ptq", "bits_per_weight"));
  f.push_back(at_bits("delta_nats", "nats", "loss after quantization minus before", "ptq", "delta_nats"));
  f.push_back(at_bits("delta_se_nats", "nats", "its standard error", "ptq", "delta_se_nats"));
  f.push_back(at_bits("predicted_nats", "nats", "(1/24) Σ_c step_c² tr(H_cc)", "ptq", "predicted_nats"));
  f.push_back(at_bits("predicted_se_nats", "nats", "its standard error", "ptq", "predicted_se_nats"));
  f.push_back(at_bits("gradient_nats", "nats", "g·e, gradient times rounding error", "ptq", "gradient_nats"));
  f.push_back(at_bits("quadratic_nats", "nats", "½ e'He of that error", "ptq", "quadratic_nats"));
  f.push_back(at_bits("mean_step2", "1", "mean squared step over quantizable weights", "ptq", "mean_step2"));
  f.push_back(at_bits("shifted_delta_nats", "nats", "delta on the shifted data", "shift", "delta_nats"));
  f.push_back(at_bits("shifted_delta_se_nats", "nats", "its standard error", "shift", "delta_se_nats"));
}

const std::vector<Field>& fields() {
  static const std::vector<Field> all = [] {
    std::vector<Field> f;
    add_run_fields(f);
    add_checkpoint_fields(f);
    add_bits_fields(f);
    return f;
  }();
  return all;
}

std::string cell(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }
std::string cell(std::int64_t value) { return fmt::format("{}", value); }
std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

void append_rows(Dataset& table, const RunFile& run, const std::string& file, const std::string& sha256) {
  const RunRows rows(run, file, sha256);
  Dataset more(file);
  for (const Field& field : fields())
    more.set(field.name, vector_variable("row", field.values(rows), field.unit, field.meaning));
  table.append(more, "row");
}

std::string to_csv(const Dataset& table) {
  const auto count = static_cast<std::size_t>(table.length("row"));
  std::vector<std::string> lines(count + 1);
  for (const Field& field : fields()) {
    const char* separator = &field == &fields().front() ? "" : ",";
    lines[0].append(separator).append(field.name);
    std::visit(
        [&](const auto& values) {
          for (std::size_t i = 0; i < count; ++i) lines[i + 1].append(separator).append(cell(values[i]));
        },
        table.at(field.name).values);
  }
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

}  // namespace hone::theory
