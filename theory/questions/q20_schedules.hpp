// Q20: do bits that fall along the text beat uniform bits of the same average?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q20: what do bits that differ along the text save at equal average?
/// math    gain = -Σ (loss - that of uniform bits)/Σ (damage of uniform bits) over the trajectories, both differences on
///         the same windows: the share of the damage that is saved
/// ensures supported when the gain of `step_down` lies above q20_gain_min + q20_equivalence at every average, refuted when
///         at one it lies below that (Bonferroni); inconclusive otherwise. The same widths reversed, a line from above the average to below it,
///         and widths by the surprise of each token are details, as are their differences
Verdict judge_schedules(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
