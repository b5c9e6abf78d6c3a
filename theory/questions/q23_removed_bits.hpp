// Q23: is the exponent of the bits removed the same at few and at many tokens?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q23: damage = eta (16 - P)^delta within one checkpoint; do few and many tokens share delta?
/// math    pairs of checkpoints of one run: the first and the last of the main trunk (`trunk`), and the shortest and the
///         longest tuned branch of one checkpoint on one text (`tuned`). delta = weighted slope of ln damage on ln (16 - P)
///         within pairs over the widths that both have, with the weights of their ratio, so that the gap is the
///         difference of the two deltas: a form that bends in P gives both the same bend. Damage without its first-order
///         term
/// expects tokens of the trunk, or of the branch alone, that differ by a factor of q23_ratio_min or more
/// ensures supported when the gap (many less few) of every contrast lies within ± q23_tolerance, refuted when that of one
///         lies outside (Bonferroni); inconclusive otherwise. Findings: delta and ln eta of both, the gap where 32 bits
///         are counted from, how much closer to 1 delta is at few tokens, damage at 8 bits, held-out errors of rival
///         shapes, and of the parameters lost
Verdict judge_removed_bits(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
