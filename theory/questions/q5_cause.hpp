// Q5: cause or correlate? At equal tokens, does the damage follow its prediction wherever schedule, learning rate,
// batch, averaging or rotation move that?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

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
Verdict judge_cause(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
