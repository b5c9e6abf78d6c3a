// The judges: measured rows and thresholds in, verdicts out. Thresholds are fixed before the run. Each judge can give each
// outcome, accepts missing and broken rows, and lists in its verdict what it dropped and which controls are missing.
#pragma once

#include <vector>

#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q1: does the damage of quantizing weights grow as a power of the tokens D at fixed N?
/// math    ln delta = ln C + gD ln D - gN ln N - P/gamma_post, weighted least squares on transformer rows of the main
///         arm's trunk with bits in [ptq_bits_min, ptq_bits_max] and delta > ptq_min_snr standard errors
/// ensures supported when gD's interval lies above q1_gamma_d_min; refuted when it lies below, or
///         holds q1_gamma_d_min and is inside ± q1_equivalence around it (an interval that merely
///         holds 0 because it is wide shows nothing), or when the form saturating in D/N has a
///         held-out error below form_margin times that of the power, or the local exponent falls;
///         inconclusive otherwise. Details: AICc and errors at larger D/N and N of the power, the
///         saturating and the broken form, whether held-out errors tell the first two apart; the
///         exponents on windows of another corpus; how far branches tuned to another corpus lie from
///         the law and from Q3's line
Verdict judge_damage_growth(const Table& table, const std::vector<Threshold>& thresholds);

/// Q2: the same question, rule and forms for the trace of the Hessian on the quantized block;
/// lambda_max, the Frobenius norm, the step-weighted trace and the scale-free trace stand in the details.
Verdict judge_sharpness_growth(const Table& table, const std::vector<Threshold>& thresholds);

/// Q3: does the zero-parameter prediction explain the damage?
/// math    slope of ln delta on ln predicted over the main trunk; split of d ln delta/d ln D within (N, P) into
///         weighted trace, step², alignment = ln quadratic - ln predicted and higher order = ln
///         delta - ln quadratic, which add up exactly; delta is the damage less its first-order term g'e, measured on
///         the same windows and near 0 over many roundings; held-out R² of single mediators (q3_mediators.hpp)
/// ensures supported when the slope's interval is inside 1 ± q3_tolerance, refuted when disjoint
///         from it
Verdict judge_prediction(const Table& table, const std::vector<Threshold>& thresholds);

/// Q4: does the damage ride on the top eigendirections?
/// math    over the main trunk, mean of (norm share of the real rounding error in the top-k space) / √(k/n); per
///         subspace, mean of measured / predicted damage of noise of equal energy
/// ensures supported when the share's interval lies above 1 + q4_tolerance, refuted when below it
Verdict judge_directions(const Table& table, const std::vector<Threshold>& thresholds);

/// Q5: cause or correlate? At equal tokens, does the damage follow its prediction?
/// math    contrast c = changed - trunk at the same N, seed, P and D (trunk interpolated in ln D, never extrapolated)
///         for every cooldown and average of a trunk, every other arm's trunk against the main one (of a decaying
///         schedule only its end), and rotation against given coordinates at the same checkpoint, where predicted =
///         ½ e'He of each one's own error. Residual = c(ln delta) - s·c(ln predicted), s the
///         coefficient of ln predicted in ln delta on (ln predicted, ln D) over the main trunk, held fixed. Exponents of D within (arm, N, P): gamma(ln delta) = s·gamma(ln predicted) +
///         gamma(residual), exactly
/// ensures supported when the residuals of all contrasts are inside ± q5_tolerance, the exponent of D of the residual
///         over all arms is inside ± q5_exponent_tolerance, and some c(ln predicted) is beyond ± q5_tolerance; refuted
///         when any residual or that exponent is disjoint from its band: damage follows tokens at fixed curvature, or
///         an arm changes one without the other; the intervals that refute hold together (Bonferroni). Contrasts of
///         fewer than cells_min cells or trajectories_min trajectories decide nothing. The estimate is the residual
///         farthest from 0
Verdict judge_cause(const Table& table, const std::vector<Threshold>& thresholds);

/// Q6: do weight, activation and KV precision act independently?
/// math    I = Σ_S (-1)^(k-|S|) delta(S) over the sets S of quantized sites below a cell of k = 2 or 3 sites, relative
///         to Σ delta(x) of the single sites, averaged with inverse variances; the same in ln N_eff by Kumar et al.
///         Eq 30 with a Chinchilla law fitted to the main trunk's losses, and as independent noise
///         (1+nu) = Π (1+nu_x) and a product of N_eff would have it
/// ensures of weights x activations from ptq_bits_min bits on: supported when the interval is inside ± q6_tolerance, refuted when disjoint from
///         it. A detail "breaks down …" of given bits is 1 when their interval is disjoint from ± q6_breakdown, 0 when
///         inside, NaN otherwise
Verdict judge_composition(const Table& table, const std::vector<Threshold>& thresholds);

/// Q7: which functional form does the damage have?
/// math    the form named before the run, ln delta = ln C + gD ln D - gN ln N - 2 ln(M/Delta), against the
///         exponential, power, rate-distortion and bits-removed laws of P, forms saturating and broken in D/N, and the
///         squared step with the exponents of the losses (Sun et al.); mean squared held-out errors in form_folds
///         groups of cells, paired row by row; nested choice; errors at other bits, larger D/N and larger N; factors
///         delta(P)/delta(P+1)
/// ensures supported when the named form has the least held-out error and beats the exponential and the power of bits
///         beyond the intervals of the differences; refuted when the interval of its mean squared error minus that of
///         a rival lies above 0 (Bonferroni over the rivals); inconclusive otherwise, with the forms that the rows
///         cannot tell from it in the prose
Verdict judge_forms(const Table& table, const std::vector<Threshold>& thresholds);

/// Q8: is there a compute-optimal precision of training, and does it drift with compute?
/// math    Kumar et al. Eq 4 with offsets, fitted to the losses at the precision of training of trunks trained low and
///         of their full-precision peers; P* maximizes f(P)/P with P bits in every part that the study lowers (those
///         it does not cost nothing); refits to growing budgets of (6/16) N D P; logistic, power-tail and additive
///         N_eff as rivals by held-out error; refits that drift say that no one law holds, not how a local optimum moves; gamma_w against the scale that the entropy of the codes implies
/// ensures supported when P*'s interval lies between the fewest bits trained and 16 and those of its drift with compute
///         and, for the same models, with tokens are inside ± q8_drift; refuted when P*'s interval lies above 16 or that
///         of a drift is disjoint from ± q8_drift; inconclusive otherwise, among others without models trained at two
///         low precisions
Verdict judge_precision(const Table& table, const std::vector<Threshold>& thresholds);

/// All eight verdicts in order.
std::vector<Verdict> judge(const Table& table, const std::vector<Threshold>& thresholds);

}  // namespace hone::theory
