#include "sim/base/rng.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using Block = std::array<std::uint32_t, 4>;

TEST_CASE("rng: bits equal the known answers of Philox4x32-10") {
  // The four counter words are counter low, counter high, domain and substream; the key is the
  // seed.
  CHECK(bits({0, static_cast<Domain>(0), 0}, 0) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(bits({~0ull, static_cast<Domain>(0xffffffff), 0xffffffff}, ~0ull) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(bits({0x299f31d0a4093822, static_cast<Domain>(0x13198a2e), 0x03707344}, 0x85a308d3243f6a88) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("rng: every part of the address changes the draw") {
  const Stream base{5, Domain::init, 7};
  std::set<Block> blocks{bits(base, 0), bits(base, 1), bits(base, 1ull << 32)};
  blocks.insert(bits({6, Domain::init, 7}, 0));
  blocks.insert(bits({5 + (1ull << 32), Domain::init, 7}, 0));
  blocks.insert(bits({5, Domain::batch, 7}, 0));
  blocks.insert(bits({5, Domain::init, 8}, 0));
  CHECK(blocks.size() == 7);
}

TEST_CASE("rng: draws do not depend on the order in which they are made") {
  const Stream stream{1, Domain::test, 0};
  std::vector<double> forward, backward;
  for (std::uint64_t i = 0; i < 100; ++i) forward.push_back(normal(stream, i));
  for (std::uint64_t i = 100; i-- > 0;) backward.insert(backward.begin(), normal(stream, i));
  CHECK(forward == backward);
}

/// First four moments of n draws.
template <class Draw>
std::array<double, 4> moments(Draw&& draw, int n) {
  std::array<double, 4> sums{};
  for (int i = 0; i < n; ++i) {
    double power = 1;
    for (double& sum : sums) sum += power *= draw(static_cast<std::uint64_t>(i));
  }
  for (double& sum : sums) sum /= n;
  return sums;
}

constexpr int many = 400000;
const double five_sigma = 5 / std::sqrt(double(many));

TEST_CASE("rng: uniform draws lie inside (0, 1) and have the moments 1/2, 1/3, 1/4, 1/5") {
  const Stream stream{11, Domain::test, 0};
  bool inside = true;
  for (std::uint64_t i = 0; i < many; ++i) inside = inside && uniform(stream, i) > 0 && uniform(stream, i) < 1;
  CHECK(inside);
  const auto m = moments([&](std::uint64_t i) { return uniform(stream, i); }, many);
  for (int k = 1; k <= 4; ++k) {
    const double variance = 1.0 / (2 * k + 1) - 1.0 / ((k + 1) * (k + 1));
    CHECK_NEAR(m[static_cast<size_t>(k - 1)], 1.0 / (k + 1), 0, five_sigma * std::sqrt(variance));
  }
}

TEST_CASE("rng: normal draws have the moments 0, 1, 0, 3") {
  const Stream stream{12, Domain::test, 0};
  const auto m = moments([&](std::uint64_t i) { return normal(stream, i); }, many);
  CHECK_NEAR(m[0], 0, 0, five_sigma);
  CHECK_NEAR(m[1], 1, 0, five_sigma * std::sqrt(2.0));
  CHECK_NEAR(m[2], 0, 0, five_sigma * std::sqrt(15.0));
  CHECK_NEAR(m[3], 3, 0, five_sigma * std::sqrt(96.0));
}

TEST_CASE("rng: rademacher draws are +1 or -1, as often") {
  const Stream stream{13, Domain::test, 0};
  const auto m = moments([&](std::uint64_t i) { return rademacher(stream, i); }, many);
  CHECK_NEAR(m[0], 0, 0, five_sigma);
  CHECK(m[1] == 1);
  CHECK(m[3] == 1);
}

TEST_CASE("rng: streams that differ by one in seed, substream, counter or domain are uncorrelated") {
  const Stream base{100, Domain::test, 40};
  const Stream others[] = {{101, Domain::test, 40}, {100, Domain::test, 41}, {100, Domain::noise, 40}, base};
  for (const Stream& other : others) {
    const std::uint64_t lag = &other == &others[3] ? 1 : 0;
    double product = 0, square_product = 0;
    for (std::uint64_t i = 0; i < 100000; ++i) {
      const double a = normal(base, i), b = normal(other, i + lag);
      product += a * b, square_product += (a * a - 1) * (b * b - 1);
    }
    CHECK_NEAR(product / 100000, 0, 0, 5 / std::sqrt(100000.0));
    CHECK_NEAR(square_product / 100000, 0, 0, 5 * 2 / std::sqrt(100000.0));
  }
}

TEST_CASE("rng: below stays under its bound and is uniform") {
  const Stream stream{14, Domain::test, 0};
  for (const std::uint64_t bound : {1ull, 2ull, 7ull, 10ull}) {
    std::vector<int> counts(bound, 0);
    for (std::uint64_t i = 0; i < 50000; ++i) {
      const std::uint64_t draw = below(stream, i, bound);
      REQUIRE(draw < bound);
      ++counts[draw];
    }
    const double expected = 50000.0 / static_cast<double>(bound);
    double chi2 = 0;
    for (const int count : counts) chi2 += (count - expected) * (count - expected) / expected;
    const double freedom = static_cast<double>(bound - 1);
    CHECK(chi2 <= freedom + 5 * std::sqrt(2 * freedom));
  }
  // A bound near 2^64 needs the high half of a 128-bit product.
  const std::uint64_t huge = ~0ull - 5;
  double mean = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) mean += static_cast<double>(below(stream, i, huge)) / 0x1p64 / 10000;
  CHECK_NEAR(mean, 0.5, 0, 5 * std::sqrt(1.0 / 12 / 10000));
}

}  // namespace
}  // namespace hone::test
