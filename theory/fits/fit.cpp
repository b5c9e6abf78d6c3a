#include "theory/fits/fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
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

Solution empty_solution(std::size_t parameters, int n, Stop stop) {
  Solution s;
  s.stop = stop;
  s.n = n;
  s.parameters.assign(parameters, nan);
  s.standard_errors.assign(parameters, nan);
  s.covariance = Matrix<double>::Constant(static_cast<Index>(parameters), static_cast<Index>(parameters), nan);
  s.cost = s.r2 = s.rmse_log = s.condition = s.s2 = nan;
  s.at_bound.assign(parameters, false);
  s.not_identified.assign(parameters, false);
  s.is_held.assign(parameters, false);
  return s;
}

int Solution::free_count() const {
  int count = 0;
  for (std::size_t k = 0; k < parameters.size(); ++k) count += !not_identified[k] && !is_held[k];
  return count;
}

namespace {

/// Condition of the columns of a Jacobian, each of norm 1. Where one of them is that of an additive constant, the others
/// stand without their part along it: a shift of ln N or ln D is none of their business. A sum of terms, as a loss over its
/// floor, has no such column, and its columns may add up to one.
double slope_condition(const Matrix<double>& jacobian, const Vector<double>& weight) {
  const Vector<double> constant = weight.normalized();
  const Matrix<double> rest = jacobian - constant * (constant.transpose() * jacobian);
  const auto is_constant = [&](Index k) { return rest.col(k).norm() <= 1e-10 * jacobian.col(k).norm(); };
  bool has_constant = false;
  for (Index k = 0; k < jacobian.cols(); ++k) has_constant = has_constant || is_constant(k);
  Matrix<double> slopes(jacobian.rows(), jacobian.cols());
  Index kept = 0;
  for (Index k = 0; k < jacobian.cols(); ++k)
    if (!is_constant(k)) slopes.col(kept++) = (has_constant ? rest : jacobian).col(k).normalized();
  return condition_number(slopes.leftCols(kept));
}

}  // namespace

void describe_solution(Solution& summary, const std::vector<Parameter>& bounds, const std::vector<Target>& targets,
                       const Matrix<double>& jacobian, const Vector<double>& residual, double condition_max) {
  const Index n = jacobian.rows();
  std::vector<Index> active;
  for (Index j = 0; j < jacobian.cols(); ++j) {
    const auto k = static_cast<std::size_t>(j);
    // Across its whole interval such a parameter moves no row by more than 1e-8 of its sigma.
    if (!summary.is_held[k] && jacobian.col(j).norm() * (bounds[k].high - bounds[k].low) < 1e-8)
      summary.not_identified[k] = true;
    if (!summary.not_identified[k] && !summary.is_held[k]) active.push_back(j);
  }
  const Index p = static_cast<Index>(active.size());

  Vector<double> weight(n), y(n);
  double squares = 0;
  for (Index i = 0; i < n; ++i) {
    const Target& t = targets[static_cast<std::size_t>(i)];
    weight(i) = 1 / t.sigma;
    y(i) = t.value;
    squares += residual(i) * residual(i) * t.sigma * t.sigma;
  }
  summary.rmse_log = std::sqrt(squares / static_cast<double>(n));
  const Vector<double> w2 = weight.array().square();
  const double y_mean = w2.dot(y) / w2.sum();
  const double total = (w2.array() * (y.array() - y_mean).square()).sum();
  summary.r2 = total > 0 ? 1 - residual.squaredNorm() / total : nan;

  Matrix<double> j(n, p);
  for (Index k = 0; k < p; ++k) j.col(k) = jacobian.col(active[static_cast<std::size_t>(k)]);
  const Vector<double> column_norm = j.colwise().norm().transpose();
  summary.condition = slope_condition(j, weight);
  summary.collinear = !(summary.condition <= condition_max);

  if (n > p) {
    // Columns of norm 1 keep the factors well scaled although raw entries differ by many orders.
    const Matrix<double> inverse = gram_inverse(j * column_norm.cwiseInverse().asDiagonal());
    summary.s2 = residual.squaredNorm() / static_cast<double>(n - p);
    for (Index a = 0; a < p; ++a)
      for (Index b = 0; b < p; ++b)
        summary.covariance(active[static_cast<std::size_t>(a)], active[static_cast<std::size_t>(b)]) =
            summary.s2 * inverse(a, b) / (column_norm(a) * column_norm(b));
  }
  for (std::size_t k = 0; k < bounds.size(); ++k) {
    const double slack = 1e-6 * (bounds[k].high - bounds[k].low);
    const double value = summary.parameters[k];
    summary.at_bound[k] = value <= bounds[k].low + slack || value >= bounds[k].high - slack;
    const auto d = static_cast<Index>(k);
    summary.standard_errors[k] = std::sqrt(summary.covariance(d, d));
  }
}

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
  targets.reserve(rows.size());
  for (const Observation& o : rows) targets.push_back(target_of(Scale::log, o));
  describe_solution(summary, law(kind).parameters, targets, jacobian, residual, options.condition_max);
  return summary;
}

FitSummary fit(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  const bool is_linear = law(kind).form == Form::log_linear && options.held.empty();
  return is_linear ? fit_linear(kind, rows, options) : fit_nonlinear(kind, rows, options);
}

}  // namespace hone::theory
