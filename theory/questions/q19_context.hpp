// Q19: does the damage of a quantized cache grow with the length of the context?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q19: how does the damage per token depend on its position, under each policy of the cache?
/// math    damage of an octave of positions = mean over seeds; exponent κ of the position by weighted least squares of its
///         logarithm, within sizes, over octaves from q19_position_min on whose damage exceeds ptq_min_snr of its standard
///         errors. The damage of a whole text of T tokens then goes as T^(1 + κ): it is super-linear where κ is above 0,
///         and the damage per token is where κ is above 1
/// ensures supported when κ of every policy lies above q19_exponent_min + q19_equivalence, refuted when κ of one lies below
///         it (Bonferroni);
///         inconclusive otherwise. Copies over a distance, and positions within and beyond the training window, are
///         details
Verdict judge_context(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
