// Q24: does the mode of rounding lower the constant of the damage?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q24: does stochastic rounding cost less than rounding to nearest even?
/// math    ln (damage of nearest/damage of stochastic), damages without first-order terms, at the same checkpoint and bits.
///         An error of rounding that lies anywhere between two levels has variance step²/12 to nearest and, as the mean of
///         f(1 - f) step², step²/6 by chance: second order predicts -ln 2
/// expects arms that differ in quantize.rounding alone. They train the same weights, so a row belongs to the same
///         checkpoint where size, seed, tokens, recipe and the loss before quantization are equal, bit for bit
/// ensures rounding_rule on the mean over checkpoints and bits. Findings: "q24.ratio.stochastic" of the damage over that
///         of nearest, at each width too, over its prediction, of e'He/2, and the gap of the exponent of the bits removed;
///         the same of any other mode that was recorded
Verdict judge_rounding(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
