// The two random orders of items (blocks of text, rows of a table, windows): which of them are held out for validation,
// and the order in which an epoch visits the others.
#pragma once

#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"

namespace hone {

/// Image of `item` under the pseudo-random permutation of 0 … count-1 that belongs to `stream`. No table is stored.
/// expects  0 ≤ item < count ≤ 2^62
/// ensures  a bijection for each (count, stream); uses counters ≥ 2^32 of the stream only
/// cost     six Philox blocks per walk, fewer than four walks on average
/// source   balanced Feistel network with cycle walking: Black and Rogaway 2002, "Ciphers with arbitrary finite domains",
///          sec. 3 and 4
Index permuted(Index item, Index count, const Stream& stream);

/// Flags of the held-out items: those with the smallest Philox draws. No seed of a run enters, so that all runs are
/// evaluated on the same items.
/// expects  count ≥ 2, 0 < fraction < 1
/// ensures  max(1, min(count-1, round(fraction·count))) flags are set; the rest is for training
std::vector<bool> held_out(Index count, double fraction);

}  // namespace hone
