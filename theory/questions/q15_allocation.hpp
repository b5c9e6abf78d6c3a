// Q15: do bits that are assigned by gradients beat uniform bits of the same average?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q15: does guided allocation (mixed-fisher) beat uniform bits (rtn) and keep up with other scores?
/// math    within one checkpoint and width, (delta of guided - delta of other)/(delta of uniform), averaged; widths from
///         ptq_bits_min to ptq_bits_max whose uniform damage, by its second order, exceeds ptq_min_snr standard errors.
///         Rivals are the trace of the Hessian (mixed-trace), the error of outputs without gradients (mixed-output),
///         widths linear in the score (mixed-share) and finer rows (mixed-fisher-rows). All spend the bits of rtn and
///         three bits per item that say which width it has
/// ensures allocation_rule; without a rival or below cells_min cells or trajectories_min trajectories nothing is said.
///         Findings: "q15.change.mixed_trace.bits_2" of any scheme against rtn at any width, "q15.metadata.mixed_fisher"
///         bits per weight beyond rtn's, "q15.kept.mixed_output" share of the guided saving that a rival has, where
///         guided bits save anything
Verdict judge_allocation(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
