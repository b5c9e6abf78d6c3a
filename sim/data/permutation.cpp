#include "sim/data/permutation.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "sim/base/error.hpp"

namespace hone {
namespace {

constexpr std::uint64_t rounds = 6;

std::uint64_t feistel(std::uint64_t value, int half_bits, const Stream& stream) {
  const std::uint64_t mask = (std::uint64_t(1) << half_bits) - 1;
  std::uint64_t left = value >> half_bits, right = value & mask;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    left ^= bits(stream, (round << 32) | right)[0] & mask;
    std::swap(left, right);
  }
  return (left << half_bits) | right;
}

}  // namespace

Index permuted(Index item, Index count, const Stream& stream) {
  EXPECTS(item >= 0 && item < count, "permuted: item {} of {}", item, count);
  EXPECTS(count <= (Index(1) << 62), "permuted: {} items", count);
  int half_bits = 1;
  while ((Index(1) << (2 * half_bits)) < count) ++half_bits;
  std::uint64_t value = static_cast<std::uint64_t>(item);
  do value = feistel(value, half_bits, stream);
  while (value >= static_cast<std::uint64_t>(count));
  return static_cast<Index>(value);
}

std::vector<bool> held_out(Index count, double fraction) {
  EXPECTS(count >= 2, "held_out: {} items cannot be split", count);
  EXPECTS(fraction > 0 && fraction < 1, "held_out: fraction is {}", fraction);
  const Stream stream{.seed = 0, .domain = Domain::split, .substream = 0};
  std::vector<double> draw(static_cast<size_t>(count));
  for (Index i = 0; i < count; ++i) draw[i] = uniform(stream, static_cast<std::uint64_t>(i));
  std::vector<Index> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), Index(0));
  std::sort(order.begin(), order.end(),
            [&](Index a, Index b) { return draw[a] != draw[b] ? draw[a] < draw[b] : a < b; });
  const Index wanted = static_cast<Index>(std::llround(fraction * static_cast<double>(count)));
  const Index chosen = std::clamp<Index>(wanted, 1, count - 1);
  std::vector<bool> flags(static_cast<size_t>(count), false);
  for (Index k = 0; k < chosen; ++k) flags[order[k]] = true;
  return flags;
}

}  // namespace hone
