#include "theory/questions/q15_allocation.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/scheme_rows.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Gains of mixed bits over uniform bits; the first order is in proportion, so that they are those of the damage.
PlantedSchemes gains(double fisher, double trace, double output) {
  PlantedSchemes p;
  p.schemes = {{"rtn", {}},
               {"mixed-fisher", {.gain = fisher}},
               {"mixed-trace", {.gain = trace}},
               {"mixed-output", {.gain = output}}};
  return p;
}

}  // namespace

TEST_SUITE("schemes") {
  TEST_CASE("Q15: guided bits that save a third and that no rival beats are supported, at their stated cost") {
    const Verdict v = judge_allocation(planted_schemes(gains(0.67, 0.7, 0.8)), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, -0.33, 0, 0.02);
    CHECK_NEAR(number(v, "q15.rival.mixed_output"), -0.13, 0, 0.02);
    CHECK_NEAR(number(v, "q15.metadata.mixed_fisher"), 0.01, 0, 1e-9);
    CHECK_NEAR(number(v, "q15.kept.mixed_output"), 0.2 / 0.33, 0, 0.05);
    CHECK_NEAR(number(v, "q15.change.mixed_trace.bits_3"), -0.3, 0, 0.02);
    CHECK(control(v, Control::equal_budget));
  }

  TEST_CASE("Q15: guided bits that save less than the margin, or that a rival beats by it, are refuted") {
    CHECK(judge_allocation(planted_schemes(gains(1.05, 1.1, 1)), Thresholds{}).outcome == Outcome::refuted);
    const Verdict beaten = judge_allocation(planted_schemes(gains(0.7, 0.4, 0.8)), Thresholds{});
    CHECK(beaten.outcome == Outcome::refuted);
    CHECK_NEAR(number(beaten, "q15.rival.mixed_trace"), 0.3, 0, 0.02);
    CHECK(find_finding(judge_allocation(planted_schemes(gains(1.05, 1.1, 1)), Thresholds{}), "q15.kept.mixed_trace") ==
          nullptr);
  }

  TEST_CASE("Q15: a rival at the margin and great scatter decide nothing, and without rivals nothing is said") {
    CHECK(judge_allocation(planted_schemes(gains(0.7, 0.6, 0.8)), Thresholds{}).outcome == Outcome::inconclusive);
    PlantedSchemes noisy = gains(0.85, 0.9, 0.9);
    noisy.noise = 2;
    CHECK(judge_allocation(planted_schemes(noisy), Thresholds{}).outcome == Outcome::inconclusive);
    PlantedSchemes alone;
    alone.schemes = {{"rtn", {}}, {"mixed-fisher", {.gain = 0.5}}};
    CHECK(judge_allocation(planted_schemes(alone), Thresholds{}).prose.find("Nothing can be said") == 0);
  }

  TEST_CASE("Q15: 2 bits stand apart, and cells below the noise are dropped") {
    PlantedSchemes p = gains(0.67, 0.7, 0.8);
    p.schemes["guided"].gain = 0.3;
    p.bits = {2, 3, 4};
    Table table = planted_schemes(p);
    for (SchemeRow& r : table.schemes)
      if (r.scheme == "mixed-fisher" && r.P == 2) r.delta *= 9;
    const Verdict v = judge_allocation(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(number(v, "q15.change.mixed_fisher.bits_2") > 4);
    CHECK_NEAR(number(v, "q15.change.guided.bits_2"), -0.7, 0, 0.02);
    for (SchemeRow& r : table.schemes)
      if (r.P == 4) r.delta_se = r.quadratic_other;
    CHECK(number(judge_allocation(table, Thresholds{}), "q15.dropped.below_noise") == 9);
  }
}
