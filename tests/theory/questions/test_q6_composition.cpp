#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/noise/rounding.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// The full factorial of three sites; `joint` makes a damage of the three single damages.
Table full_factorial(const std::function<double(const std::array<double, 3>&)>& joint) {
  Table table;
  for (const double d : {1e6, 1e7, 1e8})
    for (int seed = 0; seed < 2; ++seed)
      for (const double w : {3.0, 4.0, 16.0})
        for (const double a : {3.0, 4.0, 16.0})
          for (const double kv : {3.0, 4.0, 16.0}) {
            const auto damage = [](double bits) { return bits < 16 ? std::exp(-bits) : 0; };
            FactorialRow r;
            static_cast<Subject&>(r) = subject_of(1e5, d, seed, "trunk");
            r.w_bits = w, r.a_bits = a, r.kv_bits = kv;
            r.delta = joint({damage(w), damage(a), damage(kv)});
            r.delta_se = 0.01 * r.delta;
            table.factorial.push_back(r);
          }
  return table;
}

double sum_of(const std::array<double, 3>& x) { return x[0] + x[1] + x[2]; }

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q6: no interaction is supported, a large one refuted, a noisy one inconclusive") {
    const Verdict v = judge_composition(factorial(0, 0.01), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.n == 36);
    CHECK(judge_composition(factorial(-0.3, 0.01), Thresholds{}).outcome == Outcome::refuted);
    CHECK(judge_composition(factorial(0.3, 0.01), Thresholds{}).outcome == Outcome::refuted);
    CHECK(judge_composition(factorial(0.1, 0.5), Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q6: pairs in which one site dominates are left out and counted") {
    Table table = factorial(0.5, 0);
    for (FactorialRow& r : table.factorial)
      if (r.a_bits < 16) r.a_bits = r.a_bits + 4;  // 7 and 8 bits: no damage of their own
    for (FactorialRow& r : table.factorial)
      if (r.a_bits < 16) r.delta = r.w_bits < 16 ? std::exp(-r.w_bits) : 1e-6;
    const Verdict v = judge_composition(table, Thresholds{});
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.n == 0);
    CHECK(number(v, "q6.dropped.unbalanced") == 36);
  }

  TEST_CASE("Q6: the interaction of each pair of bits stands beside that of independent noise") {
    const Verdict v = judge_composition(factorial(0.0325, 0), Thresholds{});
    CHECK_NEAR(number(v, "q6.interaction.w3a3"), 0.0325, 1e-9, 0);
    CHECK_NEAR(number(v, "q6.interaction.w3a4"), 0.0325, 1e-9, 0);
    CHECK_NEAR(number(v, "q6.independent.w3a3"), rtn_relative_mse(3, 64) / 2, 1e-12, 0);
    CHECK(find_finding(v, "q6.interaction.w16a3") == nullptr);
  }

  TEST_CASE("Q6: pairs and triples of the full factorial stand apart") {
    const auto with_triple = [](const std::array<double, 3>& x) {
      return sum_of(x) + (x[0] > 0 && x[1] > 0 && x[2] > 0 ? 0.3 * sum_of(x) : 0);
    };
    const Verdict v = judge_composition(full_factorial(with_triple), Thresholds{});
    for (const char* pair : {"wxa", "wxkv", "axkv"})
      CHECK_NEAR(number(v, std::string("q6.overall.") + pair), 0, 0, 1e-12);
    CHECK_NEAR(number(v, "q6.overall.wxaxkv"), 0.3, 1e-9, 0);
    CHECK_NEAR(number(v, "q6.interaction.w3a3kv4"), 0.3, 1e-9, 0);
    CHECK(number(v, "q6.breaks_down.w3a3kv4") == 1);
    CHECK(number(v, "q6.breaks_down.w3a3") == 0);
    CHECK(v.prose.find("W3A3KV4") != std::string::npos);
    CHECK(v.outcome == Outcome::supported);
    CHECK(control(v, Control::all_three_sites));
    CHECK_FALSE(control(judge_composition(factorial(0, 0.01), Thresholds{}), Control::all_three_sites));
  }

  TEST_CASE("Q6: bits below ptq_bits_min stand in the map and not in the verdict") {
    Table table = factorial(0, 0.001);
    for (const FactorialRow& r : factorial(-0.4, 0.001).factorial) {
      FactorialRow low = r;
      if (r.w_bits == 3) low.w_bits = 2;
      if (r.a_bits == 3) low.a_bits = 2;
      if (low.w_bits == 2 || low.a_bits == 2) table.factorial.push_back(low);
    }
    const Verdict v = judge_composition(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.n == 36);
    CHECK(number(v, "q6.breaks_down.w2a2") == 1);
    CHECK(number(v, "q6.breaks_down.w3a3") == 0);
  }

  TEST_CASE("Q6: where few noisy cells decide nothing the breakdown is unknown") {
    const Verdict v = judge_composition(factorial(0.05, 0.5), Thresholds{});
    CHECK(std::isnan(number(v, "q6.breaks_down.w3a4")));
  }

  TEST_CASE("Q6: a product of effective sizes has no interaction in ln N_eff and the predicted one in the damage") {
    const double n = 1e5;
    const auto size_cost = [n](double share) { return 30 * (std::pow(n * share, -0.35) - std::pow(n, -0.35)); };
    Table table = full_factorial(
        [&](const std::array<double, 3>& x) { return size_cost((1 - 5 * x[0]) * (1 - 4 * x[1]) * (1 - 3 * x[2])); });
    const Verdict without = judge_composition(table, Thresholds{});
    CHECK_FALSE(control(without, Control::effective_size));
    CHECK(find_finding(without, "q6.overall_size.wxa") == nullptr);
    add_losses(table, {}, 1e-4);
    const Verdict v = judge_composition(table, Thresholds{});
    CHECK(control(v, Control::effective_size));
    CHECK_NEAR(number(v, "q6.loss_law.alpha"), 0.35, 0, 0.03);
    CHECK_NEAR(number(v, "q6.overall_size.wxa"), 0, 0, 0.002);
    CHECK_NEAR(number(v, "q6.overall_size.wxaxkv"), 0, 0, 0.002);
    CHECK(v.estimate > 0.01);
    CHECK_NEAR(number(v, "q6.overall_product.wxa"), v.estimate, 0.05, 0);
    CHECK_NEAR(number(v, "q6.overall_product.wxaxkv"), number(v, "q6.overall.wxaxkv"), 0.1, 0);
    CHECK(v.prose.find("super-additive") != std::string::npos);
  }

  TEST_CASE("Q6: other arms, low precision in training and checkpoints without a factorial are no evidence") {
    Table table = factorial(0, 0.01);
    const Verdict alone = judge_composition(table, Thresholds{});
    for (FactorialRow r : factorial(0.8, 0.01).factorial) {
      r.arm = "cosine";
      table.factorial.push_back(r);
      r.arm = "main", r.train_w_bits = 4, r.run = "low";
      table.factorial.push_back(r);
      r.train_w_bits = 16, r.run = "empty", r.delta = NAN;
      table.factorial.push_back(r);
    }
    const Verdict v = judge_composition(table, Thresholds{});
    CHECK(v.estimate == alone.estimate);
    CHECK(number(v, "q6.dropped.not_finite") == 0);
  }
}
