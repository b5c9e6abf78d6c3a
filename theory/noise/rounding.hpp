// Theory of rounding noise: the error of Gaussian weights that are rounded to a grid, without any network. damage.hpp has
// the effect of a given noise on a loss, quantizers.hpp the errors of the best grids.
//   s standard deviation of the input   b bits   Delta step   Qp = 2^(b-1) - 1   n channel length
#pragma once

#include "theory/laws/laws.hpp"

namespace hone::theory {

/// First two moments of a random length, in units of s or of s².
struct Moments {
  double mean = 0;
  double mean_square = 0;
};

/// Moments of M = max |x_i| of n independent standard normals.
/// math    E M = ∫ 1 - F^n dx, E M² = ∫ 2x (1 - F^n) dx over x > 0, F = erf(x/√2)
/// expects n ≥ 1
/// source  science notes section 4; Boost Gauss-Kronrod quadrature, relative error below 1e-10
Moments absmax_moments(int n);

/// Moments of the step Delta that n Gaussian weights are given when their extremes set the range.
/// math    restricted, full M/Qp; midrise 2M/(2^b - 1); signed_absmax M/2^(b-1); with A = max(0, -min x), B = max(0,
///         max x): no_clip max(A/2^(b-1), B/Qp), P(Delta ≤ d) = (Φ(Qp d) - Φ(-2^(b-1) d))^n; asymmetric (A + B)/(2^b -
///         1), E(A + B)² = 2 E B² + 2 E AB, E AB = ∫∫ P(A > a, B > b) da db
/// expects 2 ≤ bits ≤ 30, n ≥ 1; not float_min, whose range need not hold zero, nor a grid of LLM-QAT
/// cost    below a millisecond; asymmetric two
Moments step_moments(Grid grid, int bits, int n);

/// Expected squared error per weight of absmax rounding to nearest, as a share of s².
/// math    E Delta²/12, the uniform-noise value; too large by far at 2 bits, where rounding shrinks weights: rtn_noise
/// expects 2 ≤ bits ≤ 30
double rtn_relative_mse(int bits, int n, Grid grid = Grid::restricted);

/// Rounding to nearest of Gaussian channels without the uniform-noise model.
struct RtnNoise {
  double relative_mse = 0;  ///< E e²/s², e = Q(x) - x
  double shrinkage = 0;     ///< E[x e]/s²: 0 for noise, -1 when everything rounds to zero
};

/// math    given M = m the largest weight lies on the grid and the others are normals cut at ±m, so that E e² = (1 -
///         1/n) ∫ f(m) Σ_k ∫_cell k (x - k m/Qp)² φ(x) dx / (Φ(m) - Φ(-m)) dm with f the density of M; E[x e] alike
/// expects Grid::restricted or Grid::full, whose codes are the same here; 2 ≤ bits ≤ 12; n ≥ 2
/// cost    2^(b-1) normal integrals at each of some hundred nodes
RtnNoise rtn_noise(int bits, int n);

/// How a Gaussian departs from the uniform-noise model at a given s/Delta (unclipped mid-tread
/// grid).
struct UniformNoise {
  double mse_ratio = 0;  ///< E e² / (Delta²/12)
  double shrinkage = 0;  ///< E[x e] / s²: 0 for noise, -1 when everything rounds to zero
};

/// math    E e² = Delta²/12 + (Delta²/pi²) Σ (-1)^k k⁻² q^(k²), E[x e] = 2 s² Σ (-1)^k q^(k²),
///         q = exp(-2 pi² s²/Delta²), e = Q(x) - x
/// expects sigma_over_step ≥ 0.001
/// cost    about 1.4·Delta/s terms
UniformNoise uniform_noise(double sigma_over_step);

/// The least s/Delta from which on the uniform-noise model overstates E e² by no more than a share.
/// math    the root of 1 - uniform_noise(x).mse_ratio = share; near √(-ln(pi² share/12)/(2 pi²))
/// expects 1e-12 ≤ share ≤ 0.9
double least_sigma_over_step(double share);

/// Mean squared error of stochastic rounding at fraction f between two levels, in units of Delta².
/// math    f (1 - f), at most 1/4; averaged over f it is stochastic_rounding_mse_mean
double stochastic_rounding_mse(double fraction);
inline constexpr double stochastic_rounding_mse_mean = 1.0 / 6;  ///< twice that of rounding to nearest

/// The same averaged over a Gaussian input on an unclipped grid, in units of Delta².
/// math    1/6 - pi⁻² Σ k⁻² q^(k²), q = exp(-2 pi² s²/Delta²): the Fourier series of f (1 - f); Delta s √(2/pi) - s²
///         where s << Delta
/// expects sigma_over_step ≥ 0.001
double stochastic_rounding_gaussian_mse(double sigma_over_step);

/// What is added to an input before it is rounded to nearest.
enum class Dither {
  none,
  subtractive,  ///< uniform over one step, taken off again after rounding
  rectangular,  ///< uniform over one step, left in: the same as stochastic rounding
  triangular,   ///< the sum of two such, left in
};

/// Mean and variance of output minus input at fraction f between two levels, in units of Delta and Delta².
struct DitherError {
  double mean = 0;
  double variance = 0;
};

/// math    none (0 or 1 nearer f) - f, 0; subtractive 0, 1/12; rectangular 0, f (1 - f); triangular 0, 1/4
/// expects 0 ≤ fraction ≤ 1
/// source  Lipshitz, Wannamaker & Vanderkooy 1992
DitherError dither_error(Dither dither, double fraction);

/// Delta² at `bits` over Delta² at `bits + 1` for extremes that stay.
/// math    restricted, full, no_clip ((2^b - 1)/(2^(b-1) - 1))²; midrise, asymmetric ((2^(b+1) - 1)/(2^b - 1))²;
///         signed_absmax 4, the limit of the others
double step2_ratio(int bits, Grid grid = Grid::restricted);

/// The gamma_post of LawKind::ptq_exponential that Delta² alone would show between two widths.
/// math    (high - low) / ln(Delta²(low) / Delta²(high)); 1/(2 ln 2) = 0.7213 at a ratio of 4 per bit
/// expects 2 ≤ low < high
double equivalent_gamma_post(int low, int high, Grid grid = Grid::restricted);

/// Expected squared step after a uniformly random rotation of a row: it depends on the length of the row alone.
/// math    (row_norm2/n) E Delta²(n), exact for every row since a normal vector is a random direction times an
///         independent length
/// units   of row_norm2
/// expects row_norm2 ≥ 0, n ≥ 1
double rotated_step2(double row_norm2, int n, int bits, Grid grid = Grid::restricted);

}  // namespace hone::theory
