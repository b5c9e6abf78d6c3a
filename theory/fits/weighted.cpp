#include "theory/fits/weighted.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "theory/fits/least_squares.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// y less the weighted mean of its group, in the order of the rows.
std::vector<double> less_group_means(const std::vector<double>& y, const std::vector<double>& sigma,
                                     const std::vector<std::size_t>& group, const std::vector<std::size_t>& rows) {
  std::vector<double> sum, weight, centred;
  for (const std::size_t i : rows) {
    if (group[i] >= sum.size()) sum.resize(group[i] + 1), weight.resize(group[i] + 1);
    const double w = 1 / (sigma[i] * sigma[i]);
    sum[group[i]] += w * y[i], weight[group[i]] += w;
  }
  for (const std::size_t i : rows) centred.push_back(y[i] - sum[group[i]] / weight[group[i]]);
  return centred;
}

}  // namespace

double combined_sigma(std::initializer_list<double> standard_errors, double scatter) {
  double squares = scatter * scatter;
  for (const double se : standard_errors)
    if (std::isfinite(se)) squares += se * se;
  return std::sqrt(squares);
}

std::vector<std::size_t> all_indices(std::size_t n) {
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

bool is_inside(const Interval& interval, double low, double high) {
  return interval.low >= low && interval.high <= high;
}

bool is_outside(const Interval& interval, double low, double high) {
  return interval.low > high || interval.high < low;
}

double p_beyond(const Interval& interval, const std::vector<double>& bounds) {
  double distance = std::numeric_limits<double>::infinity();
  for (const double bound : bounds) distance = std::min(distance, std::abs(interval.estimate - bound));
  if (!std::isfinite(distance) || !std::isfinite(interval.standard_error) || !(interval.freedom > 0)) return nan;
  if (distance == 0) return 1;
  if (interval.standard_error == 0) return 0;
  const boost::math::students_t student(interval.freedom);
  const double tail = boost::math::cdf(boost::math::complement(student, distance / interval.standard_error));
  return std::min(1.0, 2 * tail * interval.family);
}

std::vector<double> regress(const std::vector<std::vector<double>>& columns, const std::vector<double>& y,
                            const std::vector<double>& sigma, const std::vector<std::size_t>& rows) {
  const Index n = static_cast<Index>(rows.size()), p = static_cast<Index>(columns.size());
  const std::vector<double> undefined(columns.size() + 1, nan);
  if (n <= p + 1) return undefined;
  Matrix<double> x(n, p);
  Vector<double> target(n), weight(n);
  for (Index i = 0; i < n; ++i) {
    const std::size_t row = rows[static_cast<std::size_t>(i)];
    weight(i) = 1 / sigma[row];
    target(i) = y[row];
    for (Index j = 0; j < p; ++j) x(i, j) = columns[static_cast<std::size_t>(j)][row];
  }
  const Vector<double> w2 = weight.array().square() / weight.squaredNorm();
  const Eigen::RowVectorXd mean = w2.transpose() * x;
  const double target_mean = w2.dot(target);
  Matrix<double> scaled = weight.asDiagonal() * (x.rowwise() - mean);
  const Eigen::VectorXd norm = scaled.colwise().norm().transpose();
  for (Index j = 0; j < p; ++j) {
    if (!(norm(j) > 1e-10 * (weight.array() * x.col(j).array()).matrix().norm())) return undefined;
    scaled.col(j) /= norm(j);
  }
  if (!(condition_number(scaled) < 1 / rank_tolerance)) return undefined;
  const Vector<double> slopes = solve_least_squares(scaled, (weight.array() * (target.array() - target_mean)).matrix());
  std::vector<double> coefficients{target_mean};
  for (Index j = 0; j < p; ++j) {
    coefficients.push_back(slopes(j) / norm(j));
    coefficients[0] -= coefficients.back() * mean(j);
  }
  return coefficients;
}

double slope_within(const std::vector<double>& x, const std::vector<double>& y, const std::vector<double>& sigma,
                    const std::vector<std::size_t>& group, const std::vector<std::size_t>& rows) {
  struct Sums {
    double w = 0, x = 0, y = 0;
  };
  std::vector<Sums> sums;
  for (const std::size_t i : rows) {
    if (group[i] >= sums.size()) sums.resize(group[i] + 1);
    const double w = 1 / (sigma[i] * sigma[i]);
    Sums& s = sums[group[i]];
    s.w += w, s.x += w * x[i], s.y += w * y[i];
  }
  double xx = 0, xy = 0, spread = 0;
  for (const std::size_t i : rows) {
    const Sums& s = sums[group[i]];
    const double w = 1 / (sigma[i] * sigma[i]), dx = x[i] - s.x / s.w;
    xx += w * dx * dx;
    xy += w * dx * (y[i] - s.y / s.w);
    spread += w * x[i] * x[i];
  }
  return xx > 1e-20 * spread ? xy / xx : nan;
}

std::vector<double> regress_within(const std::vector<std::vector<double>>& columns, const std::vector<double>& y,
                                   const std::vector<double>& sigma, const std::vector<std::size_t>& group,
                                   const std::vector<std::size_t>& rows) {
  std::vector<std::vector<double>> centred;
  for (const auto& column : columns) centred.push_back(less_group_means(column, sigma, group, rows));
  const std::vector<double> target = less_group_means(y, sigma, group, rows);
  std::vector<double> own_sigma;
  for (const std::size_t i : rows) own_sigma.push_back(sigma[i]);
  // The constant of the centred regression is 0 up to rounding.
  std::vector<double> found = regress(centred, target, own_sigma, all_indices(rows.size()));
  found.erase(found.begin());
  return found;
}

double slope_with_errors(const std::vector<double>& x, const std::vector<double>& variance,
                         const std::vector<std::vector<double>>& others, const std::vector<double>& y,
                         const std::vector<double>& sigma, const std::vector<std::size_t>& group,
                         const std::vector<std::size_t>& rows) {
  std::vector<double> rest = less_group_means(x, sigma, group, rows);
  if (!others.empty()) {
    const std::vector<double> on_others = regress_within(others, x, sigma, group, rows);
    for (std::size_t j = 0; j < others.size(); ++j) {
      const std::vector<double> column = less_group_means(others[j], sigma, group, rows);
      for (std::size_t k = 0; k < rows.size(); ++k) rest[k] -= on_others[j] * column[k];
    }
  }
  double xx = 0, xy = 0, errors = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) {
    const double w = 1 / (sigma[rows[k]] * sigma[rows[k]]), v = variance[rows[k]];
    xx += w * rest[k] * rest[k], xy += w * rest[k] * y[rows[k]];
    if (std::isfinite(v)) errors += w * v;
  }
  return xx > errors ? xy / (xx - errors) : nan;
}

double r_squared_within(const std::vector<std::vector<double>>& columns, const std::vector<double>& coefficients,
                        const std::vector<double>& y, const std::vector<double>& sigma,
                        const std::vector<std::size_t>& group, const std::vector<std::size_t>& rows) {
  std::vector<double> error = less_group_means(y, sigma, group, rows);
  double total = 0, left = 0;
  for (std::size_t k = 0; k < rows.size(); ++k) total += std::pow(error[k] / sigma[rows[k]], 2);
  for (std::size_t j = 0; j < columns.size(); ++j) {
    const std::vector<double> x = less_group_means(columns[j], sigma, group, rows);
    for (std::size_t k = 0; k < rows.size(); ++k) error[k] -= coefficients[j] * x[k];
  }
  for (std::size_t k = 0; k < rows.size(); ++k) left += std::pow(error[k] / sigma[rows[k]], 2);
  return 1 - left / total;
}

double weighted_mean(const std::vector<double>& y, const std::vector<double>& sigma,
                     const std::vector<std::size_t>& rows) {
  double sum = 0, weight = 0;
  for (const std::size_t i : rows) {
    const double w = 1 / (sigma[i] * sigma[i]);
    sum += w * y[i];
    weight += w;
  }
  return weight > 0 ? sum / weight : nan;
}

Interval mean_interval(const std::vector<RowKey>& keys, const std::vector<double>& y, const std::vector<double>& sigma,
                       const IntervalOptions& options) {
  if (keys.empty()) return {nan, nan, nan, 0};
  const auto mean = [&](const std::vector<std::size_t>& rows) {
    return std::vector<double>{weighted_mean(y, sigma, rows)};
  };
  return jackknife(keys, mean, options)[0];
}

}  // namespace hone::theory
