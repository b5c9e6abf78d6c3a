// Models whose answer is known: they generate rows like recorded ones, or closed forms, so that
// every fit and every judge can be shown to come out each way.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/matrix.hpp"
#include "theory/table.hpp"

namespace hone::theory {

/// Grid of a synthetic study: every N with every D, seed and number of bits.
struct SyntheticGrid {
  std::vector<double> N{3e4, 1e5, 3e5};
  std::vector<double> D{1e6, 3e6, 1e7, 3e7, 1e8};
  std::vector<double> P{3, 4, 5, 6};
  int seeds = 3;
  std::uint64_t seed = 0;  ///< of Domain::synthetic
};

/// Exponents and noise of a planted law: delta follows LawKind::ptq_exponential with log-normal
/// scatter.
struct PlantedLaw {
  double log_c = -6;
  double gamma_d = 0.5;
  double gamma_n = 0.35;
  double gamma_post = 0.6;
  double curvature_share = 0.6;  ///< of gamma_d that comes from the trace, the rest from Delta²
  double run_noise = 0.05;       ///< ln units, shared by all rows of a (cell, seed)
  double row_noise = 0.02;       ///< ln units, of each row
  double relative_se = 0.02;     ///< delta_se / delta as reported
  double row_per_bit = 1;        ///< factor on row_noise for each bit above 3
  double trajectory_noise = 0;   ///< ln units, shared by all rows of one (N, seed)
  double drift = 0;              ///< change of that offset per e-fold of tokens
};

/// Rows of a planted law; the prediction follows the same law without row noise, so delta /
/// predicted has slope 1.
std::vector<PtqRow> planted_ptq(const SyntheticGrid& grid, const PlantedLaw& planted);

/// Trace rows of a planted power law with the curvature share of gamma_d; lambda_max saturates at
/// D/N = 10.
std::vector<SharpnessRow> planted_sharpness(const SyntheticGrid& grid, const PlantedLaw& planted);

/// Rows of the null model: quadratic loss of fixed H and fixed Delta, rounding errors drawn anew at
/// each D.
/// math    delta = ½ Σ h_i e_i², e_i uniform in ±Delta/2, h_i = 1/i; d E delta/dD = 0 exactly,
///         predicted = Delta²/24 Σ h_i
/// source  science notes section 3.3
std::vector<PtqRow> quadratic_null(const SyntheticGrid& grid);

/// Two-layer linear net y = W2 W1 x on whitened inputs from a balanced small start: its modes learn
/// one by one.
/// math    ds/dt = 2 s (s* - s), so s(t) = s* / (1 + (s*/s0 - 1) exp(-2 s* t))
/// expects 0 < start ≤ target
double linear_net_mode(double time, double start, double target);

struct LinearNet {
  Vector<double> target;  ///< s*_k > 0
  double start = 1e-4;    ///< s_k(0), equal for all modes
  double d_in = 0;
  double d_out = 0;

  Vector<double> modes(double time) const;
  double loss(double time) const;      ///< ½ Σ (s_k - s*_k)²
  double gn_trace(double time) const;  ///< (d_in + d_out) Σ s_k
  /// Non-zero Gauss-Newton spectrum among the learned modes: s_i + s_j for all ordered pairs.
  Vector<double> gn_spectrum(double time) const;
};

/// Exponents of the same net with s*_k = k^-alpha.
/// math    trace ~ t^gamma, gamma = 1/alpha - 1; loss ~ t^-beta, beta = 2 - 1/alpha; gamma + beta =
///         1
/// expects ½ < alpha < 1
/// source  derived for this project, science notes section 3.4
struct LinearNetExponents {
  double gamma = 0;
  double beta = 0;
};
LinearNetExponents linear_net_exponents(double alpha);

}  // namespace hone::theory
