// Errors of the best scalar quantizers of a standard normal, and the bound for any quantizer: the reference for absmax
// grids of the same width.
#pragma once

#include <numbers>

namespace hone::theory {

/// Mean squared error of the optimal quantizer with 2^bits levels for a standard normal.
/// math    both Lloyd-Max conditions, by Newton steps on the tridiagonal stationarity system,
///         Lloyd's sweeps before
/// expects 1 ≤ bits ≤ 12
/// cost    at most 1e5 steps of 2^bits normal integrals, far fewer in practice
/// source  Max 1960, Lloyd 1982
double lloyd_max_mse(int bits);

/// Where the levels of a uniform quantizer lie, in steps.
enum class UniformLevels {
  half_integers,       ///< ±½, ±3/2, … ±(2^(b-1) - ½): mid-rise, no level at 0
  symmetric_integers,  ///< 0, ±1, … ±(2^(b-1) - 1): codes of Grid::restricted
  integers,            ///< -2^(b-1) … 2^(b-1) - 1: codes of the other integer grids
};

/// Mean squared error of a standard normal whose values go to the nearest of equally spaced levels.
/// math    1 + Σ l² P(cell) - 2 l ∫_cell x φ(x) dx over levels l
/// expects 1 ≤ bits ≤ 12, step > 0
double uniform_levels_mse(UniformLevels levels, int bits, double step);

struct UniformQuantizer {
  double step = 0;  ///< in units of s
  double mse = 0;   ///< in units of s²
};

/// The step of least mean squared error.
/// expects half_integers 1..12 bits, the others 2..12
/// ensures step to 1e-6 relative, mse to 1e-12
/// source  Max 1960
UniformQuantizer best_uniform(UniformLevels levels, int bits);

/// High-resolution limit of lloyd_max_mse.
/// math    (√3 pi/2) 2^(-2b)
/// source  Panter & Dite 1951
double panter_dite_mse(int bits);

/// Least mean squared error of any code of a standard normal.
/// math    2^(-2R)
/// units   rate in bits per value
/// source  Shannon 1959
double rate_distortion_mse(double rate);

/// Fine uniform quantizer with entropy coding over rate_distortion_mse at equal rate: 1.53 dB.
/// math    pi e/6
/// source  Gish & Pierce 1968
inline constexpr double entropy_coded_loss = std::numbers::pi * std::numbers::e / 6;

}  // namespace hone::theory
