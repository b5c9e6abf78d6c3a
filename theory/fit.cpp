#include "theory/fit.hpp"

#include <cmath>
#include <limits>
#include <set>

#include "sim/base/error.hpp"
#include "theory/fit_statistics.hpp"
#include "theory/law_forms.hpp"
#include "theory/least_squares.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// The affine parts of a log-linear law: design row (without the constant) and offset.
void fill_design_row(LawKind kind, const Point& x, Eigen::Ref<Eigen::RowVectorXd> row, double& offset) {
  double p[parameters_max] = {};
  offset = log_value(kind, p, x);
  for (Index j = 0; j < row.size(); ++j) {
    p[j + 1] = 1;
    row(j) = log_value(kind, p, x) - offset;
    p[j + 1] = 0;
  }
}

/// Centred, weighted and scaled least squares: with the constant projected out first, the
/// collinearity of ln D, ln N and P is not drowned in their distance from zero.
struct CentredDesign {
  Matrix<double> raw;        // (n, p-1)
  Matrix<double> scaled;     // centred, weighted, columns of norm 1
  Vector<double> target;     // centred, weighted
  Vector<double> weight;     // 1/log_sigma
  Eigen::RowVectorXd mean;   // weighted means of the columns
  Eigen::RowVectorXd scale;  // norms removed from the columns, 0 for a constant column
  double target_mean = 0;
  Vector<double> offset;
};

CentredDesign make_design(LawKind kind, const std::vector<Observation>& rows) {
  const Index n = static_cast<Index>(rows.size());
  const Index p = static_cast<Index>(law(kind).parameters.size()) - 1;
  CentredDesign d;
  d.raw.resize(n, p);
  d.target.resize(n);
  d.weight.resize(n);
  d.offset.resize(n);
  for (Index i = 0; i < n; ++i) {
    const Observation& o = rows[static_cast<std::size_t>(i)];
    EXPECTS(o.log_sigma > 0, "fit_linear: log_sigma {} of row {}, expected > 0", o.log_sigma, i);
    fill_design_row(kind, o.point, d.raw.row(i), d.offset(i));
    d.target(i) = o.log_y - d.offset(i);
    d.weight(i) = 1 / o.log_sigma;
  }
  const Vector<double> w2 = d.weight.array().square();
  d.mean = (w2.transpose() * d.raw) / w2.sum();
  d.target_mean = w2.dot(d.target) / w2.sum();
  d.scaled = d.weight.asDiagonal() * (d.raw.rowwise() - d.mean);
  d.target = (d.weight.array() * (d.target.array() - d.target_mean)).matrix();
  d.scale.resize(p);
  for (Index j = 0; j < p; ++j) {
    const double reference = (d.weight.array() * d.raw.col(j).array()).matrix().norm();
    const double norm = d.scaled.col(j).norm();
    d.scale(j) = norm > 1e-10 * reference ? norm : 0;
    if (d.scale(j) > 0) d.scaled.col(j) /= norm;
  }
  return d;
}

}  // namespace

FitSummary fit_linear(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  EXPECTS(law(kind).form == Form::log_linear, "fit_linear: {} is not log-linear", law(kind).name);
  const int n = static_cast<int>(rows.size());
  const std::size_t p = law(kind).parameters.size();
  if (rows.size() <= p) return empty_summary(kind, n, Stop::too_few_rows);
  const CentredDesign design = make_design(kind, rows);
  if (!design.raw.allFinite() || !design.target.allFinite()) return empty_summary(kind, n, Stop::failed);

  FitSummary summary = empty_summary(kind, n, Stop::solved);
  std::vector<Index> active;
  for (Index j = 0; j < design.raw.cols(); ++j) {
    summary.not_identified[static_cast<std::size_t>(j + 1)] = !(design.scale(j) > 0);
    if (design.scale(j) > 0) active.push_back(j);
  }
  Matrix<double> a(n, static_cast<Index>(active.size()));
  for (std::size_t k = 0; k < active.size(); ++k) a.col(static_cast<Index>(k)) = design.scaled.col(active[k]);
  if (!(condition_number(a) < 1 / rank_tolerance)) return empty_summary(kind, n, Stop::rank_deficient);

  const Vector<double> slopes = solve_least_squares(a, design.target);
  std::fill(summary.parameters.begin(), summary.parameters.end(), 0.0);
  double constant = design.target_mean;
  for (std::size_t k = 0; k < active.size(); ++k) {
    const Index j = active[k];
    const double value = slopes(static_cast<Index>(k)) / design.scale(j);
    summary.parameters[static_cast<std::size_t>(j + 1)] = value;
    constant -= value * design.mean(j);
  }
  summary.parameters[0] = constant;

  Matrix<double> jacobian(n, static_cast<Index>(p));
  jacobian.col(0) = design.weight;
  jacobian.rightCols(static_cast<Index>(p) - 1) = design.weight.asDiagonal() * design.raw;
  const Vector<double> residual = design.target - a * slopes;
  summary.cost = 0.5 * residual.squaredNorm();
  describe_solution(summary, rows, jacobian, residual, options.condition_max);
  return summary;
}

FitSummary fit(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  return law(kind).form == Form::log_linear ? fit_linear(kind, rows, options) : fit_nonlinear(kind, rows, options);
}

HeldOut held_out_error(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  std::set<std::int64_t> cells;
  for (const Observation& o : rows) cells.insert(o.cell);
  FitOptions refit = options;
  if (law(kind).form == Form::nonlinear) {
    const FitSummary whole = fit(kind, rows, options);
    if (whole.is_usable()) refit.start = whole.parameters;
  }
  HeldOut result;
  double squares = 0;
  int predicted = 0;
  for (const std::int64_t cell : cells) {
    std::vector<Observation> rest, left_out;
    for (const Observation& o : rows) (o.cell == cell ? left_out : rest).push_back(o);
    ++result.cells;
    const FitSummary summary = fit(kind, rest, refit);
    double cell_squares = 0;
    for (const Observation& o : left_out) {
      const double error = o.log_y - log_value(kind, summary.parameters.data(), o.point);
      cell_squares += error * error;
    }
    if (!summary.is_usable() || !std::isfinite(cell_squares)) {
      ++result.failures;
      continue;
    }
    squares += cell_squares;
    predicted += static_cast<int>(left_out.size());
  }
  result.rmse_log = predicted > 0 ? std::sqrt(squares / predicted) : nan;
  return result;
}

}  // namespace hone::theory
