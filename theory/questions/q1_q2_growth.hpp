// Q1 and Q2: does the damage, does the sharpness grow as a power of the tokens?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q1: does the damage of quantizing weights grow as a power of the tokens D at fixed N?
/// math    ln delta = ln C + gD ln D - gN ln N - P/gamma_post, weighted least squares on transformer rows of the main
///         arm's trunk with bits in [ptq_bits_min, ptq_bits_max] and delta > ptq_min_snr standard errors
/// ensures supported when gD's interval lies above q1_gamma_d_min; refuted when it lies below, or
///         holds q1_gamma_d_min and is inside ± q1_equivalence around it (an interval that merely
///         holds 0 because it is wide shows nothing), or when a form that levels off, in D/N, in D or
///         in updates, has a held-out error below form_margin times that of the power, or the local
///         exponent falls; inconclusive otherwise. The answer says whether it grows as a power, grows
///         and levels off, does not grow, or which of them is open. Findings: held-out errors of these
///         forms and of no dependence on D with their paired differences; level and place of the
///         plateau; AICc and errors at larger D/N and N; the exponents on windows of another corpus;
///         how far branches tuned to another corpus lie from the law and from Q3's line
Verdict judge_damage_growth(const Table& table, const Thresholds& thresholds);

/// Q2: the same question, rule and forms for the trace of the Hessian on the quantized block;
/// lambda_max, the Frobenius norm, the step-weighted trace and the scale-free trace stand in the findings.
Verdict judge_sharpness_growth(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
