// Q21: does accuracy on small tasks fall faster than the loss says?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q21: does quantization cost more accuracy than its rise of the loss?
/// math    the checkpoints of a trunk give its accuracy on a task as a curve over its loss on the answers, linear between
///         checkpoints. Shortfall = that curve at the loss after quantization - accuracy after quantization: what a model
///         of equal loss that was trained less would have got right. Mean over checkpoints and bits
/// expects bits within ptq_bits_min ... ptq_bits_max and an accuracy before quantization of at least q21_accuracy_min; a
///         loss beyond that of the first checkpoint has no peer and is counted as dropped
/// ensures supported when the shortfall of every task lies above q21_shortfall_min + q21_equivalence, refuted when that of
///         one lies below that (Bonferroni); inconclusive otherwise
Verdict judge_tasks(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
