#include <rapidcheck.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"
#include "theory/precision/compute_optimal.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

TotalLaw kumar_total() { return {kumar_training_law(), kumar_ptq_parameters()}; }

/// Least value of f over a fine logarithmic grid, then a finer one around it.
template <class F>
double brute_minimum(const F& f, double low, double high) {
  double best = low;
  for (int round = 0; round < 4; ++round) {
    const double ratio = std::pow(high / low, 1.0 / 400);
    double least = INFINITY;
    for (int i = 0; i <= 400; ++i) {
      const double x = low * std::pow(ratio, i), value = f(x);
      if (value < least) least = value, best = x;
    }
    low = best / ratio, high = best * ratio;
  }
  return best;
}

}  // namespace

TEST_SUITE("compute optimal") {
  TEST_CASE("optimal_bits: 7.00 with offsets, 7.64 with averages, 3.47 without offsets, 3.71 without and averaged") {
    const auto table = test::load_quant("kumar_precision_law.json")["P_star_checks"];
    const TrainingLaw law = kumar_training_law();
    const auto wanted = [&](const char* key) { return table[key].get<double>(); };
    CHECK_NEAR(optimal_bits(law), wanted("prod (1-exp(-P/g_x + n_x)) / P  (with offsets)"), 0, 2e-4);
    CHECK_NEAR(optimal_bits(averaged(law)), wanted("(1-exp(-P/gbar + nbar))^3 / P"), 0, 2e-4);
    CHECK_NEAR(optimal_bits(without_offsets(law)), wanted("prod (1-exp(-P/g_x)) / P  (as printed, no offsets)"), 0,
               2e-4);
    const auto& analytic = table["analytic no-offset: 3u = e^u - 1, P*=u*gbar"];
    CHECK_NEAR(optimal_bits_closed(1), analytic[0].get<double>(), 1e-10, 0);
    CHECK_NEAR(optimal_bits_closed(averaged(law).parts[0].gamma), analytic[1].get<double>(), 1e-10, 0);
    CHECK_NEAR(optimal_bits(averaged(without_offsets(law))), analytic[1].get<double>(), 1e-9, 0);
  }

  TEST_CASE("optimal_bits: without an interior maximum it is NaN, one part alone has none") {
    TrainingLaw law = kumar_training_law();
    law.parts = {{{2.7, 0}, {1, -80}, {1, -80}}};
    CHECK(std::isnan(optimal_bits(law)));
    CHECK_THROWS_AS(optimal_bits_closed(1, 1), ContractError);
    CHECK_THROWS_AS(optimal_bits_closed(0), ContractError);
  }

  TEST_CASE("optimal_allocation: N* and D* are the brute-force minimum at given bits, for unequal exponents too") {
    TrainingLaw law = kumar_training_law();
    law.alpha = 0.42, law.beta = 0.55;
    for (const double bits : {5.0, 7.0, 12.0}) {
      const Allocation best = optimal_allocation(law, 1e20, bits);
      const double by_force = brute_minimum(
          [&](double n) { return training_loss(law, trained_at(n, 16 * 1e20 / (6 * n * bits), bits)); }, 1e6, 1e13);
      CHECK_NEAR(best.N, by_force, 1e-4, 0);
      CHECK_NEAR(6.0 / 16 * best.N * best.D * bits, 1e20, 1e-12, 0);
      CHECK_NEAR(best.loss, training_loss(law, trained_at(best.N, best.D, bits)), 1e-14, 0);
    }
  }

  TEST_CASE("optimal_allocation: D* falls as f^(3a/(a+b)) P^(-a/(a+b)), the corrected power of P") {
    TrainingLaw law = averaged(kumar_training_law());
    law.alpha = 0.42, law.beta = 0.55;
    const double sum = law.alpha + law.beta, f8 = effective_fraction(law.parts[0], 8),
                 f12 = effective_fraction(law.parts[0], 12);
    const double wanted = std::pow(f8 / f12, 3 * law.alpha / sum) * std::pow(8.0 / 12, -law.alpha / sum);
    CHECK_NEAR(optimal_allocation(law, 1e20, 8).D / optimal_allocation(law, 1e20, 12).D, wanted, 1e-10, 0);
  }

  TEST_CASE("optimal_allocation: N, D and P together are a minimum over P, and P* does not move with the budget") {
    const TrainingLaw law = kumar_training_law();
    for (const double budget : {1e18, 1e22}) {
      const Allocation best = optimal_allocation(law, budget);
      const double by_force =
          brute_minimum([&](double bits) { return optimal_allocation(law, budget, bits).loss; }, 4, 30);
      CHECK_NEAR(best.bits, by_force, 1e-4, 0);
      CHECK_NEAR(best.bits, 7.0021, 0, 1e-4);
    }
    CHECK_THROWS_AS(optimal_allocation(law, 1e20, 3), ContractError);
  }

  TEST_CASE("optimal_bits_at_size: the brute-force minimum, and it grows with the budget") {
    const TrainingLaw law = kumar_training_law();
    double before = 0;
    for (const double budget : {1e18, 1e19, 1e20, 1e21}) {
      const double bits = optimal_bits_at_size(law, 1e8, budget);
      const double by_force = brute_minimum(
          [&](double p) { return training_loss(law, trained_at(1e8, 16 * budget / (6 * 1e8 * p), p)); }, 3.2, 60);
      CHECK_NEAR(bits, by_force, 1e-4, 0);
      CHECK(bits > before);
      before = bits;
    }
  }

  TEST_CASE("critical_tokens: published ratios D_crit/N, and the minimum of the total loss over tokens") {
    const std::tuple<double, double, double> rows[] = {
        {30e6, 3, 177}, {30e6, 4, 959}, {30e6, 5, 5.2e3}, {220e6, 3, 48}, {220e6, 4, 259}};
    for (const auto& [n, bits, ratio] : rows) {
      const Point x{n, 0, bits};
      const double tokens = critical_tokens(kumar_total(), x);
      CHECK_NEAR(tokens / n, ratio, 0.01, 0);
      const double by_force = brute_minimum(
          [&](double d) {
            return total_loss(kumar_total(), {x.N, d, x.P});
          },
          tokens / 1e3, tokens * 1e3);
      CHECK_NEAR(tokens, by_force, 1e-3, 0);
    }
    CHECK(std::isinf(critical_tokens(kumar_total(), {1e8, 0, INFINITY})));
  }

  TEST_CASE("total_loss: equals the unified law, and no damage is left where training was no finer than the bits") {
    TotalLaw law = kumar_total();
    law.robustness = {0.3, 0.4, 0.6};
    auto p = kumar_training_parameters();
    for (const double v : law.damage) p.push_back(v);
    for (const double v : law.robustness) p.push_back(v);
    Point x = trained_at(1e8, 1e10, 8);
    x.P = 4;
    CHECK_NEAR(total_loss(law, x), predict(LawKind::unified, p, x), 1e-12, 0);
    x.P = 8;
    CHECK(total_loss(law, x) == training_loss(law.training, x));
  }

  TEST_CASE("solve_iso_loss: size, tokens and bits of a known point come back from its loss") {
    CHECK(rc::check([] {
      const TotalLaw law = kumar_total();
      Point x = trained_at(std::pow(10, 7 + *rc::gen::inRange(0, 300) / 100.0),
                           std::pow(10, 9 + *rc::gen::inRange(0, 300) / 100.0), 9 + *rc::gen::inRange(0, 7));
      x.P = 3 + *rc::gen::inRange(0, 300) / 100.0;
      const double loss = total_loss(law, x);
      const auto has = [&](Unknown unknown, double value) {
        const auto roots = solve_iso_loss(law, x, unknown, loss);
        for (const double r : roots)
          if (test::near(r, value, 1e-6)) return true;
        return false;
      };
      RC_ASSERT(has(Unknown::size, x.N));
      RC_ASSERT(has(Unknown::tokens, x.D));
      RC_ASSERT(has(Unknown::bits, x.P));
      RC_ASSERT(has(Unknown::training_bits, x.P_w));
    }));
  }

  TEST_CASE("solve_iso_loss: above the least loss two token counts, one on each side of D_crit; below it none") {
    const TotalLaw law = kumar_total();
    Point x{30e6, 0, 3};
    const double turn = critical_tokens(law, x);
    x.D = turn;
    const double least = total_loss(law, x);
    const auto roots = solve_iso_loss(law, x, Unknown::tokens, least + 0.01);
    REQUIRE(roots.size() == 2);
    CHECK(roots[0] < turn);
    CHECK(roots[1] > turn);
    CHECK(solve_iso_loss(law, x, Unknown::tokens, least - 1e-6).empty());
    CHECK(solve_iso_loss(law, x, Unknown::tokens, least + 1e-9).size() == 2);
  }

  TEST_CASE("solve_iso_loss: the jump to no damage at the training bits is no solution") {
    Point x = trained_at(30e6, 26e9, 5);
    x.P = 5 - 1e-9;
    const double damaged = total_loss(kumar_total(), x), whole = training_loss(kumar_training_law(), x);
    REQUIRE(damaged > whole + 0.01);
    CHECK(solve_iso_loss(kumar_total(), x, Unknown::bits, 0.5 * (damaged + whole)).empty());
    CHECK(solve_iso_loss(kumar_total(), x, Unknown::bits, damaged + 0.01).size() == 1);
  }

  TEST_CASE("iso_loss_bits: every point of the surface has the loss, more parameters need fewer bits") {
    const TotalLaw law = kumar_total();
    const std::vector<double> sizes{1e8, 2e8, 4e8}, tokens{5e9, 2e10};
    const auto bits = iso_loss_bits(law, sizes, tokens, 3.6);
    REQUIRE(bits.size() == 6);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 2; ++j) {
        CHECK_NEAR(total_loss(law, {sizes[i], tokens[j], bits[2 * i + j]}), 3.6, 1e-9, 0);
        if (i > 0) CHECK(bits[2 * i + j] < bits[2 * (i - 1) + j]);
      }
    CHECK(std::isnan(iso_loss_bits(law, {1e6}, {1e9}, 3.0)[0]));
    CHECK(iso_loss_bits(law, {1e11}, {1e9}, 30.0)[0] == 1);  // any width does
  }

  TEST_CASE("precision_drift: refits with one set of scales do not drift, planted growth of a scale does") {
    std::vector<BudgetFit> same, growing;
    for (int i = 0; i < 4; ++i) {
      TrainingLaw law = kumar_training_law();
      law.A *= 1 + i, law.alpha += 0.02 * i;
      same.push_back({std::pow(10, 17 + i), law, 0.1});
      for (PartScale& part : law.parts) part.gamma *= 1 + 0.1 * i;
      growing.push_back({std::pow(10, 17 + i), law, 0.1});
    }
    CHECK(std::abs(precision_drift(same).slope) < 1e-9);
    const PrecisionDrift drift = precision_drift(growing);
    CHECK_NEAR(drift.slope, 0.70021, 1e-3, 0);  // P* is proportional to a common factor of the scales
    CHECK_NEAR(drift.standard_error, 0.1 / std::sqrt(5.0), 1e-9, 0);
    CHECK_THROWS_AS(precision_drift({same[0]}), ContractError);
  }
}
