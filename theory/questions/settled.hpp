// Which checkpoints may be judged at all: those whose training has left the warm-up of the learning rate behind. A model
// in warm-up has hardly begun to learn; its curvature and damage say nothing about more tokens.
#pragma once

#include "theory/rows/rows.hpp"

namespace hone::theory {

/// False in the warm-up: for a trunk of constant rate, below 0.999 of its peak; for a trunk whose rate decays, nothing (it
/// is judged at its end alone); for an average, more than 5 % of its weight in the warm-up; for a branch, the trunk's
/// checkpoint where it left.
/// expects  recipe and rate as recorded; a rate or peak that is not known (0) counts as settled
bool has_warmed_up(const Subject& s);

/// The rows of a study that are past the warm-up, and how many were not.
struct SettledRows {
  Table table;
  int in_warmup = 0;              ///< rows of damage
  int checkpoints_in_warmup = 0;  ///< checkpoints that these and the other rows belong to
};
SettledRows settle(const Table& table);

}  // namespace hone::theory
