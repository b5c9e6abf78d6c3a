#include "theory/noise.hpp"

#include <algorithm>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <cmath>
#include <numbers>
#include <vector>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

using std::numbers::pi;

/// P(max |x_i| > x) of n standard normals, accurate in the tail.
double absmax_tail(double x, int n) { return -std::expm1(n * std::log1p(-std::erfc(x / std::numbers::sqrt2))); }

double density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * pi); }
double upper_tail(double x) { return 0.5 * std::erfc(x / std::numbers::sqrt2); }

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
        (0.5 - upper_tail(middle / std::numbers::sqrt3) < target ? low : high) = middle;
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
      const double from_left = i > 0 ? 0.5 * (y_[i] - c.left) * density(c.left) : 0;
      const double from_right = i + 1 < n ? 0.5 * (c.right - y_[i]) * density(c.right) : 0;
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
    return {left, right, upper_tail(left) - (last ? 0 : upper_tail(right)),
            density(left) - (last ? 0 : density(right))};
  }

  std::vector<double> y_;
};

}  // namespace

AbsmaxMoments absmax_moments(int n) {
  EXPECTS(n >= 1, "absmax_moments: n = {}, expected ≥ 1", n);
  using Rule = boost::math::quadrature::gauss_kronrod<double, 31>;
  constexpr double far = 40;  // the tail beyond is below 1e-300 for any int n
  const auto mean = [n](double x) { return absmax_tail(x, n); };
  const auto square = [n](double x) { return 2 * x * absmax_tail(x, n); };
  return {Rule::integrate(mean, 0.0, far, 15, 1e-12), Rule::integrate(square, 0.0, far, 15, 1e-12)};
}

double rtn_relative_mse(int bits, int n) {
  EXPECTS(bits >= 2 && bits <= 30, "rtn_relative_mse: {} bits, expected 2..30", bits);
  const double levels = std::exp2(bits - 1) - 1;
  return absmax_moments(n).mean_square / (12 * levels * levels);
}

UniformNoise uniform_noise(double sigma_over_step) {
  EXPECTS(sigma_over_step >= 1e-3, "uniform_noise: s/Delta = {}, expected ≥ 0.001", sigma_over_step);
  const double exponent = 2 * pi * pi * sigma_over_step * sigma_over_step;
  double square = 0, cross = 0, sign = -1;
  for (double k = 1; exponent * k * k < 40; ++k, sign = -sign) {
    const double term = sign * std::exp(-exponent * k * k);
    square += term / (k * k);
    cross += term;
  }
  return {1 + 12 / (pi * pi) * square, 2 * cross};
}

double stochastic_rounding_mse(double fraction) {
  EXPECTS(fraction >= 0 && fraction <= 1, "stochastic_rounding_mse: fraction {}", fraction);
  return fraction * (1 - fraction);
}

double step2_ratio(int bits) {
  EXPECTS(bits >= 2 && bits <= 30, "step2_ratio: {} bits, expected 2..30", bits);
  const double root = (std::exp2(bits) - 1) / (std::exp2(bits - 1) - 1);
  return root * root;
}

double equivalent_gamma_post(int low, int high) {
  EXPECTS(low < high, "equivalent_gamma_post: {} to {} bits, expected rising", low, high);
  double log_ratio = 0;
  for (int bits = low; bits < high; ++bits) log_ratio += std::log(step2_ratio(bits));
  return (high - low) / log_ratio;
}

double lloyd_max_mse(int bits) {
  EXPECTS(bits >= 1 && bits <= 12, "lloyd_max_mse: {} bits, expected 1..12", bits);
  HalfQuantizer half(1 << (bits - 1));
  constexpr int steps_max = 100000;
  for (int i = 0; i < steps_max; ++i)
    if (half.step() < 1e-10) break;
  return half.mse();
}

LossChange second_order_change(const Vector<double>& gradient, const Matrix<double>& hessian,
                               const Vector<double>& mean, const Vector<double>& variance) {
  const Index n = gradient.size();
  EXPECTS(hessian.rows() == n && hessian.cols() == n && mean.size() == n && variance.size() == n,
          "second_order_change: gradient {}, hessian {}x{}, mean {}, variance {}", n, hessian.rows(), hessian.cols(),
          mean.size(), variance.size());
  const Vector<double> curved = hessian * mean;
  const Vector<double> slope = gradient + curved;
  const Matrix<double> hs = hessian * variance.asDiagonal();
  return {gradient.dot(mean) + 0.5 * hessian.diagonal().dot(variance) + 0.5 * mean.dot(curved),
          slope.dot(variance.cwiseProduct(slope)) + 0.5 * hs.cwiseProduct(hs.transpose()).sum()};
}

double top_share(const Vector<double>& eigenvalues, Index k) {
  EXPECTS(k >= 0 && k <= eigenvalues.size(), "top_share: k = {} of {}", k, eigenvalues.size());
  return eigenvalues.head(k).sum() / eigenvalues.sum();
}

double random_share(Index k, Index n) {
  EXPECTS(k >= 0 && k <= n && n > 0, "random_share: k = {} of {}", k, n);
  return static_cast<double>(k) / static_cast<double>(n);
}

double alignment_null(Index k, Index n) { return std::sqrt(random_share(k, n)); }

}  // namespace hone::theory
