#include "theory/questions/q11_injection.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/injected.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("injection") {
  TEST_CASE("Q11: noise that costs its predicted rise in every subspace is supported") {
    const Verdict v = judge_injection(injected({}), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q11.ratio.random"), 1, 0, 0.03);
    CHECK_NEAR(number(v, "q11.ratio.top"), 1.02, 0, 0.03);
    CHECK_NEAR(number(v, "q11.ratio.negative.rise_0_01"), 1, 0, 0.03);
    CHECK(control(v, Control::injection_spaces));
    CHECK(v.n == 4 * 18);
  }

  TEST_CASE("Q11: one subspace that costs a third more refutes, whatever the others do") {
    const Verdict v = judge_injection(injected({.offset = std::log(1.33)}), Thresholds{});
    CHECK(v.outcome == Outcome::refuted);
    CHECK_NEAR(v.estimate, 1.33 * 1.02, 0, 0.05);
    CHECK_NEAR(number(v, "q11.ratio.next"), 1, 0, 0.03);
  }

  TEST_CASE("Q11: few rows of great scatter decide nothing, and two cells are too few") {
    CHECK(judge_injection(injected({.noise = 0.5, .seeds = 1}), Thresholds{}).outcome == Outcome::inconclusive);
    Thresholds many;
    many.cells_min = 100;
    const Verdict v = judge_injection(injected({}), many);
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q11: the end of second order and its exponent of D are found, and where there is none is counted") {
    const Verdict v = judge_injection(injected({.end = 0.02, .end_exponent = -0.3, .noise = 0.002}), Thresholds{});
    // Read between rises in their logarithm: 0.0152 to 0.0245 of the exact end, from the neighbours' distance.
    CHECK_NEAR(number(v, "q11.end.top"), 0.02 * std::pow(std::pow(1 * 3 * 10., 1 / 3.), -0.3), 0.2, 0);
    CHECK_NEAR(number(v, "q11.end_exponent.top"), -0.3, 0, 0.1);
    CHECK(number(v, "q11.within.top") == 0);
    CHECK(number(v, "q11.within.random") == 18);
    CHECK(find_finding(v, "q11.end.random") == nullptr);
  }

  TEST_CASE("Q11: rises above the threshold are no evidence, and spectra without such directions are counted") {
    Table table = injected({.end = 0.02});
    Thresholds small;
    small.q11_rise = 1e-3;
    CHECK(judge_injection(table, small).outcome == Outcome::supported);
    small.q11_rise = 1e-5;
    CHECK(judge_injection(table, small).prose.find("Nothing can be said") != std::string::npos);
    for (InjectionRow& r : table.injection)
      if (r.subspace == "negative") r.predicted = r.delta = NAN;
    CHECK(number(judge_injection(table, Thresholds{}), "q11.dropped") == 18 * 5);
  }
}
