// Two-layer linear net y = W2 W1 x on whitened inputs from a balanced small start: the one model with
// sharpening, growing weights and rounding damage all in closed form. Its modes learn one by one.
// Losses are ½ E|y - y*|².
//   s_k modes: singular values of W2 W1   s*_k those of the target   h hidden width
//   source  Saxe, McClelland & Ganguli 2014 for the modes; the rest is derived here
#pragma once

#include "sim/base/matrix.hpp"

namespace hone::theory {

/// A mode under gradient flow.
/// math    ds/dt = 2 s (s* - s), so s(t) = s* / (1 + (s*/s0 - 1) exp(-2 s* t))
/// expects 0 < start ≤ target
double linear_net_mode(double time, double start, double target);

struct LinearNet {
  Vector<double> target;  ///< s*_k > 0, at most min(d_in, d_out) of them
  double start = 1e-4;    ///< s_k(0)/s*_k, equal for all modes, at most 1
  Index d_in = 0;
  Index d_out = 0;

  Vector<double> modes(double time) const;
  double loss(double time) const;  ///< ½ Σ (s_k - s*_k)²
  /// Trace of the Gauss-Newton matrix.
  /// math  d_in |W2|² + d_out |W1|² = (d_in + d_out) Σ s_k
  double gn_trace(double time) const;
  /// Its eigenvalues that can differ from 0.
  /// math    s_i + s_j for i < d_out, j < d_in, s_k = 0 beyond the modes; the largest is 2 s_1
  /// shapes  (d_in·d_out), in no order
  Vector<double> gn_spectrum(double time) const;
};

/// Exponents of the same net with s*_k = k^-alpha.
/// math    modes learned up to k ~ t^(1/alpha): loss ~ t^-beta, beta = 2 - 1/alpha; trace ~ t^gamma, gamma = 1/alpha -
///         1; gamma + beta = 1. Noise of fixed variance does damage ~ trace; absmax steps grow with Σ s_k as well
/// expects ½ < alpha < 1; from alpha = 1 on the trace saturates
struct LinearNetExponents {
  double gamma = 0;          ///< of the trace, and of the damage at a fixed step
  double beta = 0;           ///< of the falling loss
  double absmax_damage = 0;  ///< of the damage when steps follow the weights: 2 gamma
};
LinearNetExponents linear_net_exponents(double alpha);

/// Loss rise of rounding the first matrix, the second, and both.
struct LinearNetDamage {
  double first = 0;
  double second = 0;
  double joint = 0;
};

/// Expected damage of independent zero-mean errors at the loss's minimum, without a fitted constant.
/// math    K0 nu_1, K0 nu_2, K0 ((1 + nu_1)(1 + nu_2) - 1); K0 = |W1|² |W2|²/(2h), nu_l = (MSE of an entry)·entries/|W_l|²
/// expects hidden ≥ 1, nothing negative
LinearNetDamage linear_net_damage(double first_norm2, double second_norm2, Index hidden, double nu_first,
                                  double nu_second);

/// Gauss-Newton eigenvalue of the chain y = w_L ... w_1 x, x = 1, with equal weights of product p.
/// math    L p^(2 - 2/L)
/// expects depth ≥ 1, product > 0
double chain_sharpness(int depth, double product);

}  // namespace hone::theory
