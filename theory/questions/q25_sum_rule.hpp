// Q25: does sharpness grow as fast as the fall of the loss says?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q25: are the exponents of loss, curvature and damage on the same trajectories tied as in solvable models?
/// math    gamma: slope of ln tr H in ln D, one constant per model; beta: minus the slope of ln(-dL/d ln D), finite
///         differences between neighbouring checkpoints of a run, averaged over the seeds, against ln of their geometric
///         mean. E + A N^-alpha + B D^-beta gives -dL/d ln D = beta B D^-beta, so that neither E nor the size term is
///         fitted. Two-layer linear net: gamma + beta = 1. All exponents and their sums leave out one trajectory at a time
/// ensures supported when gamma lies above 0 and gamma + beta within 1 ± q25_tolerance, refuted when the sum lies outside;
///         inconclusive otherwise. Rules of other models are details: exponents of the damage, and of fixed features
/// source  theory/solvable/linear_net.hpp, features.hpp; Bahri et al. 2021 for eigenvalues k^-(1 + beta)
Verdict judge_sum_rule(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
