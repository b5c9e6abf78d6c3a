#include <cmath>
#include <limits>
#include <map>

#include "theory/fits/fit.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

double prediction_error(const FitSummary& fit, const Observation& o, Scale scale) {
  const double prediction = predict(fit.kind, fit.parameters, o.point);
  return target_of(scale, o).value - (scale == Scale::log ? std::log(prediction) : prediction);
}

std::vector<double> held_out_rows(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options,
                                  Scale scale) {
  std::map<std::int64_t, std::vector<std::size_t>> cells;
  for (std::size_t i = 0; i < rows.size(); ++i) cells[rows[i].cell].push_back(i);
  FitOptions refit = options;
  if (law(kind).form == Form::nonlinear) {
    const FitSummary whole = fit(kind, rows, options);
    if (whole.is_usable()) refit.start = whole.parameters;
  }
  std::vector<double> errors(rows.size(), nan);
  for (const auto& [cell, left_out] : cells) {
    std::vector<Observation> rest;
    for (const Observation& o : rows)
      if (o.cell != cell) rest.push_back(o);
    const FitSummary summary = fit(kind, rest, refit);
    if (!summary.is_usable()) continue;
    for (const std::size_t i : left_out) errors[i] = prediction_error(summary, rows[i], scale);
  }
  return errors;
}

HeldOut summarize_held_out(const std::vector<double>& errors, const std::vector<Observation>& rows) {
  std::map<std::int64_t, std::vector<double>> by_cell;
  for (std::size_t i = 0; i < rows.size(); ++i) by_cell[rows[i].cell].push_back(errors[i]);
  HeldOut result;
  double squares = 0;
  int predicted = 0;
  for (const auto& [cell, list] : by_cell) {
    ++result.cells;
    double cell_squares = 0;
    for (const double error : list) cell_squares += error * error;
    if (!std::isfinite(cell_squares)) {
      ++result.failures;
      continue;
    }
    squares += cell_squares;
    predicted += static_cast<int>(list.size());
  }
  result.rmse_log = predicted > 0 ? std::sqrt(squares / predicted) : nan;
  return result;
}

HeldOut held_out_error(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  return summarize_held_out(held_out_rows(kind, rows, options, law(kind).scale), rows);
}

}  // namespace hone::theory
