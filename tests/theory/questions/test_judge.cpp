#include "theory/questions/judge.hpp"

#include <fmt/format.h>

#include <set>

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/rules.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("questions") {
  TEST_CASE("Q1: a planted law is supported with its exponents inside their intervals") {
    const Verdict v = judge_damage_growth(planted({}), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.low <= 0.5);
    CHECK(v.high >= 0.5);
    CHECK(v.n == 180);
    CHECK_NEAR(number(v, "q1.gamma_n"), 0.35, 0, 0.06);
    CHECK_NEAR(number(v, "q1.gamma_post"), 0.6, 0, 0.02);
    CHECK_NEAR(number(v, "q1.gamma_d.bits_3"), 0.5, 0, 0.05);
    CHECK(number(v, "q1.held_out.exponential") < number(v, "q1.held_out.bit_power"));
    CHECK(number(v, "q1.held_out.exponential") < number(v, "q1.held_out.step"));
    CHECK(number(v, "q1.r2") > 0.98);
    const Finding* gamma_post = find_finding(v, "q1.gamma_post");
    CHECK(gamma_post->low < gamma_post->estimate);
    CHECK(gamma_post->estimate < gamma_post->high);
  }

  TEST_CASE("Q1: the quadratic null is refuted, and its interval holds 0") {
    Table table;
    table.ptq = quadratic_null({});
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.low <= 0);
    CHECK(v.high >= 0);
  }

  TEST_CASE("Q1: shrinking damage is refuted, noise is inconclusive") {
    CHECK(judge_damage_growth(planted({.gamma_d = -0.5}), Thresholds{}).outcome == Outcome::refuted);
    const Verdict noise = judge_damage_growth(planted({.gamma_d = 0.1, .run_noise = 1.5}, {.seeds = 1}), Thresholds{});
    CHECK(noise.outcome == Outcome::inconclusive);
    CHECK(noise.high - noise.low > 0.2);
  }

  TEST_CASE("Q1: damage that levels off in D/N is refuted although its exponent is above 0") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta = -std::expm1(-std::pow(r.D / r.N / 30, 0.9)) * std::exp(-r.P / 0.6);
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(v.low > 0);
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.prose.find("levels off") != std::string::npos);
  }

  TEST_CASE("Q1: damage whose local exponent falls is refuted as a power, and its last exponent is reported") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) {
      const double x = std::log(r.D / 1e6);
      r.delta *= std::exp(1.0 * x - 0.15 * x * x);  // local exponent 1.5 - 0.3 x
    }
    const Verdict v = judge_damage_growth(table, Thresholds{.form_margin = 0.01});
    CHECK(v.low > 0);
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.prose.find("not as one power") != std::string::npos);
    CHECK_NEAR(number(v, "q1.quadratic"), -0.15, 0, 0.02);
    CHECK(number(v, "q1.last_exponent") < v.estimate - 0.3);
  }

  TEST_CASE("Q1: rows of equal size but another model are other cells, and mixed schedules are a missing control") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.schedule = "constant", r.peak_lr = 3e-3;
    const Verdict one = judge_damage_growth(table, Thresholds{});
    CHECK(control(one, Control::one_schedule));
    CHECK(control(one, Control::one_rate));
    for (size_t i = 0; i < table.ptq.size(); i += 2) {
      table.ptq[i].model = "other";
      table.ptq[i].schedule = "cosine";
      table.ptq[i].peak_lr = 1e-3;
    }
    const Verdict two = judge_damage_growth(table, Thresholds{});
    CHECK(!control(two, Control::one_schedule));
    CHECK(!control(two, Control::one_rate));
    CHECK(two.prose.find("cells") != std::string::npos);
    CHECK(two.prose != one.prose);
  }

  TEST_CASE("Q1: rows that are NaN, negative or below the noise are dropped and counted") {
    Table table = planted({});
    table.ptq[0].delta = NAN;
    table.ptq[1].D = NAN;
    table.ptq[2].delta = -0.1;
    table.ptq[3].delta_se = table.ptq[3].delta;
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(v.n == 176);
    CHECK(number(v, "q1.dropped.not_finite") == 2);
    CHECK(number(v, "q1.dropped.not_positive") == 1);
    CHECK(number(v, "q1.dropped.below_noise") == 1);
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.prose.find("left out") != std::string::npos);
  }

  TEST_CASE("Q1: tokens proportional to model size are inconclusive, and the prose says why") {
    Table table;
    for (const double n : {1e4, 3e4, 1e5, 3e5})
      for (const PtqRow& r : planted_ptq({.N = {n}, .D = {20 * n}}, {})) table.ptq.push_back(r);
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(std::isnan(v.estimate));
    CHECK(v.prose.find("move together") != std::string::npos);
  }

  TEST_CASE("Q1: other architectures, variants and bits are no evidence") {
    Table table = planted({}, {.P = {2, 8}});
    CHECK(judge_damage_growth(table, Thresholds{}).n == 0);
    table = planted({});
    for (std::size_t i = 0; i < table.ptq.size(); ++i) {
      if (i % 2 == 0) table.ptq[i].architecture = Architecture::mlp;
      if (i % 2 != 0) table.ptq[i].variant = "cooled";
    }
    CHECK(judge_damage_growth(table, Thresholds{}).n == 0);
  }

  TEST_CASE("Q2: a planted trace is supported, a flat one refuted, a noisy one inconclusive") {
    const Verdict v = judge_sharpness_growth(planted({}), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, 0.3, 0, 0.04);
    CHECK(number(v, "q2.lambda_max.forms.saturating_ratio.held_out") <
          0.8 * number(v, "q2.lambda_max.forms.power.held_out"));
    CHECK(judge_sharpness_growth(planted({.curvature_share = 0}), Thresholds{}).outcome == Outcome::refuted);
    CHECK(
        judge_sharpness_growth(planted({.curvature_share = 0.1, .run_noise = 2}, {.seeds = 1}), Thresholds{}).outcome ==
        Outcome::inconclusive);
  }

  TEST_CASE(
      "Q3: a right prediction is supported, damage as its square root refuted, few noisy rows "
      "inconclusive") {
    const Verdict v = judge_prediction(planted({}), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, 1, 0, 0.02);
    CHECK_NEAR(number(v, "q3.residual_gamma_d"), 0, 0, 0.02);
    CHECK_NEAR(number(v, "q3.ratio"), 1, 0, 0.03);

    Table bent = planted({});
    for (PtqRow& r : bent.ptq) r.delta = std::sqrt(r.predicted), r.delta_se = 0.01 * r.predicted;
    CHECK(judge_prediction(bent, Thresholds{}).outcome == Outcome::refuted);

    const Table noisy = planted({.higher_noise = 1.5}, {.D = {1e6, 1e7}, .P = {3, 4}, .seeds = 1});
    CHECK(judge_prediction(noisy, Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q3: a first-order term as large as the damage moves no slope and loses no row once it is measured") {
    const PlantedLaw law{.row_noise = 0.8, .higher_noise = 0.02};
    const Table table = planted(law);
    int negative = 0;
    for (const PtqRow& r : table.ptq) negative += r.delta < 0;
    REQUIRE(negative > 10);
    const Verdict v = judge_prediction(table, Thresholds{});
    CHECK(v.n == static_cast<int>(table.ptq.size()));
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, 1, 0, 0.005);
    CHECK(v.high - v.low < 0.01);
    CHECK(find_finding(v, "q3.slope.with_first_order") == nullptr);  // noise beyond half of any prediction

    Table unmeasured = table;
    for (PtqRow& r : unmeasured.ptq) r.gradient = NAN;
    const Verdict w = judge_prediction(unmeasured, Thresholds{});
    CHECK(number(w, "q3.dropped.not_positive") == negative);
    CHECK(w.high - w.low > 0.05);
  }

  TEST_CASE("Q3: with the first-order term left in the slope is the same, within a wider interval") {
    const Verdict v = judge_prediction(planted({.row_noise = 0.2, .higher_noise = 0.02}), Thresholds{});
    const Finding* plain = find_finding(v, "q3.slope.with_first_order");
    REQUIRE(plain != nullptr);
    CHECK(plain->low < 1);
    CHECK(1 < plain->high);
    CHECK(plain->high - plain->low > 2 * (v.high - v.low));
    Table gap = planted({.row_noise = 0.2});
    gap.ptq[0].gradient = NAN;
    CHECK(std::isfinite(
        number(judge_prediction(gap, Thresholds{}), fmt::format("q3.first_order_ratio.bits_{:g}", gap.ptq[0].P))));
    for (const double bits : {3.0, 6.0}) {
      const Finding* sum = find_finding(v, fmt::format("q3.first_order_ratio.bits_{:g}", bits));
      REQUIRE(sum != nullptr);
      CHECK(sum->low < 0);
      CHECK(sum->high > 0);
      CHECK_NEAR(sum->estimate, 0, 0, 0.1);
    }
  }

  TEST_CASE("Q3: the parts of the growth are the planted ones and add up to it exactly") {
    Table table = planted({.gamma_d = 0.8, .curvature_share = 0.25});
    for (std::size_t i = 0; i < table.ptq.size(); ++i) {
      PtqRow& r = table.ptq[i];
      r.quadratic *= std::pow(r.D, 0.07) * std::exp(0.1 * normal(Stream{51, Domain::test}, i));
    }
    const Verdict v = judge_prediction(table, Thresholds{});
    const double total = number(v, "q3.growth");
    const double curvature = number(v, "q3.growth.trace");
    const double step = number(v, "q3.growth.step");
    const double channels = number(v, "q3.growth.channels");
    const double alignment = number(v, "q3.growth.alignment");
    const double higher = number(v, "q3.growth.higher");
    CHECK_NEAR(curvature + step + channels + alignment + higher, total, 1e-10, 0);
    CHECK_NEAR(step, 0.6, 1e-9, 0);
    CHECK_NEAR(curvature, 0.2, 0, 0.03);
    CHECK_NEAR(channels, 0, 0, 0.03);
    CHECK_NEAR(alignment, 0.07, 0, 0.02);
    CHECK_NEAR(higher, -0.07, 0, 0.02);
  }

  TEST_CASE("Q3: the sum of all damages over the sum of predictions counts the negative ones") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta = r.predicted;
    table.ptq[0].delta = -table.ptq[0].predicted;
    double total = 0;
    for (const PtqRow& r : table.ptq) total += r.P == table.ptq[0].P ? r.predicted : 0;
    const Verdict v = judge_prediction(table, Thresholds{});
    CHECK_NEAR(number(v, fmt::format("q3.sum_ratio.bits_{:g}", table.ptq[0].P)), 1 - 2 * table.ptq[0].predicted / total,
               1e-12, 0);
    CHECK(number(v, "q3.dropped.not_positive") == 1);
  }

  TEST_CASE("Q3: rows without a quadratic part leave the split out, not the verdict") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.quadratic = NAN;
    const Verdict v = judge_prediction(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(find_finding(v, "q3.growth") == nullptr);
  }

  TEST_CASE(
      "Q4: a share far above the null is supported, one at the null refuted, scattered ones "
      "inconclusive") {
    CHECK(judge_directions(noise_rows(1, 4, 0.05), Thresholds{}).outcome == Outcome::supported);
    const Verdict null = judge_directions(noise_rows(1, 1, 0.05), Thresholds{});
    CHECK(null.outcome == Outcome::refuted);
    CHECK(null.n == 4);
    CHECK(judge_directions(noise_rows(1, 1.2, 0.7), Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE(
      "Q4: measured over predicted damage is reported per subspace, missing subspaces as controls "
      "not run") {
    const Verdict v = judge_directions(noise_rows(0.8, 1, 0.05), Thresholds{});
    for (const char* subspace : {"top", "random", "complement"})
      CHECK_NEAR(number(v, std::string("q4.ratio.") + subspace), 0.8, 1e-9, 0);
    CHECK(find_finding(v, "q4.ratio.isotropic") == nullptr);
    for (const ControlState& c : v.controls) CHECK(c.was_run == (c.control != Control::noise_isotropic));
  }

  TEST_CASE("Q1: arms other than main are no evidence") {
    Table table = planted({});
    const Verdict alone = judge_damage_growth(table, Thresholds{});
    for (PtqRow r : planted_ptq({}, {.gamma_d = -1})) {
      r.arm = "cosine";
      table.ptq.push_back(r);
    }
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(v.n == alone.n);
    CHECK(v.estimate == alone.estimate);
  }

  TEST_CASE("Q1: errors outside the fitted range tell a power from a form that levels off, AICc stands beside them") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta = -std::expm1(-std::pow(r.D / r.N / 30, 0.9)) * std::exp(-r.P / 0.6);
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(number(v, "q1.larger_ratio.error.saturating") < 0.2 * number(v, "q1.larger_ratio.error.exponential"));
    CHECK(number(v, "q1.larger_ratio.bias.exponential") < -0.3);
    CHECK(number(v, "q1.aicc.saturating") < number(v, "q1.aicc.exponential") - 10);
    CHECK(number(v, "q1.larger_size.error.saturating") < number(v, "q1.larger_size.error.exponential"));
    CHECK(control(v, Control::larger_ratio));
    const Verdict one_size = judge_damage_growth(planted({}, {.N = {1e5}}), Thresholds{});
    CHECK_FALSE(control(one_size, Control::larger_size));
  }

  TEST_CASE("Q1: forms that held-out errors cannot tell apart are said to be so") {
    const Verdict power = judge_damage_growth(planted({}), Thresholds{});
    const Verdict rough = judge_damage_growth(planted({.run_noise = 0.8}, {.D = {1e6, 1e7}}), Thresholds{});
    CHECK(rough.prose.find("cannot tell the power") != std::string::npos);
    CHECK(power.outcome == Outcome::supported);
    Table saturating = planted({});
    for (PtqRow& r : saturating.ptq) r.delta = -std::expm1(-std::pow(r.D / r.N / 30, 0.9)) * std::exp(-r.P / 0.6);
    const Verdict v = judge_damage_growth(saturating, Thresholds{});
    CHECK(v.prose.find("beaten beyond the interval by: saturating in D/N") != std::string::npos);
    CHECK(v.prose.find("cannot tell the power from: saturating in D/N") == std::string::npos);
  }

  TEST_CASE("Q1: the damage on windows of another corpus has its own exponent and its ratio to the model's own") {
    Table table = planted({.run_noise = 0});
    CHECK_FALSE(control(judge_damage_growth(table, Thresholds{}), Control::shifted_windows));
    for (const PtqRow& p : table.ptq) {
      ShiftRow r;
      static_cast<Subject&>(r) = p;
      r.shifted_data = "other";
      r.P = p.P;
      r.delta = 2 * p.delta * std::pow(p.D / 1e7, 0.2);
      r.delta_se = 0.02 * r.delta;
      table.shift.push_back(r);
    }
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(control(v, Control::shifted_windows));
    CHECK_NEAR(number(v, "q1.shifted.gamma_d"), v.estimate + 0.2, 0, 0.02);
    CHECK_NEAR(number(v, "q1.shifted.ratio"), 2, 0.05, 0);
    CHECK_NEAR(number(v, "q1.shifted.ratio.gamma_d"), 0.2, 1e-6, 0);
  }

  TEST_CASE("Q1: tuned branches are no part of the fit, and their distance from it is reported with an interval") {
    Table table = planted({});
    const Verdict alone = judge_damage_growth(table, Thresholds{});
    add_branch(table, "tuned", Kind::tuned, 0.5, 0.1, 0.02);
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(v.estimate == alone.estimate);
    const Finding* law = find_finding(v, "q1.tuned.law_distance");
    REQUIRE(law != nullptr);
    CHECK_NEAR(law->estimate, 0.5, 0, 0.05);
    CHECK(law->low > 0.4);
    CHECK_NEAR(number(v, "q1.tuned.line_distance"), 0.4, 0, 0.05);
    CHECK_FALSE(control(alone, Control::tuned_branches));
    CHECK(control(v, Control::tuned_branches));
  }

  TEST_CASE("Q1: trunks of other data have their own exponent and their distance from the line on the prediction") {
    Table table = planted({});
    const Verdict alone = judge_damage_growth(table, Thresholds{});
    CHECK_FALSE(control(alone, Control::other_data));
    for (PtqRow r : planted_ptq({.N = {1e5}, .seed = 3}, {.gamma_d = 0.9})) {
      r.arm = r.data = "source";
      r.delta *= std::exp(0.3);
      table.ptq.push_back(r);
    }
    const Verdict v = judge_damage_growth(table, Thresholds{});
    CHECK(v.estimate == alone.estimate);
    CHECK(control(v, Control::other_data));
    CHECK_NEAR(number(v, "q1.data.source.gamma_d"), 0.9, 0, 0.05);
    CHECK_NEAR(number(v, "q1.data.source.line_distance"), 0.3, 0, 0.05);
  }

  TEST_CASE("Q3: of single numbers the one that drives the damage predicts left-out cells best") {
    Table table = planted({});
    const Verdict v = judge_prediction(table, Thresholds{});
    CHECK(number(v, "q3.mediator.prediction") > 0.98);
    CHECK(number(v, "q3.mediator.prediction_as_is") > 0.98);
    CHECK(number(v, "q3.mediator.lambda_max") < 0.9);
    CHECK(v.prose.find("the best of the other") != std::string::npos);
    for (std::size_t i = 0; i < table.ptq.size(); ++i)
      table.ptq[i].delta = table.sharpness[i / 4].lambda_max * std::exp(-table.ptq[i].P);
    const Verdict other = judge_prediction(table, Thresholds{});
    CHECK(number(other, "q3.mediator.lambda_max") > 0.98);
    const Finding* margin = find_finding(other, "q3.mediator_margin.lambda_max");
    REQUIRE(margin != nullptr);
    CHECK(margin->high < 0);
  }

  TEST_CASE("Q3: without curvature the competing mediators are a missing control") {
    Table table = planted({});
    CHECK(control(judge_prediction(table, Thresholds{}), Control::mediators));
    table.sharpness.clear();
    CHECK_FALSE(control(judge_prediction(table, Thresholds{}), Control::mediators));
  }

  TEST_CASE("judge: no rows at all give an inconclusive verdict to every question with a reason") {
    const auto verdicts = judge({}, Thresholds{});
    REQUIRE(verdicts.size() == questions().size());
    for (std::size_t i = 0; i < verdicts.size(); ++i) CHECK(verdicts[i].id == question_ids[i]);
    for (const Verdict& v : verdicts) {
      CHECK(v.outcome == Outcome::inconclusive);
      CHECK(v.prose.find("Nothing can be said") != std::string::npos);
      CHECK(std::isnan(v.estimate));
    }
  }

  TEST_CASE("judge: rows of nothing but NaN give inconclusive verdicts") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta = r.predicted = NAN;
    for (SharpnessRow& r : table.sharpness) r.trace = r.lambda_max = r.weighted_trace = NAN;
    table.factorial = factorial(0, 0).factorial;
    for (FactorialRow& r : table.factorial) r.delta = NAN;
    table.noise = noise_rows(1, 1, 0).noise;
    for (NoiseRow& r : table.noise) r.delta = r.residual_share = NAN;
    for (const Verdict& v : judge(table, Thresholds{})) CHECK(v.outcome == Outcome::inconclusive);
  }

  TEST_CASE("judge: equal rows give equal bytes of JSON") {
    Table table = planted({}, {.D = {1e6, 1e7, 1e8}, .P = {3, 4}, .seeds = 2});
    add_cooled(table, 0.4, 0.4, 0.05);
    const auto few = Thresholds{};
    CHECK(to_json(judge(table, few)) == to_json(judge(table, few)));
  }
}
