#include "theory/questions/q23_removed_bits.hpp"

#include <algorithm>

#include "tests/support/near.hpp"
#include "tests/theory/planted/bit_rows.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Table powers(const PlantedPower& planted) {
  Table table;
  add_power(table, planted);
  return table;
}

Verdict judged(const PlantedPower& planted) { return judge_removed_bits(powers(planted), Thresholds{}); }

bool has(const Verdict& v, const std::string& key) { return find_finding(v, key) != nullptr; }

/// Sizes with losses of a planted law, and damage that is worth a planted share of the parameters.
Verdict worth(double (*share)(double bits)) {
  SyntheticGrid grid;
  grid.seeds = 3;
  Table table;
  add_losses(table, grid, 1e-4);
  for (const LossRow& l : std::vector(table.losses))
    for (const double bits : {3.0, 4.0, 5.0, 6.0}) {
      PtqRow r;
      static_cast<Subject&>(r) = static_cast<const Subject&>(l);
      r.run = fmt::format("n{} s{}", l.N, l.seed);
      r.P = bits, r.loss = planted_loss(r.N, r.D, 1);
      r.delta = r.predicted = planted_loss(r.N, r.D, 1 - share(bits)) - r.loss;
      r.delta_se = r.remainder_se = 0.01 * r.delta;
      table.ptq.push_back(r);
    }
  return judge_removed_bits(table, Thresholds{});
}

}  // namespace

TEST_SUITE("removed bits") {
  TEST_CASE("Q23: one exponent at few and at many tokens is supported, whatever eta does") {
    const Verdict v = judged({});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q23.delta.few.trunk"), 15, 0, 0.1);
    CHECK_NEAR(number(v, "q23.delta.many.trunk"), 15, 0, 0.1);
    CHECK_NEAR(number(v, "q23.eta.many.trunk"), -43, 0, 0.3);
    CHECK_NEAR(number(v, "q23.eta.gap.trunk"), 1, 0, 0.3);
    CHECK_NEAR(number(v, "q23.gap.tuned"), 0, 0, 0.1);
    CHECK(number(v, "q23.damage.best_rival_difference") < 0);
    CHECK(control(v, Control::tuned_few_and_many));
  }

  TEST_CASE("Q23: an exponent that differs with tokens in one of the contrasts refutes") {
    const Verdict tuned = judged({.tuned_many = 16});
    CHECK(tuned.outcome == Outcome::refuted);
    CHECK(is_within(tuned, "q23.gap.tuned", 1));
    CHECK_NEAR(number(tuned, "q23.nearer_one.tuned"), 1, 0, 0.1);
    const Verdict trunk = judged({.few = 14, .is_tuned = false});
    CHECK(trunk.outcome == Outcome::refuted);
    CHECK(is_within(trunk, "q23.gap.trunk", 1));
    CHECK(!control(trunk, Control::tuned_few_and_many));
    const Verdict below = judged({.few = 0.75, .many = 0.5, .is_tuned = false});
    CHECK_NEAR(number(below, "q23.nearer_one.trunk"), 0.25, 0, 0.1);  // of 1/2 and 1/4
  }

  TEST_CASE("Q23: noisy damage and few trajectories decide nothing") {
    CHECK(judged({.noise = 0.3}).outcome == Outcome::inconclusive);
    CHECK(judged({.seeds = 2}).prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q23: the gap is the difference of the exponents, and a bend that both share is no gap") {
    Table bent = powers({.noise = 0});
    for (PtqRow& r : bent.ptq) {
      const double bend = std::exp(2 * std::pow(std::log(16 - r.P) - 2.4, 2) * 10);
      r.delta *= bend, r.predicted *= bend, r.delta_se *= bend, r.remainder_se *= bend;
    }
    for (PtqRow& r : bent.ptq)
      if (r.D == 1e5 && r.P == 6) r.delta_se *= 20, r.remainder_se *= 20;  // weighs less at few tokens alone
    const Verdict v = judge_removed_bits(bent, Thresholds{});
    CHECK_NEAR(number(v, "q23.gap.trunk"), 0, 0, 1e-9);
    CHECK_NEAR(number(v, "q23.delta.many.trunk") - number(v, "q23.delta.few.trunk"), 0, 0, 1e-9);
  }

  TEST_CASE("Q23: tuned branches are compared only within one checkpoint and one text, and only apart enough") {
    Table other = powers({});
    for (PtqRow& r : other.ptq)
      if (r.variant == "tuned_long") r.branch_data = "prose";
    CHECK(!has(judge_removed_bits(other, Thresholds{}), "q23.gap.tuned"));
    Table near = powers({});
    for (PtqRow& r : near.ptq)
      if (r.variant == "tuned_long") r.D = r.branched_at + 3e4;
    CHECK(!has(judge_removed_bits(near, Thresholds{}), "q23.gap.tuned"));
  }

  TEST_CASE("Q23: the damage at 8 bits stands at few and at many tokens, also where it is negative") {
    Table table = powers({.eight_few = 5, .noise = 0});
    const auto at_eight = [&](double tokens) {
      return std::find_if(table.ptq.begin(), table.ptq.end(),
                          [=](const PtqRow& r) { return r.P == 8 && r.D == tokens && r.variant == "trunk"; })
          ->delta;
    };
    const Verdict v = judge_removed_bits(table, Thresholds{});
    CHECK_NEAR(number(v, "q23.eight_bits.change"), at_eight(1.6e6) - at_eight(1e5), 1e-12, 0);
    CHECK_NEAR(number(v, "q23.eight_bits.predicted"), 1 - std::log(5.0), 1e-9, 0);
    for (PtqRow& r : table.ptq)
      if (r.P == 8) r.delta = -r.delta;
    CHECK(number(judge_removed_bits(table, Thresholds{}), "q23.eight_bits.few") < 0);
  }

  TEST_CASE("Q23: the parameters lost are told as a power of the bits removed from an exponential") {
    const Verdict power = worth([](double bits) { return 0.4 * std::pow((16 - bits) / 13, 8); });
    CHECK_NEAR(number(power, "q23.lost.exponent"), 8, 0.02, 0);
    CHECK(find_finding(power, "q23.lost.held_out_difference.exponential")->high < 0);
    const Verdict other = worth([](double bits) { return 0.4 * std::exp2(3 - bits); });
    CHECK(find_finding(other, "q23.lost.best_rival_difference")->low > 0);
  }

  TEST_CASE("Q23: one size does not say what parameters are worth") {
    const Verdict v = judged({});
    CHECK(!has(v, "q23.lost.exponent"));
    CHECK(!control(v, Control::effective_size));
  }
}
