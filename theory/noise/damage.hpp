// Effect of a given noise on a loss of known gradient and curvature, to second order: mean and variance of the rise, the
// part of each subspace, the gain from feedback, the composition of noises.
#pragma once

#include <vector>

#include "sim/base/matrix.hpp"

namespace hone::theory {

/// Moments of the second-order loss change g·e + ½ e'He under normal e.
struct LossChange {
  double mean = 0;
  double variance = 0;
};

/// math    e ~ N(mu, S): mean = g·mu + ½ tr(HS) + ½ mu'H mu; variance = (g + H mu)'S(g + H mu) + ½ tr((HS)²). The mean
///         holds for any e of these two moments
/// shapes  gradient, mean (n); hessian, covariance (n,n) symmetric; independent noise is variance.asDiagonal()
LossChange second_order_change(const Vector<double>& gradient, const Matrix<double>& hessian,
                               const Vector<double>& mean, const Matrix<double>& covariance);

/// Expected rise under independent noise of one variance in all directions.
/// math    ½ s² tr H; times top_share or random_share for noise that lives in such a subspace alone
double isotropic_rise(double trace, double variance);

/// Share of the damage of isotropic noise that falls into the k largest eigendirections.
/// math    Σ_{i≤k} lambda_i / Σ lambda_i
/// expects eigenvalues descending, 0 ≤ k ≤ their number
double top_share(const Vector<double>& eigenvalues, Index k);

/// The same for a random k-dimensional subspace of n dimensions, on average: k/n.
double random_share(Index k, Index n);

/// Norm share of a fixed residual in a random k-subspace, the null of "the residual points at the
/// top": √(k/n).
double alignment_null(Index k, Index n);

/// Rounding a matrix to a fixed step with and without feedback of the errors to the columns that follow.
struct FeedbackProxy {
  double nearest = 0;   ///< E tr(E H E') of plain rounding
  double feedback = 0;  ///< of GPTQ, which is LDLQ
};

/// math    (step²/12) m tr H and (step²/12) m tr D, H = (U + I) D (U + I)' with U strictly upper; tr D ≤ tr H, equal
///         for diagonal H
/// shapes  hessian (n,n) positive definite; rows m
/// errors  ContractError when H has no such factors
/// source  Chee et al. 2023 (QuIP, arXiv:2307.13304), lemma 2
FeedbackProxy feedback_proxy(const Matrix<double>& hessian, double step, Index rows);

/// Noise-to-signal ratio of a product of factors with independent relative noises.
/// math    Π (1 + nu_i) - 1: above Σ nu_i by their products
/// expects every nu ≥ 0
double composed_noise(const std::vector<double>& nu);

/// Expected rise of -ln p of the right one of two classes under normal noise on the difference of the logits.
/// math    E softplus(-(z + e)) - softplus(-z), e ~ N(0, variance): ½ variance p (1 - p) at first, √(variance/(2 pi)) in
///         the end, so that large noises add to less than their sum
/// units   nats
/// expects variance ≥ 0
double two_class_rise(double logit_difference, double variance);

}  // namespace hone::theory
