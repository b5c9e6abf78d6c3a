#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/precision/compute_optimal.hpp"
#include "theory/questions/q8_training_fit.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

const SyntheticGrid grid{.N = {3e4, 1e5, 3e5}, .D = {1e6, 1e7, 1e8}, .seeds = 2};

/// Losses in full precision, and of weights trained at low bits; `gamma_at` gives the scale of N_eff at D.
Table trained_low(const std::vector<double>& bits, const std::function<double(double)>& gamma_at, double offset,
                  double noise) {
  Table table;
  add_losses(table, grid, noise);
  std::uint64_t draw = 0;
  for (const double n : {3e4, 1e5})
    for (const double d : grid.D)
      for (int seed = 0; seed < 2; ++seed)
        for (const double b : bits) {
          LossRow r;
          static_cast<Subject&>(r) = subject_of(n, d, seed, "qat_trunk");
          r.arm = "qat", r.method = "qat", r.train_w_bits = b;
          r.loss = planted_loss(n, d, -std::expm1(-b / gamma_at(d) + offset)) *
                   std::exp(noise * normal(Stream{62, Domain::test}, draw++));
          r.loss_se = 1e-3;
          table.losses.push_back(r);
        }
  return table;
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q8: a planted optimum within the trained bits is supported, with scale and offset in their intervals") {
    const auto gamma = [](double) { return 1.2; };
    const Verdict v = judge_precision(trained_low({2, 3, 4, 6, 8}, gamma, 1.0, 1e-3), Thresholds{});
    const double optimum = 2.146 * 1.2;  // e^(x - 1) = 1 + x
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.low <= optimum);
    CHECK(v.high >= optimum);
    CHECK_NEAR(v.estimate, optimum, 0, 0.1);
    CHECK_NEAR(number(v, "q8.gamma_w"), 1.2, 0, 0.1);
    CHECK_NEAR(number(v, "q8.n_w"), 1.0, 0, 0.1);
    CHECK(find_finding(v, "q8.gamma_a") == nullptr);
    CHECK_NEAR(number(v, "q8.fraction.w4a16kv16"), -std::expm1(-4 / 1.2 + 1), 0.03, 0);
    CHECK(number(v, "q8.held_out.exponential") < number(v, "q8.held_out.tail"));
    CHECK(number(v, "q8.information.w.derived") > 0.5);
    CHECK(number(v, "q8.information.w.derived") < 1.2);
    CHECK(find_finding(v, "q8.information.a.derived") == nullptr);
    CHECK(control(v, Control::information_scale));
    CHECK(control(v, Control::growing_budgets));
    CHECK(number(v, "q8.misfit.points") == 5);
    CHECK(number(v, "q8.misfit.missed") <= 1);
    CHECK_NEAR(number(v, "q8.optimal_bits.measured"), optimum, 0, 0.4);
    CHECK_NEAR(number(v, "q8.fitted_fraction.w4a16kv16"), number(v, "q8.fraction.w4a16kv16"), 0.03, 0);
    const Finding* drift = find_finding(v, "q8.drift.compute");
    REQUIRE(drift != nullptr);
    CHECK_NEAR(drift->estimate, 0, 0, 0.2);
  }

  TEST_CASE("Q8: the fitted scale equals that of the information, differs from it, or is too uncertain to say") {
    const std::vector<double> bits{2, 3, 4, 6, 8};
    const auto scaled = [&](double gamma, double noise) {
      return judge_precision(trained_low(
                                 bits, [=](double) { return gamma; }, 0.4, noise),
                             Thresholds{});
    };
    const Verdict other = scaled(1.2, 1e-3);
    const double derived = number(other, "q8.information.w.derived");
    const Finding* ratio = find_finding(other, "q8.information.w.log_ratio");
    REQUIRE(ratio != nullptr);
    CHECK(ratio->low < std::log(1.2 / derived));
    CHECK(std::log(1.2 / derived) < ratio->high);
    CHECK(ratio->low > 0.1);
    CHECK(other.prose.find("They differ.") != std::string::npos);
    CHECK(scaled(derived, 1e-4).prose.find("They are equal.") != std::string::npos);
    const Verdict noisy = scaled(derived, 0.05);
    CHECK(noisy.prose.find("They ") == std::string::npos);
  }

  TEST_CASE("Q8: runs that lower one part each cannot tell a sum from a product; jointly lowered ones can") {
    const std::vector<double> bits{2, 3, 4, 6, 8};
    Table table = trained_low(
        bits, [](double) { return 1.2; }, 0.4, 1e-3);
    const Verdict alone = judge_precision(table, Thresholds{});
    CHECK(number(alone, "q8.indistinguishable.additive") == 1);
    CHECK(find_finding(alone, "q8.held_out_difference.additive") == nullptr);
    CHECK(find_finding(alone, "q8.held_out_difference.logistic") != nullptr);
    CHECK(alone.prose.find("additive; each run lowers one part only") != std::string::npos);
    const std::vector<LossRow> trained = table.losses;
    for (LossRow r : trained) {
      if (r.is_full_precision()) continue;
      const double share = -std::expm1(-r.train_w_bits / 1.2 + 0.4);
      const double noise = r.loss / planted_loss(r.N, r.D, share);
      r.run += " both", r.train_a_bits = r.train_w_bits;
      r.loss = noise * planted_loss(r.N, r.D, share * share);
      table.losses.push_back(r);
      r.run += " a", r.train_w_bits = 16;
      r.loss = noise * planted_loss(r.N, r.D, share);
      table.losses.push_back(r);
    }
    const Verdict both = judge_precision(table, Thresholds{});
    CHECK(find_finding(both, "q8.indistinguishable.additive") == nullptr);
    CHECK(find_finding(both, "q8.held_out_difference.additive")->high < 0);
  }

  TEST_CASE("Q8: a curve that leaves the sizes that were measured decides nothing, however well it is known") {
    Table table = trained_low(
        {2, 3, 4, 6, 8}, [](double) { return 1.2; }, 1.0, 1e-4);
    for (LossRow& r : table.losses) {  // a step: useless up to 4 bits, full precision from 6 on
      const double share = r.train_w_bits <= 3 ? 0.3 : r.train_w_bits <= 4 ? 0.4 : 1;
      if (!r.is_full_precision()) r.loss = planted_loss(r.N, r.D, share);
    }
    const Verdict v = judge_precision(table, Thresholds{});
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(number(v, "q8.misfit.missed") >= 2);
    CHECK_NEAR(number(v, "q8.optimal_bits.measured"), 5.8, 0, 0.5);
    CHECK(v.prose.find("not to be trusted") != std::string::npos);
  }

  TEST_CASE("Q8: where the scale grows with compute no one optimum stands, and drift refutes") {
    const auto gamma = [](double d) { return 0.8 * std::pow(d / 1e6, 0.2); };
    const Verdict v = judge_precision(trained_low({2, 3, 4, 6, 8}, gamma, 0.7, 1e-4), Thresholds{.q8_drift = 0.05});
    CHECK(v.outcome == Outcome::refuted);
    const Finding* drift = find_finding(v, "q8.drift.compute");
    REQUIRE(drift != nullptr);
    CHECK(std::abs(drift->estimate) > 0.1);
    CHECK(drift->low * drift->high > 0);
    CHECK(v.prose.find("bits per decade") != std::string::npos);
  }

  TEST_CASE(
      "Q8: a scale that grows with tokens refutes, with the optimum of each half; one token count says nothing of it") {
    const auto gamma = [](double d) { return 1.2 * std::pow(d / 1e6, 0.18); };
    Table table = trained_low({2, 3, 4, 6, 8}, gamma, 0.7, 1e-4);
    std::erase_if(table.losses, [](const LossRow& r) { return !r.is_full_precision() && r.D == 1e7; });
    const Verdict v = judge_precision(table, Thresholds{});
    const Finding* of_tokens = find_finding(v, "q8.drift.tokens");
    REQUIRE(of_tokens != nullptr);
    CHECK(of_tokens->low > 0.5);
    CHECK(v.outcome == Outcome::refuted);
    constexpr double optimum = 1.6893;  // of P/gamma: e^(x - 0.7) = 1 + x
    CHECK_NEAR(number(v, "q8.token_bits.fewer"), optimum * 1.2, 0.05, 0);
    CHECK_NEAR(number(v, "q8.token_bits.more"), optimum * 1.2 * std::pow(100, 0.18), 0.05, 0);
    Table with_activations = table;  // at one token count: no part of the comparison
    for (const LossRow& r : table.losses)
      if (!r.is_full_precision() && r.D == 1e8) {
        LossRow a = r;
        a.run += " a", a.train_w_bits = 16, a.train_a_bits = r.train_w_bits;
        with_activations.losses.push_back(a);
      }
    CHECK_NEAR(number(judge_precision(with_activations, Thresholds{}), "q8.token_bits.more"),
               optimum * 1.2 * std::pow(100, 0.18), 0.05, 0);
    std::erase_if(table.losses, [](const LossRow& r) { return !r.is_full_precision() && r.D < 1e8; });
    const Verdict w = judge_precision(table, Thresholds{});
    CHECK_FALSE(control(w, Control::models_on_more_tokens));
    CHECK(w.outcome == Outcome::inconclusive);
  }

  TEST_CASE("TrainingFit: scales fitted apart leave what full precision says of size and tokens alone") {
    const PrecisionRows all = precision_rows(trained_low(
                                                 {2, 3, 4}, [](double) { return 1.2; }, 0.4, 1e-3),
                                             Thresholds{});
    std::vector<Observation> full, low;
    for (const Observation& o : all.observations) (std::isinf(o.point.P_w) ? full : low).push_back(o);
    for (Observation& o : low) o.log_y += 0.05;  // what these rows say of E must not count
    const TrainingFit apart = TrainingFit(LawKind::train_exponential, all, all.observations).refit_apart(full, low);
    REQUIRE(apart.is_usable());
    const FitSummary chinchilla = fit(LawKind::chinchilla, full, {});
    for (std::size_t k = 0; k < 5; ++k) CHECK_NEAR(apart.parameters()[k], chinchilla.parameters[k], 1e-3, 0);
    CHECK(apart.parameters()[5] > 1.25);  // the scale takes the blame
  }

  TEST_CASE("Q8: an optimum below the bits that were trained, and one single precision, are inconclusive") {
    const auto gamma = [](double) { return 1.2; };
    const Verdict below = judge_precision(trained_low({4, 6, 8}, gamma, 1.0, 1e-4), Thresholds{});
    CHECK(below.outcome == Outcome::inconclusive);
    CHECK(below.prose.find("not within the bits") != std::string::npos);
    const Verdict one = judge_precision(trained_low({4}, gamma, 1.0, 1e-4), Thresholds{});
    CHECK(one.outcome == Outcome::inconclusive);
    CHECK(one.prose.find("Nothing can be said") != std::string::npos);
    CHECK_FALSE(control(one, Control::several_precisions));
  }

  TEST_CASE("Q8: other ways of training at low precision and branches are no evidence") {
    const auto gamma = [](double) { return 1.2; };
    Table table = trained_low({2, 3, 4}, gamma, 1.0, 1e-4);
    const PrecisionRows alone = precision_rows(table, Thresholds{});
    for (LossRow r : trained_low({3}, gamma, 1.2, 0).losses) {
      if (r.is_full_precision()) continue;
      r.method = "bitnet";
      table.losses.push_back(r);
      r.method = "qat", r.kind = Kind::lowered, r.variant = "lowered";
      table.losses.push_back(r);
    }
    CHECK(precision_rows(table, Thresholds{}).rows.size() == alone.rows.size());
    CHECK(alone.low == 36);
    CHECK(alone.bits == std::set<double>{2, 3, 4});
    CHECK(alone.is_lowered == std::array<bool, 3>{true, false, false});
  }

  TEST_CASE("TrainingFit: parts lowered only together share their parameters, and the optimum is that of the law") {
    Table table = trained_low(
        {3, 4, 6, 8}, [](double) { return 1.0; }, 0.5, 0);
    for (LossRow& r : table.losses) {
      r.train_a_bits = r.train_kv_bits = r.train_w_bits;
      const double share = r.train_w_bits < 16 ? -std::expm1(-r.train_w_bits + 0.5) : 1;
      r.loss = planted_loss(r.N, r.D, share * share * share);
    }
    const PrecisionRows all = precision_rows(table, Thresholds{});
    const TrainingFit fit(LawKind::train_exponential, all, all.observations);
    REQUIRE(fit.is_usable());
    for (const std::size_t part : {5u, 7u, 9u}) {
      CHECK_NEAR(fit.parameters()[part], 1.0, 1e-2, 0);
      CHECK(fit.parameters()[part] == fit.parameters()[5]);
    }
    CHECK_NEAR(fit.optimal_bits(), optimal_bits(fit.law()), 0, 0.02);
    CHECK_NEAR(training_cost(all, all.observations.back()), 6.0 / 16 * 1e5 * 1e8 * 8, 1e-12, 0);
  }
}
