#include "theory/rows/tables.hpp"

#include <cmath>
#include <tuple>

#include "sim/base/error.hpp"
#include "sim/record/dataset.hpp"
#include "theory/rows/csv.hpp"

namespace fs = std::filesystem;

namespace hone::theory {
namespace {

template <class V, class S>
void visit_subject(V& v, S& s) {
  v("run", s.run), v("architecture", s.architecture), v("seed", s.seed), v("params", s.N), v("tokens", s.D);
  v("variant", s.variant), v("model", s.model), v("schedule", s.schedule), v("peak_lr", s.peak_lr), v("lr", s.lr);
  v("arm", s.arm), v("kind", s.kind), v("branched_at", s.branched_at), v("branch_tokens", s.branch_tokens);
  v("data", s.data), v("batch", s.batch), v("weight_decay", s.weight_decay), v("sam_rho", s.sam_rho);
  v("gradient_penalty", s.gradient_penalty), v("horizon_tokens", s.horizon);
  v("train_weight_bits", s.train_w_bits), v("train_activation_bits", s.train_a_bits);
  v("train_kv_bits", s.train_kv_bits), v("method", s.method), v("warmup_weight", s.warmup_weight);
  v("step", s.step);
}

template <class V, class R>
void visit_damage(V& v, R& r) {
  v("bits", r.P), v("loss_nats", r.loss), v("delta_nats", r.delta), v("delta_se_nats", r.delta_se);
  v("predicted_nats", r.predicted), v("predicted_se_nats", r.predicted_se), v("predicted_probes", r.predicted_probes);
  v("gradient_nats", r.gradient), v("remainder_se_nats", r.remainder_se), v("quadratic_nats", r.quadratic);
  v("mean_step2", r.mean_step2);
}

template <class V, class R>
void visit_curvature(V& v, R& r) {
  v("trace", r.trace), v("trace_se", r.trace_se), v("lambda_max", r.lambda_max), v("frobenius", r.frobenius);
  v("weight_norm2", r.weight_norm2), v("weighted_trace", r.weighted_trace);
  v("preconditioned_lambda_max", r.preconditioned), v("stability_threshold", r.stability);
}

template <class V, class R>
void visit_factorial(V& v, R& r) {
  v("w_bits", r.w_bits), v("a_bits", r.a_bits), v("kv_bits", r.kv_bits), v("delta_nats", r.delta);
  v("delta_se_nats", r.delta_se);
}

template <class V, class R>
void visit_noise(V& v, R& r) {
  v("subspace", r.subspace), v("energy", r.energy), v("delta_nats", r.delta), v("delta_se_nats", r.delta_se);
  v("predicted_nats", r.predicted), v("residual_share", r.residual_share), v("null_share", r.null_share);
  v("curvature_share", r.curvature_share), v("curvature_null_share", r.curvature_null_share);
}

template <class V, class R>
void visit_losses(V& v, R& r) {
  v("loss_nats", r.loss), v("loss_se_nats", r.loss_se);
}

template <class V, class R>
void visit_shift(V& v, R& r) {
  v("shifted_data", r.shifted_data), v("bits", r.P), v("loss_nats", r.loss), v("delta_nats", r.delta);
  v("delta_se_nats", r.delta_se);
}

template <class V, class R>
void visit_schemes(V& v, R& r) {
  v("scheme", r.scheme), v("bits", r.P), v("delta_nats", r.delta), v("delta_se_nats", r.delta_se);
  v("gradient_nats", r.gradient), v("quadratic_nats", r.quadratic);
}

/// Calls visit(name, rows, visit_row) for each kind of row, visit_row(v, row) being its own columns.
template <class T, class Visit>
void for_kinds(T& table, Visit&& visit) {
  visit("damage", table.ptq, [](auto& v, auto& r) { visit_damage(v, r); });
  visit("curvature", table.sharpness, [](auto& v, auto& r) { visit_curvature(v, r); });
  visit("factorial", table.factorial, [](auto& v, auto& r) { visit_factorial(v, r); });
  visit("noise", table.noise, [](auto& v, auto& r) { visit_noise(v, r); });
  visit("losses", table.losses, [](auto& v, auto& r) { visit_losses(v, r); });
  visit("shift", table.shift, [](auto& v, auto& r) { visit_shift(v, r); });
  visit("schemes", table.schemes, [](auto& v, auto& r) { visit_schemes(v, r); });
}

/// Collects rows as columns.
class Columns {
 public:
  void operator()(const char* name, double value) { column<double>(name).push_back(value); }
  void operator()(const char* name, std::int64_t value) { column<std::int64_t>(name).push_back(value); }
  void operator()(const char* name, const std::string& value) { column<std::string>(name).push_back(value); }
  void operator()(const char* name, Kind value) { (*this)(name, std::string(name_of(value))); }
  void operator()(const char* name, Architecture value) { (*this)(name, std::string(name_of(value))); }

  std::string csv() && {
    Dataset data;
    for (auto& [name, values] : columns_)
      data.set(name, vector_variable("row", std::move(values), "1", "see SCHEMA.md"));
    return to_csv(data, "row", order_);
  }

 private:
  template <class T>
  std::vector<T>& column(const char* name) {
    const auto [at, is_new] = columns_.try_emplace(name, std::vector<T>{});
    if (is_new) order_.emplace_back(name);
    return std::get<std::vector<T>>(at->second);
  }

  std::map<std::string, Values> columns_;
  std::vector<std::string> order_;
};

/// Fills one row from a line of a table. Columns of later versions that the table lacks leave the default.
class RowFrom {
 public:
  RowFrom(const Csv& csv, std::size_t row) : csv_(csv), row_(row) {}
  void operator()(const char* name, double& value) const {
    if (csv_.has(name)) value = csv_.number(row_, csv_.column(name));
  }
  void operator()(const char* name, std::int64_t& value) const { value = csv_.integer(row_, csv_.column(name)); }
  void operator()(const char* name, std::string& value) const {
    if (csv_.has(name)) value = csv_.text(row_, csv_.column(name));
  }
  void operator()(const char* name, Kind& value) const { value = kind_of(text(name), csv_.source()); }
  void operator()(const char* name, Architecture& value) const { value = architecture_of(text(name), csv_.source()); }

 private:
  const std::string& text(const char* name) const { return csv_.text(row_, csv_.column(name)); }

  const Csv& csv_;
  std::size_t row_;
};

/// The columns of `hone table` under the names of the tables per kind.
class StudyRowFrom : public RowFrom {
 public:
  using RowFrom::RowFrom;
  using RowFrom::operator();
  void operator()(const char* name, double& value) const {
    const std::pair<const char*, const char*> names[] = {
        {"trace", "trace_nats"}, {"trace_se", "trace_se_nats"}, {"lambda_max", "lambda_max_nats"}};
    for (const auto& [own, of_study] : names)
      if (std::string_view(name) == own) return RowFrom::operator()(of_study, value);
    RowFrom::operator()(name, value);
  }
};

/// Least bits at which the weighted trace is read, as from run files.
constexpr double reference_bits_min = 3;

/// One row per checkpoint of curvature, losses and one per bits of damage.
Table from_study_table(const Csv& csv) {
  Table table;
  std::tuple<std::string, std::string, double> last;
  for (std::size_t i = 0; i < csv.rows(); ++i) {
    const StudyRowFrom from(csv, i);
    PtqRow damage;
    visit_subject(from, static_cast<Subject&>(damage));
    visit_damage(from, damage);
    if (std::isfinite(damage.P)) table.ptq.push_back(damage);
    const std::tuple here{damage.run, damage.variant, damage.D};
    if (here != last || i == 0) {
      SharpnessRow sharpness;
      static_cast<Subject&>(sharpness) = damage;
      sharpness.frobenius = sharpness.weighted_trace = std::nan("");
      visit_curvature(from, sharpness);
      table.sharpness.push_back(sharpness);
      LossRow loss;
      static_cast<Subject&>(loss) = damage;
      visit_losses(from, loss);
      if (loss.is_full_precision()) table.losses.push_back(loss);
    }
    last = here;
    SharpnessRow& sharpness = table.sharpness.back();
    if (damage.P >= reference_bits_min && !(sharpness.weighted_trace > 0))
      sharpness.weighted_trace = 24 * damage.predicted / damage.mean_step2;
    ShiftRow shift;
    static_cast<Subject&>(shift) = damage;
    shift.P = damage.P;
    from("shifted_data", shift.shifted_data), from("shifted_loss_nats", shift.loss);
    from("shifted_delta_nats", shift.delta), from("shifted_delta_se_nats", shift.delta_se);
    if (!shift.shifted_data.empty() && std::isfinite(shift.P)) table.shift.push_back(shift);
  }
  return table;
}

}  // namespace

std::map<std::string, std::string> to_tables(const Table& table) {
  std::map<std::string, std::string> texts;
  for_kinds(table, [&](const char* name, const auto& rows, auto&& visit_row) {
    Columns columns;
    for (const auto& row : rows) {
      visit_subject(columns, static_cast<const Subject&>(row));
      visit_row(columns, row);
    }
    if (!rows.empty()) texts[name] = std::move(columns).csv();
  });
  return texts;
}

Table from_tables(const fs::path& path) {
  if (!fs::is_directory(path)) return from_study_table(read_csv(path));
  Table table;
  int found = 0;
  for_kinds(table, [&](const char* name, auto& rows, auto&& visit_row) {
    for (const char* ending : {".csv", ".csv.gz"}) {
      if (!fs::exists(path / (std::string(name) + ending))) continue;
      const Csv csv = read_csv(path / (std::string(name) + ending));
      ++found;
      for (std::size_t i = 0; i < csv.rows(); ++i) {
        const RowFrom from(csv, i);
        auto& row = rows.emplace_back();
        visit_subject(from, static_cast<Subject&>(row));
        visit_row(from, row);
      }
      break;
    }
  });
  if (found == 0)
    throw IoError(fmt::format(
        "{}: holds no table (damage.csv, damage.csv.gz, ...); give the folder that hone judge wrote", path.string()));
  return table;
}

}  // namespace hone::theory
