// Which items (blocks of text, rows of a table) are held out for validation. The choice depends on
// the number of items and the fraction only, never on a run's seed, so that all runs are evaluated on the
// same items.
#pragma once

#include <vector>

#include "sim/base/matrix.hpp"

namespace hone {

/// Flags of the held-out items: those with the smallest Philox draws.
/// expects  count ≥ 2, 0 < fraction < 1
/// ensures  max(1, min(count-1, round(fraction·count))) flags are set; the rest is for training
std::vector<bool> held_out(Index count, double fraction);

}  // namespace hone
