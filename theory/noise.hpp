// Theory of quantization noise: what rounding Gaussian weights costs, before any network is
// involved, and what the second-order expansion of the loss makes of a given noise.
//   s standard deviation of the input   b bits   Delta step   Qp = 2^(b-1) - 1   n channel length
#pragma once

#include "sim/base/matrix.hpp"

namespace hone::theory {

/// First two moments of M = max |x_i| of n independent standard normals.
struct AbsmaxMoments {
  double mean = 0;
  double mean_square = 0;
};

/// math    E M = ∫ 1 - F^n dx, E M² = ∫ 2x (1 - F^n) dx over x > 0, F = erf(x/√2)
/// expects n ≥ 1
/// source  science notes section 4; Boost Gauss-Kronrod quadrature, relative error below 1e-10
AbsmaxMoments absmax_moments(int n);

/// Expected squared error per weight of symmetric absmax rounding to nearest, as a share of s².
/// math    E M² / (12 Qp²), the uniform-noise value; too large by far at 2 bits, where rounding
///         shrinks weights
/// expects bits ≥ 2
double rtn_relative_mse(int bits, int n);

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

/// Mean squared error of stochastic rounding at fraction f between two levels, in units of Delta².
/// math    f (1 - f); averaged over f it is stochastic_rounding_mse_mean
double stochastic_rounding_mse(double fraction);
inline constexpr double stochastic_rounding_mse_mean = 1.0 / 6;  ///< twice that of rounding to nearest

/// Delta² at `bits` over Delta² at `bits + 1` for an absmax grid.
/// math    ((2^b - 1)/(2^(b-1) - 1))²; tends to 4
/// expects bits ≥ 2
double step2_ratio(int bits);

/// The gamma_post at which exp(-P/gamma_post) falls from `low` to `high` bits as Delta² does.
/// expects 2 ≤ low < high
double equivalent_gamma_post(int low, int high);

/// Mean squared error of the optimal quantizer with 2^bits levels for a standard normal.
/// math    both Lloyd-Max conditions, by Newton steps on the tridiagonal stationarity system,
///         Lloyd's sweeps before
/// expects 1 ≤ bits ≤ 12
/// cost    at most 1e5 steps of 2^bits normal integrals, far fewer in practice
/// source  Max 1960, Lloyd 1982
double lloyd_max_mse(int bits);

/// Moments of the second-order loss change g·e + ½ e'He under e = mu + independent normals.
struct LossChange {
  double mean = 0;
  double variance = 0;
};

/// math    mean = g·mu + ½ Σ_i s_i² H_ii + ½ mu'H mu; variance = (g + H mu)'S(g + H mu) + ½
///         tr((HS)²), S = diag(s²)
/// shapes  gradient, mean, variance (n); hessian (n,n) symmetric
LossChange second_order_change(const Vector<double>& gradient, const Matrix<double>& hessian,
                               const Vector<double>& mean, const Vector<double>& variance);

/// Share of the damage of isotropic noise that falls into the k largest eigendirections.
/// math    Σ_{i≤k} lambda_i / Σ lambda_i
/// expects eigenvalues descending, 0 ≤ k ≤ their number
double top_share(const Vector<double>& eigenvalues, Index k);

/// The same for a random k-dimensional subspace of n dimensions: k/n.
double random_share(Index k, Index n);

/// Norm share of a fixed residual in a random k-subspace, the null of "the residual points at the
/// top": √(k/n).
double alignment_null(Index k, Index n);

}  // namespace hone::theory
