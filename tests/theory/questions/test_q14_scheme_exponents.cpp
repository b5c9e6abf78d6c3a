#include "theory/questions/q14_scheme_exponents.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/scheme_rows.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

PlantedSchemes exponents(double rtn, double gptq, double rotated) {
  PlantedSchemes p;
  p.schemes = {{"rtn", {.exponent = rtn}},
               {"gptq", {.gain = 0.4, .exponent = gptq}},
               {"rotate+rtn", {.gain = 0.8, .exponent = rotated}}};
  return p;
}

}  // namespace

TEST_SUITE("schemes") {
  TEST_CASE("Q14: schemes of one exponent are supported, and the exponent is found") {
    const Verdict v = judge_scheme_exponents(planted_schemes(exponents(0.5, 0.5, 0.5)), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q14.exponent.rtn"), 0.5, 0, 0.02);
    CHECK_NEAR(number(v, "q14.gap.rotate_rtn"), 0, 0, 0.03);
    CHECK(find_finding(v, "q14.gap.rtn") == nullptr);
  }

  TEST_CASE("Q14: one scheme of a smaller exponent refutes, with its sign") {
    const Verdict v = judge_scheme_exponents(planted_schemes(exponents(0.5, 0.2, 0.5)), Thresholds{});
    CHECK(v.outcome == Outcome::refuted);
    CHECK_NEAR(v.estimate, -0.3, 0, 0.03);
    CHECK_NEAR(number(v, "q14.gap.rotate_rtn"), 0, 0, 0.03);
  }

  TEST_CASE("Q14: a gap at the edge of the band and great scatter decide nothing") {
    CHECK(judge_scheme_exponents(planted_schemes(exponents(0.5, 0.4, 0.5)), Thresholds{}).outcome ==
          Outcome::inconclusive);
    PlantedSchemes noisy = exponents(0.5, 0.5, 0.5);
    noisy.noise = 0.6;
    CHECK(judge_scheme_exponents(planted_schemes(noisy), Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q14: without rtn, at one token count or below the noise nothing is said") {
    PlantedSchemes p = exponents(0.5, 0.5, 0.5);
    p.schemes.erase("rtn");
    CHECK(judge_scheme_exponents(planted_schemes(p), Thresholds{}).prose.find("Nothing can be said") == 0);
    PlantedSchemes once = exponents(0.5, 0.5, 0.5);
    once.tokens = {1e6}, once.seeds = 5;
    CHECK(judge_scheme_exponents(planted_schemes(once), Thresholds{}).prose.find("Nothing can be said") == 0);
    Table noisy = planted_schemes(exponents(0.5, 0.5, 0.5));
    for (SchemeRow& r : noisy.schemes) r.remainder_se = r.quadratic_other;
    CHECK(number(judge_scheme_exponents(noisy, Thresholds{}), "q14.dropped.below_noise") == 54);
  }
}
