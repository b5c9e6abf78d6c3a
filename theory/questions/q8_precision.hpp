// Q8: is there a compute-optimal precision of training, and does it drift with compute?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q8: is there a compute-optimal precision of training, and does it drift with compute?
/// math    Kumar et al. Eq 4 with offsets, fitted to the losses at the precision of training of trunks trained low and
///         of their full-precision peers; P* maximises f(P)/P with P bits in every part that the study lowers (those
///         it does not cost nothing); refits to growing budgets of (6/16) N D P; logistic, power-tail and additive
///         N_eff as rivals by held-out error; refits that drift say that no one law holds, not how a local optimum moves; gamma_w against the scale that the entropy of the codes implies
/// ensures supported when P*'s interval lies between the fewest bits trained and 16 and those of its drift with compute
///         and, for the same models, with tokens are inside ± q8_drift; refuted when P*'s interval lies above 16 or that
///         of a drift is disjoint from ± q8_drift; inconclusive otherwise, among others without models trained at two
///         low precisions
Verdict judge_precision(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
