// Density and distribution of the standard normal, accurate in its tails.
#pragma once

#include <cmath>
#include <numbers>

namespace hone::theory {

inline double normal_density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi); }

/// P(X > x).
inline double normal_tail(double x) { return 0.5 * std::erfc(x / std::numbers::sqrt2); }

/// P(a < X ≤ b), without cancellation in either tail.
inline double normal_mass(double a, double b) {
  return a >= 0 ? normal_tail(a) - normal_tail(b) : normal_tail(-b) - normal_tail(-a);
}

}  // namespace hone::theory
