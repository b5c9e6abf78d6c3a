// From a solve that is done to its pairs: bounds of each pair and the certificates of all.
#pragma once

#include "sim/curvature/extremes.hpp"

namespace hone {

/// The pairs of a solve that is done, with bounds and certificates.
/// expects  phase done
Eigenpairs eigenpairs_of(const ExtremesState& state);

}  // namespace hone
