#include "theory/questions/q16_few_bits.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/rules.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

const SyntheticGrid grid{.N = {3e4, 1e5, 3e5}, .D = {1e6, 1e7, 1e8}, .P = {}, .seeds = 3};

double share_of(double bits, double gamma) { return -std::expm1(-bits / gamma); }

/// Full precision, straight-through training at 3, 4, 6 and 2 bits, ternary and binary training: N_eff of one scale, times
/// exp(beyond) below three bits.
struct World {
  double gamma = 2, beyond = 0, noise = 1e-4, offset = 0;
  double of_learned = 0;  ///< gamma of learned steps at 3 and 4 bits; 0: none are trained

  std::vector<LossRow> trained(const std::vector<double>& widths, double scale) const {
    std::vector<std::array<double, 3>> bits;
    for (const double b : widths) bits.push_back({b, 16, 16});
    return planted_training(grid, {.bits = bits,
                                   .fraction =
                                       [&](const std::array<double, 3>& b) {
                                         return -std::expm1(-b[0] / scale + offset) * std::exp(b[0] < 3 ? beyond : 0);
                                       },
                                   .row_noise = noise});
  }
  Table table() const {
    Table all;
    all.losses = trained({3, 4, 6, 2, ternary_bits, 1}, gamma);
    for (LossRow& r : all.losses) {
      if (r.train_w_bits == ternary_bits) r.method = "bitnet", r.train_a_bits = bitnet_activation_bits;
      if (r.train_w_bits == 1) r.method = "binary";
    }
    if (of_learned == 0) return all;
    for (LossRow& r : trained({3, 4}, of_learned)) {
      if (r.is_full_precision()) continue;
      r.method = "lsq", r.run += " lsq";
      all.losses.push_back(r);
    }
    return all;
  }
};

Verdict verdict_of(const World& world) { return judge_few_bits(world.table(), Thresholds{}); }

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q16: one scale from one bit to six is supported, and found") {
    const Verdict v = verdict_of({});
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.n == 3 * 27);
    CHECK(v.p_value < 0.05);
    CHECK(is_within(v, "q16.scale.qat", 2));
    CHECK_NEAR(number(v, "q16.scale.qat"), 2, 0.02, 0);
    CHECK(is_within(v, "q16.fraction.bitnet_1_58", share_of(ternary_bits, 2)));
    CHECK(is_within(v, "q16.law.binary_1", share_of(1, 2)));
    CHECK_NEAR(number(v, "q16.residual"), 0, 0, 0.03);
    CHECK_NEAR(number(v, "q16.excess.qat_2"), 0, 0, 0.01);
    CHECK(control(v, Control::extreme_bits));
    CHECK(control(v, Control::several_precisions));
    CHECK(control(v, Control::full_precision_peers));
  }

  TEST_CASE("Q16: more or less effective size below three bits refutes, and its loss is the excess") {
    for (const double beyond : {0.5, -0.5}) {
      CAPTURE(beyond);
      const Verdict v = verdict_of({.beyond = beyond});
      CHECK(v.outcome == Outcome::refuted);
      CHECK(is_within(v, "q16.residual.binary_1", beyond));
      CHECK(is_within(v, "q16.residual", beyond));
      double excess = 0;
      for (const double n : grid.N)
        excess += (planted_loss(n, 1e6, share_of(1, 2) * std::exp(beyond)) - planted_loss(n, 1e6, share_of(1, 2))) / 3;
      CHECK_NEAR(number(v, "q16.excess.binary_1"), excess, 0.05, 0);
    }
  }

  TEST_CASE("Q16: noisy losses decide nothing, nor do few trajectories or one width of the law") {
    const Verdict noisy = verdict_of({.noise = 0.012});
    CHECK(noisy.outcome == Outcome::inconclusive);
    CHECK(std::isfinite(noisy.low));
    Table one = World{}.table();
    std::erase_if(one.losses, [](const LossRow& r) { return r.train_w_bits == 4 || r.train_w_bits == 6; });
    const Verdict v = judge_few_bits(one, Thresholds{});
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.prose.find("Nothing can be said") == 0);
    Table few = World{.beyond = 1}.table();
    std::erase_if(few.losses, [](const LossRow& r) { return r.train_w_bits < 3 && (r.N != 1e5 || r.seed == 2); });
    CHECK(judge_few_bits(few, Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q16: a law with an offset leaves the band at one bit, though it has one scale") {
    const Verdict v = verdict_of({.gamma = 2.67, .offset = 0.3037});
    CHECK(v.outcome == Outcome::refuted);
    CHECK(number(v, "q16.residual.binary_1") < -0.5);
  }

  TEST_CASE("Q16: learned steps of the same scale agree, and those of another scale differ by its ln") {
    const Verdict same = verdict_of({.of_learned = 2});
    CHECK(number(same, "q16.one_scale") == 1);
    CHECK(is_within(same, "q16.gap.lsq", 0));
    const Verdict other = verdict_of({.of_learned = 1.4});
    CHECK(number(other, "q16.one_scale") == 0);
    CHECK(is_within(other, "q16.gap.lsq", std::log(0.7)));
    CHECK(is_within(other, "q16.scale.lsq", 1.4));
    CHECK(other.outcome == Outcome::supported);  // the law of straight-through training still holds
    CHECK(control(other, Control::other_procedures));
    CHECK(std::isnan(number(verdict_of({.noise = 0.012, .of_learned = 2}), "q16.one_scale")));
  }

  TEST_CASE("Q16: losses of experts alone say nothing, for they have no law of dense sizes") {
    Table experts = World{}.table();
    for (LossRow& r : experts.losses)
      r.experts = 4, r.experts_per_token = 1, r.layers = 1, r.width = 8, r.mlp_width = 8;
    CHECK(judge_few_bits(experts, Thresholds{}).prose.find("Nothing can be said") == 0);
  }
}
