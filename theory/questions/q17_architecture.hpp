// Q17: are the growth of the damage with tokens and its prediction from curvature the same for other architectures?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q17: do the arms of other architectures grow and follow their prediction as the main arm does?
/// math    of each arm whose dense trunks have another shape than the main trunk of equal size (equal_size) and training:
///         exponent of D of the damage less its first-order term, and of the step-weighted trace, each minus that of the
///         main trunks it stands beside; mean ln of damage over prediction minus theirs, at equal bits
/// ensures the three gaps of all arms hold together (architecture_rule). Findings of an arm, here gpt2:
///         "q17.gap.damage.gpt2", "q17.gap.trace.gpt2", "q17.gap.ratio.gpt2", with "q17.damage.gpt2" and
///         "q17.trace.gpt2" the exponents, "q17.ratio.gpt2" damage over prediction, and the same of "main" beside it:
///         "q17.damage.main_gpt2" and so on
Verdict judge_architecture(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
