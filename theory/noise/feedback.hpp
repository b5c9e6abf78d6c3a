// What feedback of rounding errors gains over rounding to nearest, from the curvature alone.
#pragma once

#include "sim/base/matrix.hpp"

namespace hone::theory {

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

}  // namespace hone::theory
