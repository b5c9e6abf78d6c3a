// The claims of a web page that explains precision as an axis of scaling ("page.").
#pragma once

#include <span>

#include "theory/claims/claim.hpp"

namespace hone::theory {

/// In the order of the text.
std::span<const Claim> page_claims();

}  // namespace hone::theory
