// Q18: do mixtures of experts break more than dense models?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q18: is the damage of models with experts larger than that of dense ones at equal tokens?
/// math    ln of the damage of a trunk with experts over that of a dense trunk of equal tokens, bits, seed and training,
///         less first-order terms; the dense one is interpolated in ln D and is as large (equal_size) as the parameters
///         that a token passes, or as all parameters
/// ensures both contrasts hold together (experts_rule): "q18.active" and "q18.total", with what curvature predicts of them
///         in "q18.predicted.active" and what it leaves in "q18.residual.active", and by width in "q18.active.bits_4".
///         "q18.load_slope" is the change of one expert's damage, over the mean of its layer, per e-fold of the tokens that
///         reach it. "q18.scale.experts" and "q18.scale.dense" are gamma_w of straight-through training from q16_bits_min
///         bits on, "q18.gap.scale" the ln of their ratio
Verdict judge_experts(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
