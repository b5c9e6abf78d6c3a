// The greedy merge of all byte-pair tokenizers: the best pair of neighbours becomes one token, until no pair is left.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace hone {

/// What a pair becomes, and when: smaller ranks first, equal ranks from left to right.
struct PairMerge {
  double rank = 0;
  std::uint16_t token = 0;
};

/// Merges until `merge_of(left, right)` is empty for all neighbours.
/// cost  O(n log n) calls for n tokens, so that a hostile run of letters costs no more than prose
/// source  Sennrich et al. 2016, alg. 1
std::vector<std::uint16_t> merge_pairs(
    const std::vector<std::uint16_t>& tokens,
    const std::function<std::optional<PairMerge>(std::uint16_t left, std::uint16_t right)>& merge_of);

}  // namespace hone
