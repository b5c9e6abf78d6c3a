#include "theory/fit.hpp"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <cmath>
#include <limits>
#include <set>

#include "sim/base/error.hpp"
#include "theory/fit_statistics.hpp"
#include "theory/law_forms.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double rank_tolerance = 1e-8;

/// Ratio of the largest to the least singular value; +inf when singular.
double condition_number(const Matrix<double>& a) {
  if (a.cols() == 0) return 1;
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(a);
  const Eigen::MatrixXd r =
      qr.matrixQR().topRows(std::min(a.rows(), a.cols())).triangularView<Eigen::Upper>();
  const Eigen::VectorXd values = Eigen::JacobiSVD<Eigen::MatrixXd>(r).singularValues();
  const double least = values(values.size() - 1);
  return least > 0 ? values(0) / least : std::numeric_limits<double>::infinity();
}

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

/// Centred, weighted and scaled least squares: with the constant projected out first, the collinearity of
/// ln D, ln N and P is not drowned in their distance from zero.
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

FitSummary empty_summary(LawKind kind, int n, Stop stop) {
  const std::size_t p = law(kind).parameters.size();
  FitSummary s;
  s.kind = kind;
  s.stop = stop;
  s.n = n;
  s.parameters.assign(p, nan);
  s.standard_errors.assign(p, nan);
  s.covariance =
      Matrix<double>::Constant(static_cast<Index>(p), static_cast<Index>(p), nan);
  s.cost = s.r2 = s.rmse_log = s.condition = nan;
  s.at_bound.assign(p, false);
  s.not_identified.assign(p, false);
  return s;
}

void describe_solution(FitSummary& summary,
                       const std::vector<Observation>& rows,
                       const Matrix<double>& jacobian,
                       const Vector<double>& residual,
                       double condition_max) {
  const Index n = jacobian.rows();
  std::vector<Index> active;
  for (Index j = 0; j < jacobian.cols(); ++j)
    if (!summary.not_identified[static_cast<std::size_t>(j)]) active.push_back(j);
  const Index p = static_cast<Index>(active.size());

  Vector<double> weight(n), y(n);
  double squares = 0;
  for (Index i = 0; i < n; ++i) {
    const Observation& o = rows[static_cast<std::size_t>(i)];
    weight(i) = 1 / o.log_sigma;
    y(i) = o.log_y;
    squares += residual(i) * residual(i) * o.log_sigma * o.log_sigma;
  }
  summary.rmse_log = std::sqrt(squares / static_cast<double>(n));
  const Vector<double> w2 = weight.array().square();
  const double y_mean = w2.dot(y) / w2.sum();
  const double total = (w2.array() * (y.array() - y_mean).square()).sum();
  summary.r2 = total > 0 ? 1 - residual.squaredNorm() / total : nan;

  Matrix<double> j(n, p);
  for (Index k = 0; k < p; ++k) j.col(k) = jacobian.col(active[static_cast<std::size_t>(k)]);
  const Vector<double> column_norm = j.colwise().norm().transpose();
  Matrix<double> slopes = j;
  const Vector<double> constant = weight.normalized();  // the Jacobian column of an additive constant
  slopes -= constant * (constant.transpose() * slopes);
  std::vector<Index> kept;
  for (Index k = 0; k < p; ++k) {
    const double norm = slopes.col(k).norm();
    if (norm > 1e-10 * column_norm(k)) {
      slopes.col(static_cast<Index>(kept.size())) = slopes.col(k) / norm;
      kept.push_back(k);
    }
  }
  summary.condition = condition_number(slopes.leftCols(static_cast<Index>(kept.size())));
  summary.collinear = !(summary.condition <= condition_max);

  // Scaled columns keep J'J invertible although its raw entries differ by many orders.
  const Matrix<double> scaled = j * column_norm.cwiseInverse().asDiagonal();
  const Eigen::ColPivHouseholderQR<Eigen::MatrixXd> qr(scaled.transpose() * scaled);
  if (qr.isInvertible() && n > p) {
    const double s2 = residual.squaredNorm() / static_cast<double>(n - p);
    const Eigen::MatrixXd inverse = qr.inverse();
    for (Index a = 0; a < p; ++a)
      for (Index b = 0; b < p; ++b)
        summary.covariance(active[static_cast<std::size_t>(a)], active[static_cast<std::size_t>(b)]) =
            s2 * inverse(a, b) / (column_norm(a) * column_norm(b));
  }
  const auto& bounds = law(summary.kind).parameters;
  for (std::size_t k = 0; k < bounds.size(); ++k) {
    const double slack = 1e-6 * (bounds[k].high - bounds[k].low);
    const double value = summary.parameters[k];
    summary.at_bound[k] = value <= bounds[k].low + slack || value >= bounds[k].high - slack;
    const auto d = static_cast<Index>(k);
    summary.standard_errors[k] = std::sqrt(summary.covariance(d, d));
  }
}

FitSummary fit_linear(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  EXPECTS(law(kind).form == Form::log_linear, "fit_linear: {} is not log-linear", law(kind).name);
  const int n = static_cast<int>(rows.size());
  const std::size_t p = law(kind).parameters.size();
  if (rows.size() <= p) return empty_summary(kind, n, Stop::too_few_rows);
  const CentredDesign design = make_design(kind, rows);

  FitSummary summary = empty_summary(kind, n, Stop::solved);
  std::vector<Index> active;
  for (Index j = 0; j < design.raw.cols(); ++j) {
    summary.not_identified[static_cast<std::size_t>(j + 1)] = !(design.scale(j) > 0);
    if (design.scale(j) > 0) active.push_back(j);
  }
  Matrix<double> a(n, static_cast<Index>(active.size()));
  for (std::size_t k = 0; k < active.size(); ++k)
    a.col(static_cast<Index>(k)) = design.scaled.col(active[k]);
  if (!(condition_number(a) < 1 / rank_tolerance))
    return empty_summary(kind, n, Stop::rank_deficient);

  const Vector<double> slopes = active.empty()
                                    ? Vector<double>()
                                    : Vector<double>(Eigen::HouseholderQR<Eigen::MatrixXd>(a).solve(
                                          Eigen::VectorXd(design.target)));
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
  return law(kind).form == Form::log_linear ? fit_linear(kind, rows, options)
                                            : fit_nonlinear(kind, rows, options);
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
