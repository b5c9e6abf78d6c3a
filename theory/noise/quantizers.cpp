#include "theory/noise/quantizers.hpp"

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>
#include <numbers>
#include <vector>

#include "sim/base/error.hpp"
#include "theory/noise/normal.hpp"

namespace hone::theory {
namespace {

/// One half of a symmetric quantizer: levels y_i > 0 and the conditions they must meet.
class HalfQuantizer {
 public:
  explicit HalfQuantizer(int levels) : y_(static_cast<std::size_t>(levels)) {
    // Panter-Dite: optimal levels thin out like the cube root of the density, itself normal with s
    // = √3.
    for (std::size_t i = 0; i < y_.size(); ++i) {
      const double target = 0.5 * (static_cast<double>(i) + 0.5) / levels;
      double low = 0, high = 20;
      for (int step = 0; step < 60; ++step) {
        const double middle = 0.5 * (low + high);
        (0.5 - normal_tail(middle / std::numbers::sqrt3) < target ? low : high) = middle;
      }
      y_[i] = low;
    }
  }

  /// One step towards the stationary levels; returns the largest move. Newton's step is taken where
  /// it lowers the error; far from the optimum its matrix need not be positive, and there one sweep
  /// of Lloyd's follows.
  double step() {
    const std::vector<double> before = y_;
    const double error = mse();
    constexpr double rounding = 1e-15;
    const std::vector<double> move = newton_move();
    for (std::size_t i = 0; i < y_.size(); ++i) y_[i] = before[i] + move[i];
    if (!is_ordered() || !(mse() <= error + rounding)) {
      y_ = before;
      std::vector<double> centroids;
      for (std::size_t i = 0; i < y_.size(); ++i) centroids.push_back(cell(i).moment / cell(i).mass);
      y_ = centroids;
    }
    double largest = 0;
    for (std::size_t i = 0; i < y_.size(); ++i) largest = std::max(largest, std::abs(y_[i] - before[i]));
    return largest;
  }

  double mse() const {
    double sum = 1;
    for (std::size_t i = 0; i < y_.size(); ++i) {
      const Cell c = cell(i);
      sum += 2 * (y_[i] * y_[i] * c.mass - 2 * y_[i] * c.moment);
    }
    return sum;
  }

 private:
  struct Cell {
    double left, right, mass, moment;
  };

  bool is_ordered() const { return y_[0] > 0 && std::is_sorted(y_.begin(), y_.end()); }

  /// Solves the linearization of y_i p_i = m_i, which is tridiagonal, by elimination.
  std::vector<double> newton_move() const {
    const std::size_t n = y_.size();
    std::vector<double> below(n), diagonal(n), above(n), move(n);
    for (std::size_t i = 0; i < n; ++i) {
      const Cell c = cell(i);
      const double from_left = i > 0 ? 0.5 * (y_[i] - c.left) * normal_density(c.left) : 0;
      const double from_right = i + 1 < n ? 0.5 * (c.right - y_[i]) * normal_density(c.right) : 0;
      below[i] = -from_left;
      above[i] = -from_right;
      diagonal[i] = c.mass - from_left - from_right;
      move[i] = c.moment - y_[i] * c.mass;
    }
    for (std::size_t i = 1; i < n; ++i) {
      const double factor = below[i] / diagonal[i - 1];
      diagonal[i] -= factor * above[i - 1];
      move[i] -= factor * move[i - 1];
    }
    for (std::size_t i = n; i-- > 0;) {
      if (i + 1 < n) move[i] -= above[i] * move[i + 1];
      move[i] /= diagonal[i];
    }
    return move;
  }

  Cell cell(std::size_t i) const {
    const bool last = i + 1 == y_.size();
    const double left = i > 0 ? 0.5 * (y_[i - 1] + y_[i]) : 0;
    const double right = last ? INFINITY : 0.5 * (y_[i] + y_[i + 1]);
    return {left, right, normal_tail(left) - (last ? 0 : normal_tail(right)),
            normal_density(left) - (last ? 0 : normal_density(right))};
  }

  std::vector<double> y_;
};

/// Lowest level in steps, and how many there are.
struct LevelRange {
  double lowest = 0;
  int count = 0;
};

LevelRange range_of(UniformLevels levels, int bits) {
  const int all = 1 << bits, half = all / 2;
  switch (levels) {
    case UniformLevels::half_integers: return {0.5 - half, all};
    case UniformLevels::symmetric_integers: return {1.0 - half, all - 1};
    case UniformLevels::integers: return {-double(half), all};
  }
  return {};
}

}  // namespace

double lloyd_max_mse(int bits) {
  EXPECTS(bits >= 1 && bits <= 12, "lloyd_max_mse: {} bits, expected 1..12", bits);
  HalfQuantizer half(1 << (bits - 1));
  constexpr int steps_max = 100000;
  for (int i = 0; i < steps_max; ++i)
    if (half.step() < 1e-10) break;
  return half.mse();
}

double uniform_levels_mse(UniformLevels levels, int bits, double step) {
  EXPECTS(bits >= 1 && bits <= 12 && step > 0, "uniform_levels_mse: {} bits, step {}, expected 1..12 and > 0", bits,
          step);
  const LevelRange range = range_of(levels, bits);
  double sum = 1, left = -INFINITY;
  for (int i = 0; i < range.count; ++i) {
    const double level = step * (range.lowest + i), right = i + 1 < range.count ? level + step / 2 : INFINITY;
    sum += level * (level * normal_mass(left, right) - 2 * (normal_density(left) - normal_density(right)));
    left = right;
  }
  return sum;
}

UniformQuantizer best_uniform(UniformLevels levels, int bits) {
  const int bits_min = levels == UniformLevels::half_integers ? 1 : 2;
  EXPECTS(bits >= bits_min && bits <= 12, "best_uniform: {} bits, expected {}..12", bits, bits_min);
  // The best range lies between 1 s at 1 bit and 6 s at 12, and the error has one minimum.
  const double reach = std::exp2(bits - 1);
  constexpr int digits = 40;
  const auto [step, mse] = boost::math::tools::brent_find_minima(
      [&](double x) { return uniform_levels_mse(levels, bits, x); }, 0.5 / reach, 8.0 / reach, digits);
  return {step, mse};
}

double panter_dite_mse(int bits) { return std::sqrt(3.0) * std::numbers::pi / 2 * std::exp2(-2 * bits); }

double rate_distortion_mse(double rate) { return std::exp2(-2 * rate); }

}  // namespace hone::theory
