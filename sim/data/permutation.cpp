#include "sim/data/permutation.hpp"

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

}  // namespace hone
