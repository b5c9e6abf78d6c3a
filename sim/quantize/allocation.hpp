// Bits under a budget: which matrix, or which group of rows, gets how many. Scores come in as numbers (a trace, a
// Fisher sum, a measured loss), so that one solver serves them all and they can be compared on one budget.
//   source  HAWQ-V2 (Dong et al. 2020): Σ Ω_l(b_l) minimal under Σ bits ≤ budget
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/base/mean.hpp"

namespace hone {

/// Sensitivities that an allocation may be charged with, from measured ones. A measured sensitivity at or below zero is
/// noise around a small positive value, for rounding costs something wherever the loss is at a minimum; read as a cost
/// it says "costs nothing" or "gains", and the item would get the fewest bits while the budget stays unspent.
/// math     An estimate s ± e is resolved when s > 2e. Every estimate becomes max(s, f), f = min(e, the smallest
///          resolved one): the measurement does not exclude e, and an unresolved item is not charged more than the
///          least of those that are known. Without an error (e = 0 or +inf) f is that smallest resolved one alone, and
///          without a resolved one e alone; where there is neither, as when all are zero, all become 1: equal widths.
/// units    s per weight, so that items of different sizes compare
/// expects  finite means, errors at least 0
/// ensures  positive values; resolved ones are left as they are
std::vector<double> sound_sensitivities(const std::vector<MeanEstimate>& measured);

/// One width that an item may get.
struct WidthChoice {
  int width = 16;         ///< bits per code
  std::int64_t bits = 0;  ///< storage of the whole item at this width, metadata included
  double cost = 0;        ///< predicted loss rise of the item at this width; one below 0 is noise and counts as 0
};

/// What is given one width: a matrix or a group of its rows.
struct AllocationItem {
  std::string name;
  std::vector<WidthChoice> choices;
};

/// One width per item.
struct Allocation {
  std::vector<int> widths;  ///< in item order
  std::int64_t bits = 0;
  double cost = 0;  ///< sum of the chosen costs
};

/// The allocation of least cost within the budget, exactly.
/// math     dynamic programme over the list of (bits, cost) pairs that no other pair beats in both
/// expects  finite costs, at least one choice per item
/// ensures  cost falls or stays as the budget grows; no item can be given more bits without a higher cost or more than
///          the budget: bits that lower no cost go to the items of the narrowest widths
/// errors   OptionError when even the smallest choices exceed the budget
/// cost     items · choices · pairs; pairs ≤ distinct sums of bits
Allocation allocate_exactly(const std::vector<AllocationItem>& items, std::int64_t budget_bits);

/// The rule of "share-linear" allocation, a baseline: an item's width rises linearly with its share of the score.
/// math     b_l = b_min + (b_max - b_min)·min(1, τ·share_l), rounded down to a width on offer; τ the largest that
///          fits the budget, found by bisection; bits left over are given as allocate_exactly gives them
/// shapes   scores: one per item, at least 0
/// errors   as allocate_exactly
Allocation allocate_by_share(const std::vector<AllocationItem>& items, const std::vector<double>& scores,
                             std::int64_t budget_bits);

}  // namespace hone
