// Theory of rounding noise: the error of Gaussian weights that are rounded to a grid, without any network. feedback.hpp
// has the gain of GPTQ over it, quantizers.hpp the errors of the best grids.
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
/// source  the definition, by Boost Gauss-Kronrod quadrature, relative error below 1e-10
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

/// Mean squared error of stochastic rounding of a Gaussian input on an unclipped grid, in units of Delta².
/// math    E f (1 - f) = 1/6 - pi⁻² Σ k⁻² q^(k²), q = exp(-2 pi² s²/Delta²): f the fraction of a step above the level
///         below; 1/6, twice that of rounding to nearest, where s >> Delta, and Delta s √(2/pi) - s² where s << Delta
/// expects sigma_over_step ≥ 0.001
double stochastic_rounding_gaussian_mse(double sigma_over_step);

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
