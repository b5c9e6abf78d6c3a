#include "theory/questions/q12_training_composition.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/precision/effective_parameters.hpp"
#include "theory/questions/q12_joint_cells.hpp"
#include "theory/questions/rules.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

using Fraction = std::function<double(const std::array<double, 3>&)>;

const SyntheticGrid grid{.N = {3e4, 1e5, 3e5}, .D = {1e6, 1e7, 1e8}, .P = {}, .seeds = 3};

/// All combinations of these bits of weights and activations and of those of the cache, full precision excepted.
std::vector<Bits> combinations(const std::vector<double>& bits, const std::vector<double>& kv = {16}) {
  std::vector<Bits> all;
  for (const double w : bits)
    for (const double a : bits)
      for (const double k : kv)
        if (w < 16 || a < 16 || k < 16) all.push_back({w, a, k});
  return all;
}

Table trained(const std::vector<Bits>& bits, const Fraction& fraction, double noise = 1e-4) {
  Table table;
  table.losses = planted_training(grid, {.bits = bits, .fraction = fraction, .row_noise = noise});
  return table;
}

Fraction beyond(double excess) {
  return [=](const Bits& bits) { return fraction_beyond_product(bits, excess); };
}

Verdict verdict_of(const Table& table) { return judge_training_composition(table, Thresholds{}); }

/// ln (N_eff over the product) if rises of two sites add up, by its closed form.
double additive(double f_one, double f_two, double alpha) {
  const double x = std::pow(f_one, -alpha) - 1, y = std::pow(f_two, -alpha) - 1;
  return std::log1p(x * y / (1 + x + y)) / alpha;
}

/// One lowered model with these rises by mask.
LoweredModel model_of(const Bits& bits, const Sites& sites, const std::vector<double>& rise) {
  LoweredModel m;
  static_cast<Subject&>(m) = subject_of(1e5, 1e7, 0, "qat_trunk");
  m.bits = bits, m.sites = sites, m.rise = rise, m.noise_together = noise_together(bits, 64);
  return m;
}

const TrainingLaw planted_law{30, 0.35, 60, 0.3, 1.5, {}};
const Sites pair_of_sites{"WxA", {0, 1}};

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q12: a product of effective sizes is supported, and losses that add up are excluded") {
    const Verdict v = verdict_of(trained(combinations({3, 4, 16}), fraction_of_product));
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.n == 4 * 27);
    CHECK(v.p_value < 0.05);
    CHECK_NEAR(number(v, "q12.loss_law.alpha"), 0.35, 0, 0.03);
    for (const std::string pair : {"w3a3", "w3a4", "w4a3", "w4a4"}) {
      CAPTURE(pair);
      CHECK_NEAR(number(v, "q12.interaction." + pair), 0, 0, 0.02);
      CHECK(number(v, "q12.breaks_down." + pair) == 0);
    }
    CHECK(number(v, "q12.agrees.product.w3a3") == 1);
    CHECK(number(v, "q12.agrees.additive.w3a3") == 0);
    CHECK(is_within(v, "q12.fraction.w3", planted_fraction(3)));
    CHECK(is_within(v, "q12.fraction.w3a4", planted_fraction(3) * planted_fraction(4)));
    CHECK(is_within(v, "q12.product.w3a4", planted_fraction(3) * planted_fraction(4)));
    CHECK(number(v, "q12.holds_from.wxa") == 3);
    CHECK(control(v, Control::joint_training));
    CHECK(control(v, Control::telling_cells));
    CHECK(control(v, Control::few_bits));
    CHECK_FALSE(control(v, Control::all_three_sites));
  }

  TEST_CASE("Q12: losses that add up leave more effective size than the product, as the closed form has it") {
    const Verdict v = verdict_of(trained(combinations({3, 4, 16}), fraction_of_sum));
    CHECK(v.outcome == Outcome::refuted);
    const double f = planted_fraction(3);
    CHECK_NEAR(number(v, "q12.interaction.w3a3"), additive(f, f, 0.35), 0.1, 0);
    CHECK_NEAR(number(v, "q12.additive.w3a3"), number(v, "q12.interaction.w3a3"), 0, 0.01);
    CHECK(number(v, "q12.agrees.additive.w3a3") == 1);
    CHECK(number(v, "q12.agrees.product.w3a3") == 0);
    CHECK(number(v, "q12.above_product.wxa") == 4);
    CHECK(number(v, "q12.below_product.wxa") == 0);
    CHECK_NEAR(number(v, "q12.beyond_additive.fewest"), 0, 0, 0.01);
  }

  TEST_CASE("Q12: sites that cost more together than the product are refuted on that side") {
    const Verdict v = verdict_of(trained(combinations({3, 4, 16}), beyond(-0.3)));
    CHECK(v.outcome == Outcome::refuted);
    CHECK(is_within(v, "q12.interaction.w3a3", -0.3));
    CHECK(number(v, "q12.below_product.wxa") == 4);
    CHECK(number(v, "q12.above_product.wxa") == 0);
    CHECK(number(v, "q12.breaks_down.w4a4") == 1);
    CHECK(std::isnan(number(v, "q12.holds_from.wxa")));
    CHECK(std::abs(v.low) > 0.09);
  }

  TEST_CASE("Q12: signs that differ refute though their mean is 0, and are reported apart") {
    const auto both = [](const Bits& b) {
      return fraction_beyond_product(b, b[0] < b[1] ? 0.3 : b[0] > b[1] ? -0.3 : 0);
    };
    const Verdict v = verdict_of(trained(combinations({3, 4, 16}), both));
    CHECK(v.outcome == Outcome::refuted);
    CHECK(number(v, "q12.above_product.wxa") == 1);
    CHECK(number(v, "q12.below_product.wxa") == 1);
    CHECK(find_finding(v, "q12.above_product.wxa")->label.find("W3A4") != std::string::npos);
    CHECK(find_finding(v, "q12.below_product.wxa")->label.find("W4A3") != std::string::npos);
  }

  TEST_CASE("Q12: noisy rows decide nothing, nor do cells in which a sum would look the same") {
    const Verdict noisy = verdict_of(trained(combinations({3, 4, 16}), fraction_of_product, 0.02));
    CHECK(noisy.outcome == Outcome::inconclusive);
    CHECK(std::isfinite(noisy.low));
    const Verdict many_bits = verdict_of(trained(combinations({8, 10, 16}), fraction_of_product, 1e-6));
    CHECK(many_bits.outcome == Outcome::inconclusive);
    CHECK(number(many_bits, "q12.breaks_down.w8a8") == 0);
    CHECK_FALSE(control(many_bits, Control::telling_cells));
    CHECK(many_bits.prose.find("agreement with the product would show nothing") != std::string::npos);
  }

  TEST_CASE("Q12: the tolerance is half of what adding up gives where each site leaves half of the parameters") {
    const double alpha = kumar_training_law().alpha;
    CHECK_NEAR(Thresholds{}.q12_tolerance, additive(0.5, 0.5, alpha) / 2, 0, 0.005);
  }

  TEST_CASE("sizes_of: each theory is the zero of its own residual, of two sites and of three") {
    const auto rise_of = [](double f) { return 30 * (std::pow(1e5 * f, -0.35) - std::pow(1e5, -0.35)); };
    const double w = rise_of(0.6), a = rise_of(0.5), kv = rise_of(0.8);
    const double nu_w = rtn_relative_mse(3, 64), nu_a = rtn_relative_mse(4, 64);
    const auto pair = [&](double joint) {
      return sizes_of(model_of({3, 4, 16}, pair_of_sites, {0, w, a, joint}), planted_law);
    };
    CHECK_NEAR(pair(rise_of(0.3)).interaction, 0, 0, 1e-12);
    CHECK_NEAR(pair(rise_of(0.3)).own, std::log(0.3), 0, 1e-12);
    CHECK_NEAR(pair(w + a).beyond_additive, 0, 0, 1e-12);
    CHECK_NEAR(pair(w + a).interaction, additive(0.6, 0.5, 0.35), 0, 1e-12);
    const double together = (w + a) * (1 + nu_w * nu_a / (nu_w + nu_a));
    CHECK_NEAR(pair(together).beyond_independent, 0, 0, 1e-12);
    CHECK(std::isnan(pair(w + a).third));
    const Sites all{"WxAxKV", {0, 1, 2}};
    // Pairs that are products, and a triple of e^-0.2 times the product: the third order is -0.2 as is the interaction.
    const double triple = rise_of(0.24 * std::exp(-0.2));
    const std::vector<double> rises{0, w, a, rise_of(0.3), kv, rise_of(0.48), rise_of(0.4), triple};
    const SizesOfModel s = sizes_of(model_of({3, 4, 4}, all, rises), planted_law);
    CHECK_NEAR(s.third, -0.2, 0, 1e-12);
    CHECK_NEAR(s.interaction, -0.2, 0, 1e-12);
    // A pair that departs is part of the interaction, not of the third order.
    std::vector<double> of_pair = rises;
    of_pair[3] = rise_of(0.3 * std::exp(-0.2));
    const SizesOfModel p = sizes_of(model_of({3, 4, 4}, all, of_pair), planted_law);
    CHECK_NEAR(p.third, 0, 0, 1e-12);
    CHECK_NEAR(p.interaction, -0.2, 0, 1e-12);
  }

  TEST_CASE("Q12: three sites stand in a map of their own and decide too") {
    const auto triple = [](const Bits& b) {
      const bool is_triple = b[0] < 16 && b[1] < 16 && b[2] < 16;
      return fraction_of_product(b) * (is_triple ? std::exp(-0.3) : 1);
    };
    const Verdict v = verdict_of(trained(combinations({3, 4, 16}, {4, 16}), triple));
    CHECK(v.outcome == Outcome::refuted);
    CHECK(number(v, "q12.below_product.wxa") == 0);
    CHECK(number(v, "q12.below_product.wxaxkv") == 4);
    CHECK(is_within(v, "q12.third_order.w3a4kv4", -0.3));
    CHECK(number(v, "q12.holds_from.wxa") == 3);
    CHECK(control(v, Control::all_three_sites));
    CHECK(control(v, Control::weights_with_cache));
    // Without the pairs the product of single sites can still be judged, the third order cannot.
    const std::vector<Bits> sparse{{3, 16, 16}, {16, 3, 16}, {16, 16, 4}, {3, 3, 4}};
    const Verdict without = verdict_of(trained(sparse, triple));
    CHECK(is_within(without, "q12.interaction.w3a3kv4", -0.3));
    CHECK(find_finding(without, "q12.third_order.w3a3kv4") == nullptr);
  }

  TEST_CASE("Q12: bits below q12_bits_min and cells of few trajectories stand in the map and decide nothing") {
    const auto broken = [](const Bits& b) { return fraction_beyond_product(b, std::min(b[0], b[1]) < 3 ? -0.5 : 0); };
    const Verdict v = verdict_of(trained(combinations({2, 3, 4, 16}), broken));
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.n == 4 * 27);
    CHECK(number(v, "q12.breaks_down.w2a2") == 1);
    CHECK(number(v, "q12.holds_from.wxa") == 3);
    Table two;
    two.losses = planted_training(grid, {.bits = combinations({3, 4, 16}), .lowered_N = {1e5}});
    std::erase_if(two.losses, [](const LossRow& r) { return !r.is_full_precision() && r.seed == 2; });
    const Verdict few = verdict_of(two);
    CHECK(few.outcome == Outcome::inconclusive);
    CHECK(few.prose.find("Nothing can be said") == 0);
    CHECK_NEAR(number(few, "q12.interaction.w3a3"), 0, 0, 0.05);
  }

  TEST_CASE("lowered_models: only models of equal recipe are compared, and what has no twin is counted") {
    Table table = trained(combinations({3, 16}), fraction_of_product);
    UnpairedModels none;
    CHECK(lowered_models(table.losses, Thresholds{}, none).size() == 3 * 27);
    CHECK(none.without_full == 0);
    CHECK(none.without_single == 0);
    const auto changed = [&](const std::function<void(LossRow&)>& change) {
      Table other = table;
      for (LossRow& r : other.losses)
        if (!r.is_full_precision()) change(r);
      UnpairedModels unpaired;
      (void)lowered_models(other.losses, Thresholds{}, unpaired);
      return unpaired;
    };
    CHECK(changed([](LossRow& r) { r.peak_lr = 1; }).without_full == 81);
    CHECK(changed([](LossRow& r) { r.data = "other"; }).without_full == 81);
    CHECK(changed([](LossRow& r) { r.sam_rho = 0.1; }).without_full == 81);
    CHECK(changed([](LossRow& r) { r.gradient_penalty = 0.1; }).without_full == 81);
    CHECK(changed([](LossRow& r) { r.train_format = "bf16"; }).without_full == 81);
    CHECK(changed([](LossRow& r) { r.seed += 100; }).without_full == 81);
    CHECK(changed([](LossRow& r) { r.D *= 2; }).without_full >= 27);
    CHECK(changed([](LossRow& r) {
            if (r.train_a_bits < 16 && r.train_w_bits == 16) r.method = "bitnet";
          }).without_single == 27);
    for (LossRow r : trained(combinations({3, 16}), beyond(-1)).losses) {
      if (r.is_full_precision()) continue;
      r.kind = Kind::lowered, r.variant = "lowered";
      table.losses.push_back(r);
    }
    CHECK(verdict_of(table).estimate == verdict_of(trained(combinations({3, 16}), fraction_of_product)).estimate);
  }

  TEST_CASE("Q12: without a law of sizes nothing is said, and its error is part of every interval") {
    Table one = trained(combinations({3, 16}), fraction_of_product);
    std::erase_if(one.losses, [](const LossRow& r) { return r.N != 1e5; });
    const Verdict v = verdict_of(one);
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK_FALSE(control(v, Control::effective_size));
    CHECK(v.prose.find("Nothing can be said") == 0);
    // Noise of the other sizes' losses alone: nothing but the law moves.
    const auto width = [](double noise) {
      Table table;
      table.losses =
          planted_training(grid, {.bits = combinations({3, 16}), .lowered_N = {1e5}, .run_noise = 0, .row_noise = 0});
      for (std::size_t i = 0; i < table.losses.size(); ++i)
        if (LossRow& r = table.losses[i]; r.N != 1e5) r.loss *= std::exp(noise * normal(Stream{71, Domain::test}, i));
      const Finding f = *find_finding(verdict_of(table), "q12.fraction.w3");
      return f.high - f.low;
    };
    CHECK(width(0.02) > 3 * width(0.002));
  }

  TEST_CASE("interval_with_law: the errors of rows and of law add in squares, with the freedom of the rows") {
    const std::vector<RowKey> keys{{0, 1e5, 0}, {0, 1e5, 1}, {0, 1e5, 2}};
    const std::vector<double> y{1.0, 1.1, 1.3};
    LawWithError law{planted_law, {planted_law, planted_law}};
    const auto of_both = [&](const TrainingLaw& of, const std::vector<std::size_t>& rows) {
      return of.A + weighted_mean(y, {1, 1, 1}, rows);
    };
    const Interval held = interval_with_law(law, keys, of_both, {});
    const Interval plain = mean_interval(keys, y, {1, 1, 1}, {});
    CHECK_NEAR(held.high - held.low, plain.high - plain.low, 1e-12, 0);
    law.without_each[0].A += 0.3, law.without_each[1].A -= 0.3;
    const Interval both = interval_with_law(law, keys, of_both, {});
    const double of_law = std::sqrt(0.5 * 2 * 0.09);
    CHECK_NEAR(both.standard_error, std::hypot(plain.standard_error, of_law), 1e-12, 0);
    CHECK(both.freedom == 2);
    CHECK_NEAR((both.high - both.low) / (plain.high - plain.low), both.standard_error / plain.standard_error, 1e-12, 0);
    law.without_each[1].A = NAN;
    CHECK(std::isnan(interval_with_law(law, keys, of_both, {}).low));
  }

  TEST_CASE("Q12: more rows never refute what fewer support, and support needs a cell that excludes the sum") {
    const Interval far{0.2, 0.18, 0.22, 0, 0.01, 10}, near{0.05, 0.03, 0.07, 0, 0.01, 10};
    for (const double truth : {0.0, 0.08, 0.1, -0.1}) {
      bool was_supported = false, was_refuted = false;
      for (const double half : {0.3, 0.1, 0.03, 0.009, 0.001}) {
        const Interval i{truth, truth - half, truth + half, 0};
        const Outcome o = training_composition_rule()({{{i, far}}}, Thresholds{});
        was_supported |= o == Outcome::supported, was_refuted |= o == Outcome::refuted;
        CHECK(training_composition_rule()({{{i, near}}}, Thresholds{}) != Outcome::supported);
      }
      CHECK(was_supported == (std::abs(truth) < 0.09));
      CHECK(was_refuted == (std::abs(truth) > 0.09));
    }
    CHECK(training_composition_rule()({}, Thresholds{}) == Outcome::inconclusive);
    const Interval inside{0, -0.02, 0.02, 0, 0.01, 10};
    const auto p = [](const std::vector<JointCellEvidence>& cells) {
      return training_composition_rule().p_value({cells}, Thresholds{});
    };
    const Interval barely{0.12, 0.095, 0.145, 0, 0.011, 10};
    CHECK(p({{inside, far}}) < 0.05);
    CHECK(p({{inside, barely}}) > p({{inside, far}}));  // the rival must be excluded as well
    CHECK(p({{inside, barely}, {inside, far}}) == p({{inside, far}}));
  }

  TEST_CASE("Q12: equal bits of all sites give the optimum of N_eff per bit, and without a ladder the reason") {
    // f² per bit: e^(x - 0.4) = 1 + 2 x, x = P/2.8
    const Verdict v = verdict_of(trained(combinations({3, 4, 6, 8, 16}), fraction_of_product));
    CHECK_NEAR(number(v, "q12.joint_optimal_bits"), 2.8 * 2.0178, 0, 0.3);
    CHECK(is_within(v, "q12.joint_optimal_bits", number(v, "q12.joint_optimal_bits")));
    const Verdict none = verdict_of(trained(combinations({3, 4, 16}), fraction_of_product));
    CHECK(find_finding(none, "q12.joint_optimal_bits") == nullptr);
    CHECK(none.prose.find("no sites were lowered together to three equal numbers of bits") != std::string::npos);
    const Verdict beyond_end = verdict_of(trained(combinations({7, 8, 10, 16}), fraction_of_product));
    CHECK(find_finding(beyond_end, "q12.joint_optimal_bits") == nullptr);
    CHECK(beyond_end.prose.find("still rises at the fewest bits") != std::string::npos);
  }

  TEST_CASE("Q12: every sentence says that the precision is that of training") {
    const Verdict v = verdict_of(trained(combinations({3, 4, 16}), fraction_of_product));
    for (const std::string& text : {v.question, v.hypothesis, v.prose, training_composition_rule().supported,
                                    training_composition_rule().refuted}) {
      CAPTURE(text);
      CHECK(text.find("in training") != std::string::npos);
    }
  }
}
