// Q22: does the prediction from curvature hold after tuning?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q22: what does tuning change in damage, sharpness and prediction, and do they change together?
/// math    for each branch of kind `tuned`: ln damage, ln prediction, their difference and ln tr H at its end, less those
///         of the checkpoint of the same run that it left; damage without its first-order term
/// ensures supported when the change of ln (damage over prediction) of every branch lies within ± q22_tolerance, refuted
///         when that of one lies outside (Bonferroni); inconclusive otherwise. All losses are those of the held-out text
///         of the trunk; the change on other text (`shifted_data`) is a detail
Verdict judge_tuning(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
