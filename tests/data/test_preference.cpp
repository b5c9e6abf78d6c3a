#include "sim/data/preference.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"

using namespace hone;

namespace {

/// Two windows of 2 + 3 tokens whose answers hold the liked token three times and once.
TokenBatch two_windows() { return {2, 4, {1, 2, 9, 9, 9, 3, 4, 5, 9, 6}}; }

}  // namespace

TEST_SUITE_BEGIN("data");

TEST_CASE("preference: the windows of a pair share the prompt, and hold the two answers") {
  const PreferenceRule rule{.token = 9, .prompt = 2};
  const TokenBatch pairs = preference_pairs(rule, two_windows(), 1, 0);
  REQUIRE(pairs.sequences == 4);
  REQUIRE(pairs.tokens.size() == 20);
  for (Index p = 0; p < 2; ++p) {
    const std::vector<std::uint16_t> a(pairs.tokens.begin() + 10 * p, pairs.tokens.begin() + 10 * p + 5),
        b(pairs.tokens.begin() + 10 * p + 5, pairs.tokens.begin() + 10 * p + 10);
    const std::uint16_t first = p == 0 ? 1 : 3;
    CHECK(a[0] == first);
    CHECK(b[0] == first);
    CHECK(a[1] == b[1]);
    CHECK((a[2] == 9) != (b[2] == 9));
    CHECK(reward_of(rule, std::span(a).subspan(2)) + reward_of(rule, std::span(b).subspan(2)) == 4);
  }
}

TEST_CASE("preference: answers win as often as their rewards say, by the same draws each time") {
  const PreferenceRule rule{.token = 9, .prompt = 2};
  int better = 0, count = 0;
  for (std::int64_t step = 0; step < 2000; ++step) {
    const TokenBatch pairs = preference_pairs(rule, two_windows(), 3, step);
    for (Index p = 0; p < 2; ++p) better += pairs.tokens[size_t(10 * p + 2)] == 9, ++count;
  }
  const double wanted = 1 / (1 + std::exp(-2.0));
  CHECK_NEAR(double(better) / count, wanted, 0, 4 * std::sqrt(wanted * (1 - wanted) / count));
  CHECK(preference_pairs(rule, two_windows(), 3, 7).tokens == preference_pairs(rule, two_windows(), 3, 7).tokens);
  CHECK_THROWS_AS(preference_pairs({.token = 9, .prompt = 5}, two_windows(), 1, 0), ContractError);
}

TEST_SUITE_END();
