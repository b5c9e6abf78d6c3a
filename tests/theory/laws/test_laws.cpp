#include <fmt/format.h>
#include <rapidcheck.h>

#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "tests/theory/planted/laws.hpp"
#include "theory/laws/formulas.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("laws") {
  TEST_CASE("ptq law: Kumar's constants give the published damage at 30M parameters and 26B tokens") {
    const auto p = kumar_ptq_parameters();
    const double wanted[] = {0.586, 0.108, 0.0198, 0.0036};
    for (int bits = 3; bits <= 6; ++bits)
      CHECK_NEAR(predict(LawKind::ptq_exponential, p, {30e6, 26e9, double(bits)}), wanted[bits - 3], 0.02, 0);
  }

  TEST_CASE("ptq law: doubling D multiplies damage by 1.421, doubling N by 0.788") {
    const auto p = kumar_ptq_parameters();
    const auto at = [&](double n, double d) { return predict(LawKind::ptq_exponential, p, {n, d, 4}); };
    CHECK_NEAR(at(1e8, 2e9) / at(1e8, 1e9), 1.421, 1e-3, 0);
    CHECK_NEAR(at(2e8, 1e9) / at(1e8, 1e9), 0.788, 1e-3, 0);
  }

  TEST_CASE("chinchilla: Kumar's constants give 4.10 nats at 30M parameters and 1.5B tokens") {
    CHECK_NEAR(predict(LawKind::chinchilla, kumar_chinchilla_parameters(), {30e6, 1.5e9, 0}), 4.10, 2e-3, 0);
  }

  TEST_CASE("squared step: three to four bits divides damage by (7/3)^2, one bit has no step") {
    const auto at = [](double bits) { return predict(LawKind::ptq_step, {0, 0.5, 0.3}, {1e5, 1e7, bits}); };
    CHECK_NEAR(at(3) / at(4), 49.0 / 9, 1e-12, 0);
    CHECK_FALSE(std::isfinite(at(1)));
  }

  TEST_CASE("saturating law: far below r it is the power law with exponent g, far above it is flat") {
    const auto at = [](double d) {
      return predict(LawKind::sharpness_saturating, {1, 0.2, std::log(1e3), 0.7}, {1e5, d, 0});
    };
    CHECK_NEAR(at(2e2) / at(1e2), std::pow(2.0, 0.7), 1e-3, 0);
    CHECK_NEAR(at(1e15) / at(1e14), 1, 1e-12, 0);
  }

  TEST_CASE("saturating law in D: at r tokens every size has 1 - 1/e of its plateau, with bits and without") {
    const double r = 3e6, share = 1 - std::exp(-1.0);
    for (const double n : {1e4, 1e6}) {
      const auto trace = [&](double d) {
        return predict(LawKind::sharpness_saturating_tokens, {1, 0.2, std::log(r), 0.7}, {n, d, 0});
      };
      const auto damage = [&](double d) {
        return predict(LawKind::ptq_saturating_tokens, {1, 0.2, std::log(r), 0.7, 1.6}, {n, d, 4});
      };
      CHECK_NEAR(trace(INFINITY), std::exp(1) * std::pow(n, -0.2), 1e-12, 0);
      CHECK_NEAR(trace(r) / trace(INFINITY), share, 1e-12, 0);
      CHECK_NEAR(damage(r), share * std::exp(1 - 6.4) * std::pow(n, -0.2), 1e-12, 0);
    }
  }

  TEST_CASE("law: every kind names its parameters with bounds and units, a source, and takes no other number of them") {
    CHECK(static_cast<std::size_t>(LawKind::shannon) + 1 == law_count);
    for (const LawKind kind : all_laws()) {
      CHECK(law(kind).kind == kind);
      CHECK(law(kind).parameters.size() == planted_parameters(kind).size());
      CHECK(law(kind).parameters.size() <= static_cast<std::size_t>(parameters_max));
      CHECK_FALSE(law(kind).source.empty());
      std::set<std::string> names;
      for (const Parameter& p : law(kind).parameters) {
        CHECK_MESSAGE(p.low < p.high, p.name);
        CHECK_FALSE(p.unit.empty());
        names.insert(p.name);
      }
      CHECK(names.size() == law(kind).parameters.size());
      CHECK_THROWS_AS(predict(kind, std::vector<double>(names.size() + 1), {1, 1, 4}), ContractError);
      CHECK_THROWS_AS(gradient(kind, std::vector<double>(names.size() + 1), {1, 1, 4}), ContractError);
    }
  }

  TEST_CASE("law: each newer form equals its printed formula, written out with powers") {
    using std::exp, std::log2, std::pow;
    const auto near_formula = [](LawKind kind, const std::vector<double>& p, const Point& x, double wanted) {
      CHECK_MESSAGE(test::near(predict(kind, p, x), wanted, 1e-12),
                    fmt::format("{}: {} for {}", law(kind).name, predict(kind, p, x), wanted));
    };
    Point x{1e8, 2e9, 4};
    x.P_w = 6, x.P_a = 5, x.P_kv = 7, x.group = 64, x.exponent_bits = 3, x.mantissa_bits = 2;
    near_formula(LawKind::ptq_bit_power, {-1, 0.5, 0.2, 5}, x, exp(-1) * pow(2e9, 0.5) / pow(1e8, 0.2) / pow(4, 5));
    near_formula(LawKind::ptq_bit_difference, {-2, 0.4, 1.5}, x, exp(-2) * pow(20, 0.4) * pow(6 - 4, 1.5));
    near_formula(LawKind::ptq_calibration, {2, 1.5}, x, exp(2 - 6));
    near_formula(LawKind::qat_group, {-1, 0.2, 0.3, 0.7}, x, exp(-1) * pow(2e9, 0.2) / pow(1e8, 0.3) * pow(6, 0.7));
    const std::vector<double> parts{2.0, 0.5, 1.5, 1.0, 1.0, 2.0};
    const auto loss = [&](double fraction) {
      return exp(8) * pow(1e8 * fraction, -0.5) + exp(9) * pow(2e9, -0.4) + 2.5;
    };
    std::vector<double> p{8, 0.5, 9, 0.4, 2.5};
    p.insert(p.end(), parts.begin(), parts.end());
    const double w = exp(0.5 - 3), a = exp(1 - 5 / 1.5), kv = exp(2 - 7);
    near_formula(LawKind::train_exponential, p, x, loss((1 - w) * (1 - a) * (1 - kv)));
    near_formula(LawKind::train_additive, p, x, loss(1 - w - a - kv));
    near_formula(LawKind::train_logistic, p, x, loss(1 / ((1 + w) * (1 + a) * (1 + kv))));
    near_formula(LawKind::train_tail, p, x,
                 loss((1 - pow(1 + 1.5, -2)) * (1 - pow(1 + 5 / 1.5, -1)) * (1 - pow(1 + 14, -0.5))));
    const double n_eff = 1e8 * (1 - w) * (1 - a) * (1 - kv);
    const double damage = exp(-1) * pow(2e9, 0.5) / pow(n_eff, 0.3) * exp(-1.5 * 4) * (1 - exp(-0.3 * 2)) *
                          (1 - exp(-0.4 * 1)) * (1 - exp(-0.6 * 3));
    std::vector<double> robust{-1, 0.5, 0.3, 1.5, 0.3, 0.4, 0.6};
    robust.insert(robust.end(), parts.begin(), parts.end());
    near_formula(LawKind::ptq_robust, robust, x, damage);
    std::vector<double> unified = p;
    unified.insert(unified.end(), robust.begin(), robust.begin() + 7);
    near_formula(LawKind::unified, unified, x, loss((1 - w) * (1 - a) * (1 - kv)) + damage);
    near_formula(LawKind::capybara, {4, 0.2, 11, 0.5, 1.9, 9, 3, 2.5}, x,
                 exp(4) / pow(1e8, 0.2) + exp(11) / pow(2e9, 0.5) + 1.9 +
                     pow(2e9, 0.5) / pow(1e8, 0.2) * log2(64) / (exp(9) * pow(3.5, 3) * pow(2.5, 2.5)));
    near_formula(LawKind::shannon, {-4, 0.1, 0.5, -8, 0.35, 1, 0.3, 4}, x,
                 1 / (exp(-4) * pow(1e8, 0.1) *
                      log2(1 + pow(2e9, 0.5) / (exp(-8) * pow(2e17, 0.35) + exp(1) * pow(2e9, 0.3) + exp(4)))));
  }

  TEST_CASE("gradient: agrees with central differences for every law, around its planted parameters") {
    for (const LawKind kind : all_laws())
      CHECK(rc::check([kind] {
        const auto points = planted_points(kind);
        const Point x = points[*rc::gen::inRange<std::size_t>(0, points.size())];
        std::vector<double> p = planted_parameters(kind);
        for (double& v : p) v *= 1 + *rc::gen::inRange(-40, 41) / 1000.0;
        const double at = predict(kind, p, x);
        const auto g = gradient(kind, p, x);
        RC_ASSERT(g.size() == p.size());
        for (std::size_t j = 0; j < p.size(); ++j) {
          const double h = 1e-5 * std::max(1.0, std::abs(p[j])), kept = p[j];
          p[j] = kept + h;
          const double up = predict(kind, p, x);
          p[j] = kept - h;
          const double down = predict(kind, p, x);
          p[j] = kept;
          RC_ASSERT(test::near(g[j], (up - down) / (2 * h), 1e-5, 1e-8 * std::abs(at) + 1e-300));
        }
      }));
  }

  TEST_CASE("squared step: the per-bit factor from 3 to 4 is 49/9 for absmax grids, 225/49 for 2^b - 1, 4 for signed") {
    const auto factor = [](Grid grid) {
      Point x{1e5, 1e7, 3};
      x.grid = grid;
      const double three = predict(LawKind::ptq_step, {0, 0.5, 0.3}, x);
      x.P = 4;
      return three / predict(LawKind::ptq_step, {0, 0.5, 0.3}, x);
    };
    for (const Grid grid : {Grid::restricted, Grid::full, Grid::no_clip}) CHECK_NEAR(factor(grid), 49.0 / 9, 1e-12, 0);
    for (const Grid grid : {Grid::midrise, Grid::asymmetric}) CHECK_NEAR(factor(grid), 225.0 / 49, 1e-12, 0);
    CHECK_NEAR(factor(Grid::signed_absmax), 4, 1e-12, 0);
  }

  TEST_CASE("broken power: with equal slopes it is the exponential law, far off the break each slope rules") {
    CHECK(rc::check([] {
      const double g = *rc::gen::inRange(-100, 200) / 100.0, gn = *rc::gen::inRange(0, 80) / 100.0;
      const Point x{1e5, std::pow(10.0, *rc::gen::inRange(6, 12)), 4};
      const double r = std::log(200.0);
      const double broken = predict(LawKind::ptq_broken, {-2, gn, r, g, g, 1.6}, x);
      const double plain = predict(LawKind::ptq_exponential, {-2 - g * r, g, gn + g, 1.6}, x);
      RC_ASSERT(test::near(broken, plain, 1e-12));
    }));
    const auto at = [](double d) {
      return predict(LawKind::ptq_broken, {-2, 0.3, std::log(200.0), 0.9, 0.2, 1.6}, {1e5, d, 4});
    };
    CHECK_NEAR(at(2e4) / at(1e4), std::pow(2.0, 0.9), 1e-4, 0);
    CHECK_NEAR(at(2e11) / at(1e11), std::pow(2.0, 0.2), 1e-4, 0);
  }

  TEST_CASE("training laws: at infinite bits each is the Chinchilla loss, and Eq 9 is Eq 2") {
    const Point x{1e8, 1e10, 4};
    const double plain = predict(LawKind::chinchilla, kumar_chinchilla_parameters(), x);
    for (const LawKind kind :
         {LawKind::train_exponential, LawKind::train_additive, LawKind::train_logistic, LawKind::train_tail})
      CHECK_NEAR(predict(kind, planted_parameters(kind), x), plain, 1e-14, 0);
    auto robust = planted_parameters(LawKind::ptq_robust);
    const std::vector<double> damage(robust.begin(), robust.begin() + 4);
    CHECK_NEAR(predict(LawKind::ptq_robust, robust, x), predict(LawKind::ptq_exponential, damage, x), 1e-12, 0);
    CHECK_NEAR(predict(LawKind::unified, planted_parameters(LawKind::unified), x),
               plain + predict(LawKind::ptq_exponential, kumar_ptq_parameters(), x), 1e-14, 0);
  }

  TEST_CASE("training laws: one part alone is the same in product and sum, two parts differ at second order only") {
    auto p = kumar_training_parameters();
    Point x{1e8, 1e10, 0};
    x.P_w = 5;
    CHECK_NEAR(predict(LawKind::train_exponential, p, x), predict(LawKind::train_additive, p, x), 1e-14, 0);
    const auto gap = [&](double bits) {
      x.P_w = x.P_a = x.P_kv = bits;
      return predict(LawKind::train_additive, p, x) - predict(LawKind::train_exponential, p, x);
    };
    CHECK(gap(6) > 0);
    for (std::size_t j = 5; j < 11; j += 2) p[j] = 2, p[j + 1] = 0;
    CHECK_NEAR(gap(12) / gap(12 + 2 * std::log(2.0)), 4, 0.01, 0);  // each lost share halves
  }

  TEST_CASE("power tail: at t = 0 it is the exponential without offset, and continuous there") {
    auto tail = planted_parameters(LawKind::train_tail), plain = kumar_training_parameters();
    for (std::size_t j = 5; j < 11; j += 2) tail[j] = plain[j], plain[j + 1] = 0;
    for (const double bits : {3.0, 5.0, 8.0, 16.0}) {
      Point x{1e8, 1e10, 0};
      x.P_w = x.P_a = x.P_kv = bits;
      const double wanted = predict(LawKind::train_exponential, plain, x);
      for (const auto& [t, tolerance] : {std::pair{0.0, 1e-13}, {1e-6, 1e-4}}) {
        for (std::size_t j = 6; j < 11; j += 2) tail[j] = t;
        CHECK_NEAR(predict(LawKind::train_tail, tail, x), wanted, tolerance, 0);
      }
      for (std::size_t j = 6; j < 11; j += 2) tail[j] = 1e-4 * tail[j - 1] / bits * (1 - 1e-9);
      const double below = predict(LawKind::train_tail, tail, x);
      for (std::size_t j = 6; j < 11; j += 2) tail[j] *= 1 + 2e-9;
      CHECK_NEAR(predict(LawKind::train_tail, tail, x), below, 1e-11, 0);
    }
  }

  TEST_CASE("robustified damage: 32 and 16 training bits give the same, equal bits give 0, fewer bits less damage") {
    const auto p = planted_parameters(LawKind::ptq_robust);
    const auto at = [&](double trained) {
      Point x{1e8, 1e10, 4};
      x.P_w = trained;
      return predict(LawKind::ptq_robust, p, x);
    };
    CHECK(at(4) == 0);
    CHECK(at(3) == 0);  // quantized finer than it was trained
    CHECK_NEAR(at(32), at(16), 0.05, 0);
    CHECK(at(6) < at(16));
    Point x{1e8, 1e10, 4};
    x.P_w = 4;
    for (const double g : gradient(LawKind::ptq_robust, p, x)) CHECK(g == 0);
    // The power of removed bits has no such plateau.
    x.P_w = 32;
    const double wide = predict(LawKind::ptq_bit_difference, {-9, 0.5, 2.5}, x);
    x.P_w = 16;
    CHECK_NEAR(wide / predict(LawKind::ptq_bit_difference, {-9, 0.5, 2.5}, x), std::pow(28.0 / 12, 2.5), 1e-12, 0);
  }

  TEST_CASE(
      "training laws: a part with no effective parameters left has no loss, as runs at 3 activation bits had none") {
    Point x{1e8, 1e10, 0};
    x.P_a = 3;
    CHECK(std::isnan(predict(LawKind::train_exponential, kumar_training_parameters(), x)));
    CHECK(std::isnan(predict(LawKind::train_additive, kumar_training_parameters(), x)));
    x.P_kv = 2;  // two negative factors are no positive product
    CHECK(std::isnan(predict(LawKind::train_exponential, kumar_training_parameters(), x)));
  }

  TEST_CASE("floating-point law: published constants give the published critical tokens at a billion parameters") {
    const auto at = [](double e, double m) {
      Point x{1e9, 0, 0};
      x.exponent_bits = e, x.mantissa_bits = m, x.group = 128;
      return capybara_critical_tokens(capybara_parameters(), x);
    };
    CHECK_NEAR(at(2, 1), 0.393e12, 0.01, 0);
    CHECK_NEAR(at(4, 3), 27.3e12, 0.01, 0);
    CHECK_NEAR(at(8, 7), 1730e12, 0.01, 0);
    Point x{1e9, at(2, 1), 0};
    x.exponent_bits = 2, x.mantissa_bits = 1, x.group = 128;
    const auto loss = [&](double factor) {
      Point y = x;
      y.D *= factor;
      return predict(LawKind::capybara, capybara_parameters(), y);
    };
    CHECK(loss(1) < loss(1.05));
    CHECK(loss(1) < loss(1 / 1.05));
  }

  TEST_CASE("QAT law: weights and activations together are within 15 % of 0.906 times their sum [G = 128]") {
    Point x{5e8, 1e11, 4};
    x.group = 128;
    const auto at = [&](ChenFit f) { return predict(LawKind::qat_group, chen_parameters(f), x); };
    CHECK_NEAR(at(ChenFit::w4a4) / (at(ChenFit::w4a16) + at(ChenFit::w16a4)), 0.906, 0.15, 0);
  }

  TEST_CASE("total bits: scales of 16 bits per group count, so int4 in groups of 128 costs 4.125 bits") {
    Point x{1e6, 0, 4};
    CHECK(bits_per_weight(x) == 4);
    x.group = 128;
    CHECK(bits_per_weight(x) == 4.125);
    CHECK_NEAR(predict(LawKind::total_bits, {1, 0.5}, x), std::exp(1) / std::sqrt(4.125e6), 1e-12, 0);
  }
}
