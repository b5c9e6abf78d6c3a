// The claims in a review of Kumar et al., "Scaling Laws for Precision", arXiv:2411.04330: those of the paper ("kumar.")
// and those of its reviewer ("review.").
#pragma once

#include <span>

#include "theory/claims/claim.hpp"

namespace hone::theory {

/// In the order of the text.
std::span<const Claim> review_claims();

}  // namespace hone::theory
