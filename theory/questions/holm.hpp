// Several questions in one study: Holm's correction of their verdicts for their number.
#pragma once

#include <vector>

#include "theory/questions/verdict.hpp"

namespace hone::theory {

/// How the outcomes of a study follow from those of the rules, as registrations print it.
inline constexpr const char* holm_sentence =
    "an outcome stands where the p-value of its decision, adjusted by Holm's step-down over all primary verdicts of "
    "the "
    "study whose judged number has an interval, is at most 1 - level; otherwise it becomes inconclusive; secondary "
    "verdicts and other numbers are not adjusted";

/// Adjusted p-values, in the order of `p`.
/// math    of p_(1) ≤ … ≤ p_(k): max_{j ≤ i} min(1, (family - j + 1) p_(j)). Members of the family beyond those given count
///         as having larger p-values
/// expects family ≥ the number of p; each within [0, 1]
/// ensures not below p, and in the order of p
/// source  Holm 1979, Scandinavian Journal of Statistics 6:65-70
std::vector<double> holm(const std::vector<double>& p, int family);

/// Sets p_holm of every decided primary verdict with a p-value, and makes those inconclusive that do not hold together at
/// the level. The chance that a study decides any of its primary questions wrongly is then at most 1 - level.
/// expects the verdicts of one study. A single rule, as the planner and the planted worlds ask it, stays at its own level
/// ensures the family is every primary verdict whose judged number has an interval: chosen by outcome it would correct nothing. A
///         decision whose p-value is not known stays as it is and counts in the family
void correct_for_questions(std::vector<Verdict>& verdicts);

}  // namespace hone::theory
