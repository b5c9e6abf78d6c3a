#include "sim/import/tokenizers/pair_merging.hpp"

#include <queue>
#include <tuple>

namespace hone {
namespace {

/// A pair that was there when it was queued. It still is when both tokens are unchanged.
struct Candidate {
  double rank;
  size_t at;
  std::uint16_t left, right, token;
  bool operator<(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
};

}  // namespace

std::vector<std::uint16_t> merge_pairs(
    const std::vector<std::uint16_t>& tokens,
    const std::function<std::optional<PairMerge>(std::uint16_t left, std::uint16_t right)>& merge_of) {
  const size_t count = tokens.size();
  std::vector<std::uint16_t> token = tokens;
  std::vector<size_t> next(count), previous(count);  // neighbours; a merged token leaves its right part behind
  std::vector<bool> is_gone(count, false);
  for (size_t i = 0; i < count; ++i) next[i] = i + 1, previous[i] = i == 0 ? count : i - 1;
  std::priority_queue<Candidate> queue;
  const auto offer = [&](size_t at) {
    if (at >= count || next[at] >= count) return;
    const std::uint16_t left = token[at], right = token[next[at]];
    if (const auto merge = merge_of(left, right)) queue.push({merge->rank, at, left, right, merge->token});
  };
  for (size_t i = 0; i < count; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const size_t at = best.at, right = is_gone[at] ? count : next[at];
    if (right >= count || token[at] != best.left || token[right] != best.right) continue;
    token[at] = best.token;
    is_gone[right] = true;
    next[at] = next[right];
    if (next[at] < count) previous[next[at]] = at;
    offer(previous[at]);
    offer(at);
  }
  std::vector<std::uint16_t> merged;
  for (size_t i = 0; i < count; i = next[i]) merged.push_back(token[i]);
  return merged;
}

}  // namespace hone
