// Q13: does second order predict the damage of every scheme of quantization, not only of rounding to nearest?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q13: is the damage of gptq, awq, rotations, mixed bits and formats that of their own errors to second order?
/// math    mean over checkpoints of (delta - g'e)/(e'He/2), e the errors that the scheme made; over draws e'He/2 is
///         tr(HΣ)/2 of their covariance Σ. H is that of windows other than those of the damage where it was recorded:
///         with the same windows the ratio is 1 for small errors by Taylor's theorem
/// ensures supported when the ratios of all schemes lie together within 1 ± q13_tolerance (Bonferroni), at e'He/2 up to
///         q13_rise; refuted when one of them lies outside; inconclusive otherwise. Schemes below cells_min cells or
///         trajectories_min trajectories decide nothing. Findings, here of rotate+gptq: "q13.ratio.rotate_gptq",
///         "q13.same_windows.rotate_gptq" with H on windows of the damage, "q13.ratio.rotate_gptq.bits_3" at any e'He/2
/// expects weights alone: rows with activations or cache at few bits, whose errors depend on the input, are dropped
Verdict judge_schemes(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
