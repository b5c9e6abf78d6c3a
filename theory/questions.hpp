// The judges: measured rows and thresholds fixed before the run in, verdicts out. Each judge can
// come out each way, survives missing and broken rows, and says in its verdict what it dropped and
// which controls are missing.
#pragma once

#include <vector>

#include "theory/table.hpp"
#include "theory/verdict.hpp"

namespace hone::theory {

/// Q1: does the damage of quantizing weights grow as a power of the tokens D at fixed N?
/// math    ln delta = ln C + gD ln D - gN ln N - P/gamma_post, weighted least squares on
///         transformer trunk rows with bits in [ptq_bits_min, ptq_bits_max] and delta > ptq_min_snr
///         standard errors
/// ensures supported when gD's interval lies above q1_gamma_d_min; refuted when it lies below, or
///         holds q1_gamma_d_min and is inside ± q1_equivalence around it (an interval that merely
///         holds 0 because it is wide shows nothing), or when the form saturating in D/N has a
///         held-out error below form_margin times that of the power; inconclusive otherwise
Verdict judge_damage_growth(const Table& table, const std::vector<Threshold>& thresholds);

/// Q2: the same question, rule and forms for the trace of the Hessian on the quantized block;
/// lambda_max and the step-weighted trace stand in the details.
Verdict judge_sharpness_growth(const Table& table, const std::vector<Threshold>& thresholds);

/// Q3: does the zero-parameter prediction explain the damage?
/// math    slope of ln delta on ln predicted; split of d ln delta/d ln D within (N, P) into
///         weighted trace, step², alignment = ln quadratic - ln predicted and higher order = ln
///         delta - ln quadratic, which add up exactly
/// ensures supported when the slope's interval is inside 1 ± q3_tolerance, refuted when disjoint
///         from it
Verdict judge_prediction(const Table& table, const std::vector<Threshold>& thresholds);

/// Q4: does the damage ride on the top eigendirections?
/// math    mean of (norm share of the real rounding error in the top-k space) / √(k/n); per
///         subspace, mean of measured / predicted damage of noise of equal energy
/// ensures supported when the share's interval lies above 1 + q4_tolerance, refuted when below it
Verdict judge_directions(const Table& table, const std::vector<Threshold>& thresholds);

/// Q5: at equal tokens, does a cooled checkpoint follow its curvature?
/// math    contrast c = cooled - trunk at the same N, seed, P and D (trunk interpolated in ln D,
///         never extrapolated); residual = c(ln delta) - slope·c(ln predicted), slope of Q3 on the
///         trunk, held fixed
/// ensures supported when the residual's interval is inside ± q5_tolerance and that of c(ln
///         predicted) excludes 0; refuted when the residual's interval is disjoint from ±
///         q5_tolerance; inconclusive otherwise, among others when the cooldown left the prediction
///         as it was
Verdict judge_cooldown(const Table& table, const std::vector<Threshold>& thresholds);

/// Q6: do weight and activation precision act independently?
/// math    I = delta(w,a) - delta(w,16) - delta(16,a), relative to delta(w,16) + delta(16,a),
///         averaged with inverse variances; independent noise predicts nu_w nu_a/(nu_w + nu_a) of
///         the sum from (1+nu) = (1+nu_w)(1+nu_a)
/// ensures supported when the interval is inside ± q6_tolerance, refuted when disjoint from it
Verdict judge_composition(const Table& table, const std::vector<Threshold>& thresholds);

/// All six verdicts in order.
std::vector<Verdict> judge(const Table& table, const std::vector<Threshold>& thresholds);

}  // namespace hone::theory
