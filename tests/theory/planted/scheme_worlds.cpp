#include "tests/theory/planted/scheme_worlds.hpp"

#include <cmath>

#include "tests/theory/planted/scheme_rows.hpp"

namespace hone::theory {

std::vector<World> scheme_worlds() {
  using Change = void (*)(PlantedSchemes&);
  const auto world = [](const char* name, const char* question, auto judge, Outcome wanted, double planted,
                        Change change) {
    return World{name, question, judge, wanted, planted, [=](std::uint64_t s) {
                   PlantedSchemes p;
                   p.schemes = {{"rtn", {}},
                                {"gptq", {.gain = 0.4}},
                                {"rotate+rtn", {.gain = 0.8}},
                                {"mixed-fisher", {.gain = 0.7}},
                                {"mixed-trace", {.gain = 0.72}}};
                   p.noise = 0.05, p.stream = s, p.seeds = 8;
                   change(p);
                   return planted_schemes(p);
                 }};
  };
  const Change none = [](PlantedSchemes&) {};
  const Change noisy = [](PlantedSchemes& p) { p.noise = 0.6; };
  return {world("every scheme loses its second order", "Q13", judge_schemes, Outcome::supported, NAN, none),
          world("gptq loses a third more", "Q13", judge_schemes, Outcome::refuted, 1.33,
                [](PlantedSchemes& p) { p.schemes["gptq"].ratio = 1.33; }),
          world("every scheme loses its second order, twelvefold noise", "Q13", judge_schemes, Outcome::inconclusive,
                NAN, noisy),
          world("one exponent for all schemes", "Q14", judge_scheme_exponents, Outcome::supported, NAN, none),
          world("gptq grows by D^0.3 less", "Q14", judge_scheme_exponents, Outcome::refuted, -0.3,
                [](PlantedSchemes& p) { p.schemes["gptq"].exponent = 0.2; }),
          world("one exponent for all schemes, twelvefold noise", "Q14", judge_scheme_exponents, Outcome::inconclusive,
                NAN, noisy),
          world("guided bits save 30 %", "Q15", judge_allocation, Outcome::supported, -0.3, none),
          world("guided bits save nothing", "Q15", judge_allocation, Outcome::refuted, 0,
                [](PlantedSchemes& p) { p.schemes["mixed-fisher"].gain = p.schemes["mixed-trace"].gain = 1; }),
          world("guided bits save 5 %, twelvefold noise", "Q15", judge_allocation, Outcome::inconclusive, NAN,
                [](PlantedSchemes& p) {
                  p.schemes["mixed-fisher"].gain = p.schemes["mixed-trace"].gain = 0.95;
                  p.noise = 0.6;
                })};
}

}  // namespace hone::theory
