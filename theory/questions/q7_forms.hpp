// Q7: which functional form of the damage, in bits and in tokens?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q7: which functional form does the damage have?
/// math    the form named before the run, ln delta = ln C + gD ln D - gN ln N - 2 ln(M/Delta), against the
///         exponential, power, rate-distortion and bits-removed laws of P, forms saturating and broken in D/N, and the
///         squared step with the exponents of the losses (Sun et al.); mean squared held-out errors in form_folds
///         groups of cells, paired row by row, over all rows and over those of the late regime; nested choice; errors
///         at fewer and at more bits, larger D/N and larger N; factors delta(P)/delta(P+1). Forms whose fitted
///         predictions on the rows are equal are named, and have no difference
/// ensures supported when the named form has the least held-out error and beats the exponential and the power of bits
///         beyond the intervals of the differences; refuted when the interval of its mean squared error minus that of
///         a rival lies above 0 (Bonferroni over the rivals); inconclusive otherwise, with the forms that the rows
///         cannot tell from it in the prose
Verdict judge_forms(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
