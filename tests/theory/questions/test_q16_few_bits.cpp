#include "theory/questions/q16_few_bits.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/precision/training_law.hpp"
#include "theory/questions/bit_scale.hpp"
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

bool is_within(const Verdict& v, const std::string& key, double value) {
  const Finding* found = find_finding(v, key);
  REQUIRE_MESSAGE(found != nullptr, key);
  return found->low <= value && value <= found->high;
}

const TrainingLaw planted_law{30, 0.35, 60, 0.3, 1.5, {}};

/// A model whose loss is that of a share of its parameters.
LowWeightModel model_of(double bits, double share) {
  LowWeightModel m;
  static_cast<Subject&>(m) = subject_of(1e5, 1e7, 0, "qat_trunk");
  m.train_w_bits = bits, m.method = "qat";
  m.rise = planted_loss(1e5, 1e7, share) - planted_loss(1e5, 1e7, 1);
  return m;
}

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

  TEST_CASE("Q16: the tolerance is half of what the published offset amounts to at log2(3) bits") {
    const PartScale kumar = kumar_training_law().parts[0];
    LowWeightModels models;
    for (const double bits : {3.0, 4.0, 6.0}) models.push_back(model_of(bits, effective_fraction(kumar, bits)));
    const double plain = log_share_of_scale(ternary_bits, log_scale_of(planted_law, models, {0, 1, 2}));
    const double gap = plain - std::log(effective_fraction(kumar, ternary_bits));
    CHECK_NEAR(Thresholds{}.q16_tolerance, gap / 2, 0, 0.01);
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

  TEST_CASE("log_scale_of: it inverts the law exactly, and has no value where the models have none") {
    for (const double gamma : {0.7, 2.0, 5.0}) {
      LowWeightModels models;
      for (const double bits : {1.0, 3.0, 8.0}) models.push_back(model_of(bits, share_of(bits, gamma)));
      CHECK_NEAR(std::exp(log_scale_of(planted_law, models, {0, 1, 2})), gamma, 1e-6, 0);
      CHECK_NEAR(log_share(planted_law, models[1]), log_share_of_scale(3, std::log(gamma)), 1e-9, 0);
    }
    CHECK(std::isnan(log_scale_of(planted_law, {model_of(3, 1)}, {0})));  // nothing is lost: no scale is small enough
    CHECK(std::isnan(log_scale_of(planted_law, {model_of(3, 1)}, {})));
    LowWeightModel impossible = model_of(3, 0.5);
    impossible.rise = -10;  // below what any size reaches
    CHECK(std::isnan(log_scale_of(planted_law, {impossible}, {0})));
  }

  TEST_CASE("low_weight_models: twins have equal size, tokens, seed and recipe, and what has none is counted") {
    const Table table = World{}.table();
    int unpaired = 0;
    CHECK(low_weight_models(table.losses, unpaired).size() == 6 * 27);
    CHECK(unpaired == 0);
    const auto changed = [&](const std::function<void(LossRow&)>& change) {
      Table other = table;
      for (LossRow& r : other.losses)
        if (!r.is_full_precision()) change(r);
      int without = 0;
      (void)low_weight_models(other.losses, without);
      return without;
    };
    CHECK(changed([](LossRow& r) { r.sub_norms = "on"; }) == 6 * 27);
    CHECK(changed([](LossRow& r) { r.heads = 8; }) == 6 * 27);
    CHECK(changed([](LossRow& r) { r.schedule = "two_stage"; }) == 6 * 27);
    CHECK(changed([](LossRow& r) { r.seed += 100; }) == 6 * 27);
    Table activations = table;
    for (LossRow& r : activations.losses)
      if (r.train_w_bits == 3) r.train_a_bits = 4;
    CHECK(low_weight_models(activations.losses, unpaired).size() == 5 * 27);  // activations at 4 bits cost too
    Table experts = table;
    for (LossRow& r : experts.losses)
      r.experts = 4, r.experts_per_token = 1, r.layers = 1, r.width = 8, r.mlp_width = 8;
    CHECK(judge_few_bits(experts, Thresholds{}).prose.find("Nothing can be said") == 0);
  }

  TEST_CASE(
      "Q16: the cost of quantizing further is that of the loss at the bits of training, less that of full precision") {
    // Full precision loses 1e-2 (D/1e6)^0.5 nats at 2 bits and a third of it at 3; models trained at 3 bits half as much at
    // 2 bits with another exponent, and those trained at 4 bits a tenth more.
    Table table;
    const auto at = [&](double d, int seed, double trained, double bits, double cost) {
      PtqRow r;
      static_cast<Subject&>(r) = subject_of(1e5, d, seed, trained < 16 ? "qat_trunk" : "trunk");
      r.run += fmt::format(" {} {}", seed, trained);
      r.train_w_bits = trained, r.method = trained < 16 ? "qat" : "";
      LossRow own;
      static_cast<Subject&>(own) = r;
      own.loss = 2.1;
      r.P = bits, r.loss = trained < 16 ? 2.3 : 2.1;  // of the latent weights, which nobody trained to be good
      r.delta = own.loss + cost - r.loss, r.delta_se = 1e-4;
      table.ptq.push_back(r);
      table.losses.push_back(own);
    };
    for (const double d : {1e6, 1e7, 1e8})
      for (int seed = 0; seed < 3; ++seed) {
        const double two = 1e-2 * std::sqrt(d / 1e6) * (1 + 0.01 * seed);
        at(d, seed, 16, 2, two), at(d, seed, 16, 3, two / 3);
        at(d, seed, 3, 2, two / 2 * std::pow(d / 1e6, 0.2)), at(d, seed, 3, 3, 0);
        at(d, seed, 4, 3, two / 3 + 1e-3);
      }
    const Verdict v = judge_few_bits(table, Thresholds{});
    double change = 0;
    for (const double d : {1e6, 1e7, 1e8})
      change += 1e-2 * std::sqrt(d / 1e6) * 1.01 * (std::pow(d / 1e6, 0.2) / 2 - 1) / 3;
    CHECK_NEAR(number(v, "q16.further.w3_to_w2"), change, 0, 1e-12);
    CHECK_NEAR(number(v, "q16.further.w4_to_w3"), 1e-3, 0, 1e-12);
    CHECK_NEAR(number(v, "q16.further"), (change + 1e-3) / 2, 0, 1e-12);
    CHECK_NEAR(number(v, "q16.further.exponent_gap"), 0.2, 0, 1e-3);  // each row weighs by its relative error
    CHECK(find_finding(v, "q16.further.w3_to_w3") == nullptr);        // not fewer than those of training
    CHECK(find_finding(judge_few_bits(World{}.table(), Thresholds{}), "q16.further") == nullptr);
  }
}
