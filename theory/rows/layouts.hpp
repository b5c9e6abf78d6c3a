// The columns of each kind of row, once: the name in a table, the member of the row, and the field of a run file that
// fills it. The reader of run files and the tables go through the same lists.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sim/record/field.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Least bits at which the weighted trace is read: below, rounding shrinks weights and the step is no noise.
inline constexpr double reference_bits_min = 3;

/// A number or a text of a row.
template <class Row>
struct Entry {
  std::string column;
  std::variant<double Row::*, std::string Row::*> member;
  std::optional<FieldFacts> field;  ///< without: computed from others
};

/// How the rows of a kind lie in a run file: one for each entry of the group along `axes`. A field of fewer axes, or of
/// another group, repeats.
template <class Row>
struct Layout {
  const char* table;
  const char* group;
  std::vector<std::string> axes;
  std::vector<Entry<Row>> entries;
};

/// The layout of a kind of row.
template <class Row>
Layout<Row> layout_of();
template <>
Layout<PtqRow> layout_of();
template <>
Layout<SharpnessRow> layout_of();
template <>
Layout<FactorialRow> layout_of();
template <>
Layout<NoiseRow> layout_of();
template <>
Layout<LossRow> layout_of();
template <>
Layout<ShiftRow> layout_of();
template <>
Layout<SchemeRow> layout_of();
template <>
Layout<InjectionRow> layout_of();
template <>
Layout<CacheRow> layout_of();
template <>
Layout<CopyRow> layout_of();
template <>
Layout<ScheduleRow> layout_of();
template <>
Layout<TaskRow> layout_of();
template <>
Layout<ExpertRow> layout_of();

/// Schemes at every checkpoint fill the same rows from a group of their own.
Layout<SchemeRow> layout_of_schemes_along();

/// Calls visit(rows) for each kind.
template <class AnyTable, class Visit>
void for_kinds(AnyTable& table, Visit&& visit) {
  visit(table.ptq), visit(table.sharpness), visit(table.factorial), visit(table.noise);
  visit(table.losses), visit(table.shift), visit(table.schemes), visit(table.injection);
  visit(table.expert_damage);
  visit(table.cache), visit(table.copies), visit(table.schedules), visit(table.tasks);
}

/// Calls visit(column, member) for what every row says about its model.
template <class Visit, class AnySubject>
void visit_subject(Visit& v, AnySubject& s) {
  v("run", s.run), v("architecture", s.architecture), v("seed", s.seed), v("params", s.N), v("tokens", s.D);
  v("variant", s.variant), v("model", s.model), v("schedule", s.schedule), v("peak_lr", s.peak_lr), v("lr", s.lr);
  v("arm", s.arm), v("kind", s.kind), v("branched_at", s.branched_at), v("branch_tokens", s.branch_tokens);
  v("branch_data", s.branch_data);
  v("data", s.data), v("batch", s.batch), v("weight_decay", s.weight_decay), v("horizon_tokens", s.horizon);
  v("train_weight_bits", s.train_w_bits), v("train_activation_bits", s.train_a_bits);
  v("train_kv_bits", s.train_kv_bits), v("method", s.method), v("warmup_weight", s.warmup_weight);
  v("step", s.step), v("sam_rho", s.sam_rho), v("gradient_penalty", s.gradient_penalty);
  v("train_format", s.train_format), v("rounding", s.rounding);
  v("style", s.style), v("layers", s.layers), v("width", s.width), v("heads", s.heads), v("kv_heads", s.kv_heads);
  v("mlp_width", s.mlp_width), v("experts", s.experts), v("experts_per_token", s.experts_per_token);
  v("sub_norms", s.sub_norms);
}

/// Calls visit(column, member) for the numbers and texts of a row.
template <class Visit, class Row, class AnyRow>
void visit_entries(Visit& v, const Layout<Row>& layout, AnyRow& row) {
  for (const Entry<Row>& entry : layout.entries)
    std::visit([&](const auto member) { v(entry.column.c_str(), row.*member); }, entry.member);
}

}  // namespace hone::theory
