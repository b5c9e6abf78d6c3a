// Q10: what sets the level of the trace once it has stopped rising?
#pragma once

#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// At a constant rate the trace settles on a level. On it, noise of the gradient steps and curvature are in balance, and
/// the level should follow from the step size and the noise of a batch.
/// math    ln tr H = c_N + a ln(lr/√B) over constant-rate trunks of full precision that are on their plateau, read at the
///         most tokens that all of a size have reached; beside it one rival at a time (lr, B, lr/B, tokens, loss) and lr
///         and B with exponents of their own. On its plateau: |Δ ln tr H/Δ ln D| ≤ q10_slope between the last two
///         checkpoints
/// expects thresholds q10_*, cells_min
/// source  Jastrzębski et al. 2017 (arXiv:1711.04623) for lr/B in SGD; Malladi et al. 2022 (arXiv:2205.10287): Adam's
///         noise scales with lr/√B
Verdict judge_plateau(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
