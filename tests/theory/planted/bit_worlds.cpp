#include "tests/theory/planted/bit_rows.hpp"
#include "tests/theory/planted/judged.hpp"

namespace hone::theory {
namespace {

World power_world(const char* name, Outcome wanted, const PlantedPower& planted) {
  return {name, "Q23", judge_removed_bits, wanted, NAN, [=](std::uint64_t seed) {
            PlantedPower p = planted;
            p.world = seed;
            Table table;
            add_power(table, p);
            return table;
          }};
}

World rounding_world(const char* name, Outcome wanted, const PlantedRounding& planted) {
  return {name, "Q24", judge_rounding, wanted, NAN, [=](std::uint64_t seed) {
            Table table;
            add_power(table, {.is_tuned = false, .world = seed});
            PlantedRounding p = planted;
            p.world = seed;
            add_rounding(table, p);
            return table;
          }};
}

}  // namespace

std::vector<World> bit_worlds() {
  return {power_world("one exponent of the bits removed at all tokens", Outcome::supported, {}),
          power_world("the exponent of tuned branches rises by 1", Outcome::refuted, {.tuned_many = 16}),
          power_world("one exponent of the bits removed, noisy damage", Outcome::inconclusive, {.noise = 0.3}),
          rounding_world("stochastic rounding halves the damage", Outcome::supported, {.ratio = 0.5}),
          rounding_world("stochastic rounding doubles the damage", Outcome::refuted, {}),
          rounding_world("stochastic rounding saves a twentieth", Outcome::inconclusive,
                         {.ratio = std::exp(-0.05), .noise = 0.2})};
}

}  // namespace hone::theory
