// Scaled rotary frequencies: what each rule means, where its bands meet, and what it refuses.
#include "sim/layers/rope_scaling.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "sim/base/error.hpp"
#include "sim/layers/rope.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

constexpr Index rotary = 16;
constexpr double base = 500;

TEST_SUITE_BEGIN("layers");

TEST_CASE("rope scaling: linear by n makes position n t what position t was") {
  const RopeTable<double> plain(8, rotary, base, RopePairing::half);
  const RopeTable<double> scaled(29, rotary, base, RopePairing::half, {}, {RopeScalingRule::linear, 4});
  for (Index t = 0; t < 8; ++t)
    for (Index i = 0; i < rotary / 2; ++i) {
      CHECK_NEAR(scaled.cosine(4 * t, i), plain.cosine(t, i), 1e-14, 1e-14);
      CHECK_NEAR(scaled.sine(4 * t, i), plain.sine(t, i), 1e-14, 1e-14);
    }
}

TEST_CASE("rope scaling: llama3 keeps fast pairs, divides slow ones, and joins both without a step") {
  const RopeScaling scaling{RopeScalingRule::llama3, 8, 1, 4, 64};
  int kept = 0, divided = 0, between = 0;
  for (Index i = 0; i < rotary / 2; ++i) {
    const double plain = rope_frequency(base, rotary, i), now = rope_frequency(base, rotary, i, scaling);
    const double turns = 64 * plain / (2 * std::numbers::pi);
    kept += turns > 4, divided += turns < 1;
    if (turns > 4) CHECK(now == plain);
    if (turns < 1) CHECK(now == plain / 8);
    if (turns >= 1 && turns <= 4) {
      ++between;
      const double share = (turns - 1) / 3;  // of the plain frequency
      CHECK_NEAR(now, plain * (share + (1 - share) / 8), 1e-14, 0);
    }
  }
  CHECK(kept == 2);
  CHECK(between == 1);
  CHECK(divided == 5);
  // A context at which pair 3 makes exactly 1 turn, and one at which it makes exactly 4: the neighbours agree.
  const double plain = rope_frequency(base, rotary, 3);
  for (const double turns : {1.0, 4.0}) {
    RopeScaling edge = scaling;
    const double context = turns * 2 * std::numbers::pi / plain;
    edge.original_positions = context * (1 - 1e-9);
    const double below = rope_frequency(base, rotary, 3, edge);
    edge.original_positions = context * (1 + 1e-9);
    CHECK_NEAR(rope_frequency(base, rotary, 3, edge), below, 1e-8, 0);
  }
}

TEST_CASE("rope scaling: llama3 by the turns of a pair within the old context, from far below both bounds to above") {
  const double plain = rope_frequency(base, rotary, 3);
  RopeScaling scaling{RopeScalingRule::llama3, 8, 1, 4, 64};
  for (double turns = 0.05; turns < 20; turns *= 1.03) {
    scaling.original_positions = turns * 2 * std::numbers::pi / plain;
    const double share = turns < 1 ? 0 : turns > 4 ? 1 : (turns - 1) / 3;  // of the plain frequency
    CHECK_NEAR(rope_frequency(base, rotary, 3, scaling), plain * (share + (1 - share) / 8), 1e-12, 0);
  }
}

TEST_CASE("rope scaling: without a rule, and dynamic, the frequencies are the plain ones") {
  for (Index i = 0; i < rotary / 2; ++i) {
    const double plain = std::pow(base, -2.0 * double(i) / double(rotary));
    CHECK(rope_frequency(base, rotary, i) == plain);
    CHECK(rope_frequency(base, rotary, i, {.rule = RopeScalingRule::dynamic}) == plain);
  }
}

TEST_CASE("rope scaling: numbers that cannot be meant are refused by name") {
  const auto refusal = [](const RopeScaling& scaling) { return message_of<OptionError>([&] { scaling.validate(); }); };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal({}).empty());
  CHECK(refusal({RopeScalingRule::none, -1}).empty());
  CHECK(refusal({RopeScalingRule::llama3, 8, 1, 4, 8192}).empty());
  for (const double factor : {0.0, -2.0, nan})
    CHECK(mentions(refusal({RopeScalingRule::linear, factor}), fmt::format("rope_scaling: factor = {}", factor)));
  CHECK(mentions(refusal({RopeScalingRule::llama3, 8, 0, 4, 64}), "low_freq_factor = 0"));
  CHECK(mentions(refusal({RopeScalingRule::llama3, 8, 4, 4, 64}), "high_freq_factor = 4 (expected a number above"));
  CHECK(mentions(refusal({RopeScalingRule::llama3, 8, 1, 4, 0}), "original_max_position_embeddings = 0"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
