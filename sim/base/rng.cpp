#include "sim/base/rng.hpp"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>

namespace hone {

std::array<std::uint32_t, 4> bits(const Stream& stream, std::uint64_t counter) {
  r123::Philox4x32 philox;
  const r123::Philox4x32::ctr_type c = {{static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                                         static_cast<std::uint32_t>(stream.domain), stream.substream}};
  const r123::Philox4x32::key_type k = {
      {static_cast<std::uint32_t>(stream.seed), static_cast<std::uint32_t>(stream.seed >> 32)}};
  const r123::Philox4x32::ctr_type r = philox(c, k);
  return {r[0], r[1], r[2], r[3]};
}

namespace {
double open_unit(std::uint32_t low, std::uint32_t high) {
  const std::uint64_t k = ((std::uint64_t(high) << 32) | low) >> 11;  // 53 bits
  return (static_cast<double>(k) + 0.5) * 0x1p-53;
}
}  // namespace

double uniform(const Stream& stream, std::uint64_t counter) {
  const auto b = bits(stream, counter);
  return open_unit(b[0], b[1]);
}

double normal(const Stream& stream, std::uint64_t counter) {
  const auto b = bits(stream, counter);
  const double radius = std::sqrt(-2 * std::log(open_unit(b[0], b[1])));
  return radius * std::cos(2 * std::numbers::pi * open_unit(b[2], b[3]));
}

std::uint64_t below(const Stream& stream, std::uint64_t counter, std::uint64_t bound) {
  const auto b = bits(stream, counter);
  const std::uint64_t word = (std::uint64_t(b[1]) << 32) | b[0];
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(word) * bound) >> 64);
}

double rademacher(const Stream& stream, std::uint64_t counter) { return (bits(stream, counter)[0] & 1u) ? 1.0 : -1.0; }

}  // namespace hone
