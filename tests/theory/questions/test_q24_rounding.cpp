#include "theory/questions/q24_rounding.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/bit_rows.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Table rounded(const PlantedRounding& planted, const PlantedPower& power = {.is_tuned = false}) {
  Table table;
  add_power(table, power);
  add_rounding(table, planted);
  return table;
}

Verdict judged(const PlantedRounding& planted) { return judge_rounding(rounded(planted), Thresholds{}); }

}  // namespace

TEST_SUITE("rounding") {
  TEST_CASE("Q24: a mode that halves the damage is supported at every width") {
    const Verdict v = judged({.ratio = 0.5});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, std::log(2.0), 0, 0.02);
    CHECK_NEAR(number(v, "q24.ratio.stochastic"), 0.5, 0, 0.01);
    CHECK_NEAR(number(v, "q24.ratio.stochastic.bits_4"), 0.5, 0, 0.02);
    CHECK(control(v, Control::other_roundings));
  }

  TEST_CASE("Q24: the doubling that second order predicts refutes, and stands beside its prediction") {
    const Verdict v = judged({});
    CHECK(v.outcome == Outcome::refuted);
    CHECK_NEAR(number(v, "q24.predicted.stochastic"), 2, 0, 1e-9);
    CHECK_NEAR(number(v, "q24.quadratic.stochastic"), 2, 0, 1e-9);
    CHECK_NEAR(number(v, "q24.over_prediction.stochastic"), 1, 0, 0.02);
    CHECK_NEAR(number(v, "q24.exponent_gap.stochastic"), 0, 0, 0.2);
  }

  TEST_CASE("Q24: a saving at the bar, noise and few trajectories decide nothing") {
    CHECK(judged({.ratio = std::exp(-0.05), .noise = 0.2}).outcome == Outcome::inconclusive);
    const Verdict few = judge_rounding(rounded({}, {.seeds = 2, .is_tuned = false}), Thresholds{});
    CHECK(few.outcome == Outcome::inconclusive);
    CHECK(few.prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q24: a mode may change the exponent of the bits removed, not the constant alone") {
    CHECK_NEAR(number(judged({.tilt = 1}), "q24.exponent_gap.stochastic"), 1, 0, 0.2);
  }

  TEST_CASE("Q24: rows of other weights are no pair: those of another loss before quantization") {
    Table table = rounded({});
    int moved = 0;
    for (PtqRow& r : table.ptq)
      if (r.rounding == "stochastic" && r.seed == 1 && r.P <= 6) r.loss += 1e-9, ++moved;
    const Verdict v = judge_rounding(table, Thresholds{});
    CHECK(number(v, "q24.unmatched") == moved);
    CHECK(v.n == 3 * moved);
  }
}
