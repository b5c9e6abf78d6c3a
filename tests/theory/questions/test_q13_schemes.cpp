#include "theory/questions/q13_schemes.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/scheme_rows.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

PlantedSchemes four_schemes() {
  PlantedSchemes p;
  p.schemes = {{"rtn", {}}, {"gptq", {.gain = 0.4}}, {"awq", {.gain = 0.7}}, {"rotate+rtn", {.gain = 0.8}}};
  return p;
}

}  // namespace

TEST_SUITE("schemes") {
  TEST_CASE(
      "Q13: schemes that lose what second order says are supported, whatever the first order and the own windows") {
    const Verdict v = judge_schemes(planted_schemes(four_schemes()), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q13.ratio.gptq"), 1, 0, 0.03);
    CHECK_NEAR(number(v, "q13.same_windows.gptq"), 0.5, 0, 0.02);
    CHECK_NEAR(number(v, "q13.ratio.rotate_rtn.bits_3"), 1, 0, 0.03);
    CHECK(control(v, Control::other_windows));
    CHECK(control(v, Control::scheme_kinds));
  }

  TEST_CASE("Q13: one scheme that loses a third more refutes, whatever the others do") {
    PlantedSchemes p = four_schemes();
    p.schemes["gptq"].ratio = 1.33;
    const Verdict v = judge_schemes(planted_schemes(p), Thresholds{});
    CHECK(v.outcome == Outcome::refuted);
    CHECK_NEAR(v.estimate, 1.33, 0, 0.04);
    CHECK_NEAR(number(v, "q13.ratio.rtn"), 1, 0, 0.03);
  }

  TEST_CASE("Q13: great scatter decides nothing, and one scheme or two trajectories say nothing") {
    PlantedSchemes p = four_schemes();
    p.noise = 0.6;
    CHECK(judge_schemes(planted_schemes(p), Thresholds{}).outcome == Outcome::inconclusive);
    PlantedSchemes few = four_schemes();
    few.seeds = 2;
    CHECK(judge_schemes(planted_schemes(few), Thresholds{}).prose.find("Nothing can be said") == 0);
    PlantedSchemes alone;
    alone.schemes = {{"rtn", {}}};
    CHECK(judge_schemes(planted_schemes(alone), Thresholds{}).prose.find("Nothing can be said") == 0);
  }

  TEST_CASE("Q13: errors beyond q13_rise, activations at few bits and broken rows are no evidence") {
    PlantedSchemes p = four_schemes();
    p.schemes["rtn"].ratio = 2;
    p.schemes["rtn"].gain = 100;  // 0.1 nats at 4 bits
    CHECK(judge_schemes(planted_schemes(p), Thresholds{}).outcome == Outcome::supported);
    Table table = planted_schemes(four_schemes());
    for (SchemeRow& r : table.schemes)
      if (r.scheme == "gptq") r.a_bits = 4, r.delta *= 5;
    const Verdict v = judge_schemes(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(find_finding(v, "q13.ratio.gptq") == nullptr);
    for (SchemeRow& r : table.schemes)
      if (r.scheme == "awq") r.delta = NAN;
    CHECK(number(judge_schemes(table, Thresholds{}), "q13.dropped") == 18);
  }

  TEST_CASE("Q13: without other windows the own ones are judged, and the control says so") {
    Table table = planted_schemes(four_schemes());
    for (SchemeRow& r : table.schemes) r.quadratic = r.quadratic_other, r.quadratic_other = NAN;
    const Verdict v = judge_schemes(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(!control(v, Control::other_windows));
  }
}
