// A pseudo-random permutation of 0 … n-1 that stores no table: the order in which an epoch visits
// its windows or examples, for any n and at any point, at the cost of a few Philox blocks.
// source   balanced Feistel network with cycle walking: Black and Rogaway 2002, "Ciphers with
//          arbitrary finite domains", sec. 3 and 4
#pragma once

#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"

namespace hone {

/// Image of `item` under the permutation of 0 … count-1 that belongs to `stream`.
/// expects  0 ≤ item < count ≤ 2^62
/// ensures  a bijection for each (count, stream); uses counters ≥ 2^32 of the stream only
/// cost     six Philox blocks per walk, fewer than four walks on average
Index permuted(Index item, Index count, const Stream& stream);

}  // namespace hone
