#include "theory/fits/fit_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "theory/fits/least_squares.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

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

}  // namespace hone::theory
