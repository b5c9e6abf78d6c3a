#include "theory/fits/held_out.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class Predicate>
Split split_where(const std::vector<Observation>& rows, const Predicate& is_fitted) {
  Split split;
  for (const Observation& o : rows) (is_fitted(o.point) ? split.fitted : split.predicted).push_back(o);
  return split;
}

/// Root mean square of the finite errors; NaN when fewer than nine in ten are finite, since a law
/// that fails where it is hard must not win by it.
double robust_rmse(const std::vector<double>& errors) {
  double squares = 0, finite = 0;
  for (const double e : errors)
    if (std::isfinite(e)) squares += e * e, ++finite;
  return finite > 0 && finite >= 0.9 * static_cast<double>(errors.size()) ? std::sqrt(squares / finite) : nan;
}

/// The law of least held-out error, or -1.
int best_law(const std::vector<LawKind>& laws, const std::vector<Observation>& rows, const FitOptions& options,
             Scale scale) {
  int best = -1;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t k = 0; k < laws.size(); ++k) {
    const double rmse = robust_rmse(held_out_rows(laws[k], rows, options, scale));
    if (rmse < least) least = rmse, best = static_cast<int>(k);
  }
  return best;
}

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

double aicc(const FitSummary& fit, const std::vector<Observation>& rows) {
  const double n = static_cast<double>(rows.size()), k = fit.free_count() + 1;
  if (!fit.is_usable() || !(n > k + 1)) return nan;
  const Scale scale = law(fit.kind).scale;
  double squares = 0, log_scales = 0;
  for (const Observation& o : rows) {
    const Target t = target_of(scale, o);
    const double residual = prediction_error(fit, o, scale) / t.sigma;
    squares += residual * residual;
    log_scales += std::log(t.sigma) + (scale == Scale::log ? o.log_y : 0);
  }
  return n * std::log(squares / n) + 2 * log_scales + 2 * k + 2 * k * (k + 1) / (n - k - 1);
}

Split split_by_overtraining(const std::vector<Observation>& rows, double tokens_per_parameter_max) {
  return split_where(rows, [&](const Point& x) { return x.D / x.N <= tokens_per_parameter_max; });
}

Split split_by_bits(const std::vector<Observation>& rows, double low, double high) {
  return split_where(rows, [&](const Point& x) { return x.P >= low && x.P <= high; });
}

Split split_by_size(const std::vector<Observation>& rows, double N_max) {
  return split_where(rows, [&](const Point& x) { return x.N <= N_max; });
}

Extrapolation extrapolate(LawKind kind, const Split& split, const FitOptions& options, Scale scale) {
  Extrapolation result{nan, nan, static_cast<int>(split.predicted.size())};
  const FitSummary summary = fit(kind, split.fitted, options);
  if (!summary.is_usable() || split.predicted.empty()) return result;
  double squares = 0, sum = 0;
  for (const Observation& o : split.predicted) {
    const double error = prediction_error(summary, o, scale);
    squares += error * error;
    sum += error;
  }
  if (!std::isfinite(squares)) return result;
  result.rmse = std::sqrt(squares / result.n);
  result.bias = sum / result.n;
  return result;
}

NestedChoice nested_choice(const std::vector<LawKind>& laws, const std::vector<Observation>& rows,
                           const FitOptions& options, Scale scale) {
  EXPECTS(!laws.empty(), "nested_choice: no laws");
  std::set<std::int64_t> cells;
  for (const Observation& o : rows) cells.insert(o.cell);
  NestedChoice result{nan, std::vector<int>(laws.size(), 0), static_cast<int>(cells.size()), 0};
  double squares = 0;
  int predicted = 0;
  for (const std::int64_t cell : cells) {
    Split split;
    for (const Observation& o : rows) (o.cell == cell ? split.predicted : split.fitted).push_back(o);
    const int best = best_law(laws, split.fitted, options, scale);
    const Extrapolation outer = best < 0 ? Extrapolation{nan, nan, 0}
                                         : extrapolate(laws[static_cast<std::size_t>(best)], split, options, scale);
    if (best >= 0) ++result.chosen[static_cast<std::size_t>(best)];
    if (!std::isfinite(outer.rmse)) {
      ++result.failures;
      continue;
    }
    squares += outer.rmse * outer.rmse * outer.n;
    predicted += outer.n;
  }
  if (predicted > 0) result.rmse = std::sqrt(squares / predicted);
  return result;
}

FormContrast contrast_errors(const std::vector<double>& of_a, const std::vector<double>& of_b,
                             const std::vector<Observation>& rows, const IntervalOptions& interval) {
  std::vector<RowKey> keys;
  std::vector<double> differences;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double difference = (of_a[i] - of_b[i]) * (of_a[i] + of_b[i]);  // 0 for equal errors
    if (!std::isfinite(difference)) continue;
    keys.push_back({rows[i].cell, rows[i].point.N, rows[i].seed});
    differences.push_back(difference);
  }
  FormContrast contrast{{nan, nan, nan, 0}, true, static_cast<int>(keys.size())};
  if (keys.empty()) return contrast;
  const Statistic mean = [&](const std::vector<std::size_t>& drawn) {
    double sum = 0;
    for (const std::size_t i : drawn) sum += differences[i];
    return std::vector<double>{sum / static_cast<double>(drawn.size())};
  };
  contrast.difference = jackknife(keys, mean, interval)[0];
  contrast.is_equal = !(contrast.difference.low > 0 || contrast.difference.high < 0);
  return contrast;
}

FormContrast contrast_forms(LawKind a, LawKind b, const std::vector<Observation>& rows, const FitOptions& options,
                            const IntervalOptions& interval, Scale scale) {
  return contrast_errors(held_out_rows(a, rows, options, scale), held_out_rows(b, rows, options, scale), rows,
                         interval);
}

}  // namespace hone::theory
