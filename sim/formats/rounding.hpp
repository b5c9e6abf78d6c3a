// How a real number becomes an integer: the one place where the three roundings are written, shared by integer grids
// and floating-point formats.
#pragma once

#include <cmath>

namespace hone {

enum class Rounding { nearest_even, half_away, stochastic };

/// v rounded to an integer.
/// math     stochastic: floor(v) + (u < v - floor(v)); `u`, a uniform draw, is read by it alone
template <Rounding rounding, class S>
S rounded(S v, double u) {
  if constexpr (rounding == Rounding::nearest_even) return std::nearbyint(v);
  if constexpr (rounding == Rounding::half_away) return std::round(v);
  const S below = std::floor(v);
  return below + static_cast<S>(u < static_cast<double>(v - below));
}

}  // namespace hone
