#include "sim/curvature/extremes_record.hpp"

#include <type_traits>
#include <utility>

#include "sim/base/error.hpp"

namespace hone {
namespace {

/// Every scalar of a state with its name in the record, once for both directions.
template <class State, class Visit>
void each_scalar(State& s, Visit&& visit) {
  auto& o = s.options;
  visit("count_largest", o.count_largest), visit("count_smallest", o.count_smallest), visit("block", o.block);
  visit("steps_max", o.steps_max), visit("products_max", o.products_max), visit("probe_steps", o.probe_steps);
  visit("rounds_max", o.rounds_max), visit("tolerance", o.tolerance), visit("noise_floor", o.noise_floor);
  visit("seed", o.seed), visit("memory_max_bytes", o.memory_max_bytes);
  visit("size", s.size), visit("phase", s.phase), visit("stop", s.stop);
  visit("largest", s.largest), visit("cursor", s.cursor), visit("next_check", s.next_check);
  visit("steps", s.steps), visit("products", s.products), visit("drawn", s.drawn);
  visit("restarts", s.restarts), visit("rounds", s.rounds);
  visit("norm", s.norm), visit("ritz_min", s.ritz_min), visit("recurrence", s.recurrence);
  visit("is_probed", s.is_probed), visit("is_complete", s.is_complete);
  visit("upper_value", s.upper.value), visit("upper_residual", s.upper.residual);
  visit("lower_value", s.lower.value), visit("lower_residual", s.lower.residual);
  visit("space_columns", s.space.columns), visit("space_pending", s.space.pending);
  visit("space_scale", s.space.scale);
  visit("probe_columns", s.probe.columns), visit("probe_pending", s.probe.pending);
  visit("probe_scale", s.probe.scale);
}

/// Columns one after the other; a matrix without entries is left out.
void set_matrix(Dataset& record, const std::string& name, const Basis& m, const std::string& meaning) {
  if (m.size() == 0) return;
  record.set(name, matrix_variable({name + "_column", name + "_row"}, {m.cols(), m.rows()},
                                   std::vector<double>(m.data(), m.data() + m.size()), "1", meaning));
}

Basis matrix_of(const Dataset& record, const std::string& name) {
  if (!record.has(name)) return Basis();
  const Variable& v = record.at(name);
  if (v.shape.size() != 2)
    throw FormatError(
        fmt::format("{}: variable {} has {} dimensions, expected 2", record.label(), name, v.shape.size()));
  return Eigen::Map<const Basis>(record.doubles(name).data(), v.shape[1], v.shape[0]);
}

void set_space(Dataset& record, const std::string& name, const KrylovSpace& space) {
  set_matrix(record, name + "_basis", space.basis.leftCols(space.columns + space.pending), "basis and what is pending");
  set_matrix(record, name + "_projected", space.projected, "the operator on the basis");
}

void read_space(const Dataset& record, const std::string& name, Index rows, KrylovSpace& space) {
  const Basis used = matrix_of(record, name + "_basis");
  space.projected = matrix_of(record, name + "_projected");
  const Index room = space.projected.cols(), columns = space.columns + space.pending;
  if (columns == 0 && room == 0) return;
  if (used.rows() != rows || used.cols() != columns || space.projected.rows() != room || columns > room)
    throw FormatError(
        fmt::format("{}: variable {}_basis is {} x {} with room for {}, expected {} x {}; the record is "
                    "damaged, start the solve again",
                    record.label(), name, used.rows(), used.cols(), room, rows, columns));
  space.basis.resize(rows, room);
  space.basis.leftCols(columns) = used;
}

}  // namespace

Dataset to_dataset(const ExtremesState& s) {
  Dataset record("eigenpairs under way");
  each_scalar(s, [&](const char* name, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>)
      record.set_attribute(name, value);
    else
      record.set_attribute(name, static_cast<std::int64_t>(value));
  });
  set_space(record, "space", s.space);
  set_space(record, "probe", s.probe);
  set_matrix(record, "vectors", s.vectors, "candidate eigenvectors");
  set_matrix(record, "values", s.values, "their Ritz values");
  set_matrix(record, "residuals", s.residuals, "their residuals, as far as verified");
  return record;
}

ExtremesState extremes_state(const Dataset& record) {
  ExtremesState s;
  each_scalar(s, [&](const char* name, auto& value) {
    using T = std::decay_t<decltype(value)>;
    const Attribute& found = record.attribute(name);
    using Stored = std::conditional_t<std::is_same_v<T, double>, double, std::int64_t>;
    if (!std::holds_alternative<Stored>(found))
      throw FormatError(
          fmt::format("{}: attribute {} has the wrong type; the record is of another kind", record.label(), name));
    value = static_cast<T>(std::get<Stored>(found));
  });
  read_space(record, "space", s.size, s.space);
  read_space(record, "probe", s.size, s.probe);
  s.vectors = matrix_of(record, "vectors");
  s.values = matrix_of(record, "values");
  s.residuals = matrix_of(record, "residuals");
  if (s.vectors.cols() != s.values.size() || s.residuals.size() != s.values.size())
    throw FormatError(
        fmt::format("{}: {} vectors, {} values, {} residuals; the record is damaged, start the solve "
                    "again",
                    record.label(), s.vectors.cols(), s.values.size(), s.residuals.size()));
  return s;
}

}  // namespace hone
