// Q11: does noise of equal predicted damage cost the same in every direction?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q11: is the second-order rise all that matters of a direction?
/// math    measured over predicted rise of noise that is scaled to equal ε'Hε/2 in the top, next, random, complementary
///         and negative eigendirections, at the largest predicted rise up to q11_rise; where the ratio first leaves
///         1 ± q11_tolerance, between neighbouring rises in their logarithm, and how that end moves with ln D within N
/// ensures supported when the ratios of the first four spaces lie together within 1 ± q11_tolerance (Bonferroni); refuted
///         when one of them lies outside; inconclusive otherwise. The negative directions, where the loss falls, are a
///         detail
Verdict judge_injection(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
