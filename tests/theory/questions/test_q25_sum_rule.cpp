#include "theory/questions/q25_sum_rule.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/solvable_rows.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

// alpha of the nets: at 2/3 both exponents are 1/2. Finite times raise the exponent of the trace by 0.02 to 0.05 there.
constexpr double two_thirds = 2.0 / 3;

Verdict judged(const Table& table) { return judge_sum_rule(table, Thresholds{}); }

}  // namespace

TEST_SUITE("sum rule") {
  TEST_CASE("Q25: trajectories of the linear net are supported, with the exponents of its closed form") {
    const Verdict v = judged(linear_net_rows(two_thirds));
    const LinearNetExponents known = linear_net_exponents(two_thirds);
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q25.beta"), known.beta, 0, 0.02);
    CHECK_NEAR(number(v, "q25.gamma"), known.gamma, 0, 0.06);
    CHECK_NEAR(v.estimate, number(v, "q25.gamma") + number(v, "q25.beta"), 0, 1e-12);
    CHECK(v.p_value < 0.05);
  }

  TEST_CASE("Q25: absmax steps double the exponent of the damage of the linear net") {
    const Verdict v = judged(linear_net_rows(two_thirds));
    CHECK(is_within(v, "q25.absmax_gap", 0));
    CHECK(is_within(v, "q25.fixed_step_gap", 0));
    CHECK(is_within(v, "q25.damage_gap", 0));
    CHECK_NEAR(number(v, "q25.damage"), 2 * number(v, "q25.gamma"), 0, 0.03);
    CHECK_NEAR(number(v, "q25.step2"), number(v, "q25.gamma"), 0, 0.03);
  }

  TEST_CASE("Q25: fixed features refute the sum and follow their own rules") {
    const PowerFeatures features{.signal = 1.75, .spectrum = 1.5};
    const Verdict v = judged(feature_rows(features));
    CHECK(v.outcome == Outcome::refuted);
    CHECK_NEAR(v.estimate, features.time_exponent(), 0, 0.03);
    CHECK_NEAR(number(v, "q25.gamma"), 0, 0, 0.02);
    CHECK_NEAR(number(v, "q25.spectrum"), features.spectrum, 0, 1e-3);
    CHECK_NEAR(number(v, "q25.signal"), features.signal, 0, 0.03);
    CHECK_NEAR(number(v, "q25.spectrum_gap"), features.spectrum - 1 - features.time_exponent(), 0, 0.03);
    CHECK(is_within(v, "q25.fixed_step_gap", 0));
  }

  TEST_CASE("Q25: a sum of 1 without growth of the trace supports nothing") {
    const Verdict v = judged(feature_rows({.signal = 2.5, .spectrum = 1.5}));
    CHECK_NEAR(v.estimate, 1, 0, 0.05);
    CHECK(v.outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q25: seeds that differ as much as the exponents, or too few of them, decide nothing") {
    CHECK(judged(linear_net_rows(two_thirds, {.tilt = 0.4})).outcome == Outcome::inconclusive);
    CHECK(judged(linear_net_rows(two_thirds, {.seeds = 1})).prose.find("Nothing can be said") != std::string::npos);
    CHECK(judged({}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q25: what the loss cannot fall below does not move its exponent, and unclear falls are left out") {
    Table table = linear_net_rows(two_thirds);
    const double beta = number(judged(table), "q25.beta");
    for (LossRow& r : table.losses) r.loss += 7;
    CHECK_NEAR(number(judged(table), "q25.beta"), beta, 1e-9, 0);
    for (LossRow& r : table.losses) r.loss_se = 1;
    CHECK(number(judged(table), "q25.unclear") == solvable_checkpoints - 1);
  }

  TEST_CASE("Q25: the late regime is judged apart") {
    Table table = linear_net_rows(two_thirds);
    const double knee = 1000 * 700;
    for (SharpnessRow& r : table.sharpness)
      if (r.D > knee) r.trace *= std::sqrt(knee / r.D);  // level beyond: half of the exponent is all of it
    const Verdict v = judged(table);
    CHECK_NEAR(number(v, "q25.late.gamma"), 0, 0, 0.1);
    CHECK(number(v, "q25.early.gamma") > 0.4);
    CHECK_NEAR(number(v, "q25.late.beta"), 0.5, 0, 0.05);
  }
}
