// Linear regression on fixed features with power-law spectra: the solvable models of loss against
// tokens, size and data, of one-pass SGD, and of noise on the features.
//   lambda_k variances of the features   w* their true weights   signal_k = w*_k² lambda_k
//   Risks are E(y - f)², without a factor ½, above the noise of y itself.
#pragma once

#include "sim/base/matrix.hpp"

namespace hone::theory {

/// lambda_k = k^-b and signal_k = k^-a, k = 1, 2, … without end.
struct PowerFeatures {
  double signal = 2;    ///< a > 1
  double spectrum = 1;  ///< b > 0

  /// Risk of gradient flow dv/dt = -lambda v from w = 0.
  /// math    Σ k^-a exp(-2 t k^-b), the tail beyond 20000 by its integral
  double flow_risk(double time) const;
  /// Its limit at large times.
  /// math  Γ((a-1)/b)/b (2t)^(-(a-1)/b)
  double flow_asymptote(double time) const;

  double time_exponent() const { return (signal - 1) / spectrum; }
  /// Of the floor that N random features leave, infinite data: min(a - 1, b). The directions beyond the N-th cost a -
  /// 1, the leak of the first ones b. (The 2b often quoted for N belongs to data.)
  /// source  term F_0 of Paquette et al. 2405.15074; random_feature_floor
  double size_exponent() const;
  /// Of the risk of least squares on D noiseless samples, all features: min(a - 1, 2b).
  /// source  Bordelon et al. 2402.01092; sample_risk
  double data_exponent() const;
};

/// Risk of the best readout of `count` random combinations of the features, averaged over them.
/// math    Σ signal kappa/(lambda + kappa), Σ lambda/(lambda + kappa) = count: deterministic equivalent, relative error
///         of order 1/count
/// shapes  lambda, signal (K); 1 ≤ count < K
/// source  Maloney et al. 2210.16859; Derezinski et al. 2006.10653
double random_feature_floor(const Vector<double>& lambda, const Vector<double>& signal, Index count);

/// Risk of least squares of least norm on `samples` Gaussian samples of K > samples features.
/// math    (Σ signal (kappa/(lambda + kappa))² + noise g)/(1 - g), g = Σ (lambda/(lambda + kappa))²/samples, kappa as
///         above with samples for count
/// shapes  as random_feature_floor; noise the variance of y given the features
/// source  Hastie et al. 2022 (arXiv:1903.08560)
double sample_risk(const Vector<double>& lambda, const Vector<double>& signal, Index samples, double noise);

/// Regression in the eigenbasis of the features' covariance.
struct FeatureRegression {
  Vector<double> eigenvalues;  ///< of the covariance
  Vector<double> error2;       ///< E of the squared distance to the best weights along each
  double floor = 0;            ///< risk of the best weights: what the features cannot say
};

/// The problem that readouts of random combinations F'x of features x ~ N(0, diag lambda) see, started at 0.
/// math    covariance F'ΛF; best weights (F'ΛF)^-1 F'Λw*; what is left of w*'x is Gaussian and independent of F'x
/// shapes  lambda, target (K), combinations F (K,N)
FeatureRegression random_features(const Vector<double>& lambda, const Vector<double>& target,
                                  const Matrix<double>& combinations);

/// One-pass SGD on Gaussian features: w -= rate/batch Σ x (x·w - y), fresh samples at every update.
struct OnePassSgd {
  FeatureRegression problem;
  double noise = 0;  ///< variance of y given all features
  double rate = 0;
  Index batch = 1;

  /// Expected risk above `noise` before update 0, 1, … steps.
  /// math    u_i = E v_i²:  u_i <- (1 - r l_i)² u_i + r²/B (l_i² u_i + l_i (Σ l_j u_j + floor + noise)); exact, since
  ///         fourth moments of Gaussian features are
  /// cost    steps·N
  Vector<double> risks(Index steps) const;
  /// Where it settles: floor + S/(1 - S)(floor + noise), S = r/B Σ l_i/(2 - r l_i (1 + 1/B)); infinite when unstable.
  double stationary_risk() const;
};

/// Largest rate at which one-pass SGD does not diverge: S = 1 in OnePassSgd::stationary_risk.
/// ensures below 2/lambda_max, the cap of full-batch descent, which it approaches with growing batches
double one_pass_cap(const Vector<double>& eigenvalues, Index batch);

/// Regression on features that carry independent zero-mean noise, as rounding without bias makes it.
struct NoisyFeatures {
  double risk = 0;            ///< of the best weights
  double effective_size = 0;  ///< Σ lambda/(lambda + q): features that still count
};

/// math    best weights w* lambda/(lambda + q), risk Σ signal q/(lambda + q). Additive noise (fixed step) has equal q_k
///         and loses all features below it; multiplicative noise (floating point) has q_k = c lambda_k and keeps each
///         at 1/(1 + c)
/// shapes  lambda, signal, noise q (K), all ≥ 0, lambda > 0
/// source  two noises as in Zhang 2602.19241; derived here
NoisyFeatures noisy_features(const Vector<double>& lambda, const Vector<double>& signal, const Vector<double>& noise);

/// effective_size of endless features k^-b under additive noise.
/// math    Σ 1/(1 + q k^b) ≈ (pi/b)/sin(pi/b) q^(-1/b) - ½
/// expects spectrum > 1, 0 < noise << 1
double additive_effective_size(double spectrum, double noise);

}  // namespace hone::theory
