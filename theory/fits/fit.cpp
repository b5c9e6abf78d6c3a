#include "theory/fits/fit.hpp"

#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "theory/fits/fit_statistics.hpp"
#include "theory/fits/least_squares.hpp"
#include "theory/laws/formulas.hpp"

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

Observation raw_observation(const Point& point, double y, double sigma, std::int64_t cell, std::int64_t seed) {
  return {point, y > 0 ? std::log(y) : nan, sigma / std::abs(y), cell, seed, y, sigma};
}

Target target_of(Scale scale, const Observation& o) {
  if (scale == Scale::log) return {o.log_y, o.log_sigma};
  const double y = std::isnan(o.y) ? std::exp(o.log_y) : o.y;
  return {y, std::isnan(o.sigma) ? std::abs(y) * o.log_sigma : o.sigma};
}

FitSummary fit_linear(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  EXPECTS(law(kind).form == Form::log_linear, "fit_linear: {} is not log-linear", law(kind).name);
  const int n = static_cast<int>(rows.size());
  const std::size_t p = law(kind).parameters.size();
  const auto ended = [&](Stop stop) { return FitSummary{empty_solution(p, n, stop), kind}; };
  if (rows.size() <= p) return ended(Stop::too_few_rows);
  const CentredDesign design = make_design(kind, rows);
  if (!design.raw.allFinite() || !design.target.allFinite()) return ended(Stop::failed);

  FitSummary summary = ended(Stop::solved);
  std::vector<Index> active;
  for (Index j = 0; j < design.raw.cols(); ++j) {
    summary.not_identified[static_cast<std::size_t>(j + 1)] = !(design.scale(j) > 0);
    if (design.scale(j) > 0) active.push_back(j);
  }
  Matrix<double> a(n, static_cast<Index>(active.size()));
  for (std::size_t k = 0; k < active.size(); ++k) a.col(static_cast<Index>(k)) = design.scaled.col(active[k]);
  if (!(condition_number(a) < 1 / rank_tolerance)) return ended(Stop::rank_deficient);

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
  std::vector<Target> targets;
  for (const Observation& o : rows) targets.push_back(target_of(Scale::log, o));
  describe_solution(summary, law(kind).parameters, targets, jacobian, residual, options.condition_max);
  return summary;
}

FitSummary fit(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  const bool is_linear = law(kind).form == Form::log_linear && options.held.empty();
  return is_linear ? fit_linear(kind, rows, options) : fit_nonlinear(kind, rows, options);
}

}  // namespace hone::theory
