#include "tests/theory/planted/judged.hpp"
#include "tests/theory/planted/solvable_rows.hpp"

namespace hone::theory {
namespace {

/// `planted` is the sum of the exponents; NaN where finite times move it.
World net_world(const char* name, Outcome wanted, double alpha, const SolvableNoise& noise) {
  return {name, "Q25", judge_sum_rule, wanted, NAN, [=](std::uint64_t seed) {
            SolvableNoise own = noise;
            own.world = seed;
            return linear_net_rows(alpha, own);
          }};
}

World feature_world(const char* name, Outcome wanted, const PowerFeatures& features) {
  return {name, "Q25", judge_sum_rule, wanted, features.time_exponent(), [=](std::uint64_t seed) {
            return feature_rows(features, {.tilt = 0.02, .row = 0.05, .world = seed});
          }};
}

}  // namespace

std::vector<World> solvable_worlds() {
  return {net_world("linear net with target k^-0.75", Outcome::supported, 0.75, {.tilt = 0.01, .row = 0.02}),
          net_world("linear net with target k^-0.75, seeds differ as much as its exponents", Outcome::inconclusive,
                    0.75, {.tilt = 0.4}),
          feature_world("fixed features", Outcome::refuted, {.signal = 1.75, .spectrum = 1.5})};
}

}  // namespace hone::theory
