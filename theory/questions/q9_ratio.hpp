// Q9: is it tokens per parameter?
#pragma once

#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// The central hypothesis as it is usually written: sharpness and damage are functions of D/N.
/// math    ln y = c + gD ln D - gN ln N within bit widths over the settled main trunk; y depends on D/N alone only if
///         gD = gN. y: damage without its first order, tr H, the step-weighted trace, λ_max, ‖H‖_F, tr H ‖w‖²,
///         λ_max in Adam's coordinates. The late regime and the interaction ln N x ln D are listed beside
/// expects thresholds q9_equivalence, cells_min, late_loss
Verdict judge_ratio(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
