// Q14: does the exponent of tokens depend on the scheme of quantization?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q14: does the damage of every scheme grow with tokens as that of rounding to nearest?
/// math    exponent of D of delta - g'e within (scheme, N, bits), minus that of rtn on the same trajectories
///         (exponent_gap.hpp); rows are chosen by e'He/2 above ptq_min_snr standard errors, which bends no exponent
/// ensures supported when the gaps of all schemes lie together within ± q14_equivalence (Bonferroni); refuted when one of
///         them lies outside; inconclusive otherwise. Schemes below cells_min cells or trajectories_min trajectories
///         decide nothing. Findings, here of rotate+gptq: "q14.exponent.rotate_gptq", "q14.gap.rotate_gptq"
Verdict judge_scheme_exponents(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
