// A quantity along training tokens, read between checkpoints. Internal to the questions.
#pragma once

#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace hone::theory {

/// Values over ln D; several at equal tokens are averaged.
struct Curve {
  std::map<double, std::pair<double, int>> points;  // ln D to sum and count

  void add(double log_d, double value) {
    auto& [sum, count] = points[log_d];
    sum += value, ++count;
  }

  /// Linear between neighbours in ln D; NaN outside the measured range.
  double at(double log_d) const { return read(log_d, 1); }

  /// The variance of `at` where the values are variances of independent errors: the shares of the neighbours count squared.
  double variance_at(double log_d) const { return read(log_d, 2); }

 private:
  double read(double log_d, int power) const {
    const double slack = 1e-9 * std::abs(log_d);  // equal token counts may differ in the last bits
    const auto mean = [](const auto& point) { return point.second.first / point.second.second; };
    const auto right = points.lower_bound(log_d - slack);
    if (right == points.end()) return std::numeric_limits<double>::quiet_NaN();
    if (std::abs(right->first - log_d) <= slack) return mean(*right);
    if (right == points.begin()) return std::numeric_limits<double>::quiet_NaN();
    const auto left = std::prev(right);
    const double share = (log_d - left->first) / (right->first - left->first);
    return std::pow(1 - share, power) * mean(*left) + std::pow(share, power) * mean(*right);
  }
};

}  // namespace hone::theory
