// Q4: do the top eigendirections carry the damage?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q4: does the damage ride on the top eigendirections?
/// math    over the main trunk, mean of (norm share of the real rounding error in the top-k space) / √(k/n); per
///         subspace, mean of measured / predicted damage of noise of equal energy
/// ensures supported when the share's interval lies above 1 + q4_tolerance, refuted when below it
Verdict judge_directions(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
