#include "theory/questions.hpp"

#include <fmt/format.h>

#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"
#include "theory/noise.hpp"
#include "theory/solvable.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

std::vector<Threshold> quick(const std::map<std::string, double>& values = {}) {
  return with_values(default_thresholds(), values);
}

double detail(const Verdict& v, const std::string& name) {
  const Detail* d = find_detail(v, name);
  REQUIRE_MESSAGE(d != nullptr, name);
  return d->value;
}

Table planted(const PlantedLaw& law, const SyntheticGrid& grid = {}) {
  return {planted_ptq(grid, law), planted_sharpness(grid, law), {}, {}};
}

Subject subject_of(double n, double d, int seed, const std::string& variant) {
  return {"synthetic", "transformer", seed, n, d, variant};
}

/// Cooled rows at the trunk's own D with damage and prediction moved by the given amounts in ln
/// units.
void add_cooled(Table& table, double delta_shift, double predicted_shift, double noise) {
  std::vector<PtqRow> cooled;
  for (PtqRow r : table.ptq) {
    const double z = normal(Stream{21, Domain::test}, cooled.size());
    r.variant = "cooled";
    r.delta *= std::exp(delta_shift + noise * z);
    r.predicted *= std::exp(predicted_shift);
    cooled.push_back(r);
  }
  table.ptq.insert(table.ptq.end(), cooled.begin(), cooled.end());
}

/// A factorial in which quantizing both costs (1 + interaction) times the sum, with row noise.
Table factorial(double interaction, double noise) {
  Table table;
  std::uint64_t draw = 0;
  for (const double d : {1e6, 1e7, 1e8})
    for (int seed = 0; seed < 3; ++seed)
      for (const double w : {3.0, 4.0, 16.0})
        for (const double a : {3.0, 4.0, 16.0}) {
          const auto damage = [](double bits) { return bits < 16 ? std::exp(-bits) : 0; };
          const bool is_joint = w < 16 && a < 16;
          FactorialRow r;
          static_cast<Subject&>(r) = subject_of(1e5, d, seed, "trunk");
          r.w_bits = w;
          r.a_bits = a;
          r.delta = (damage(w) + damage(a)) * (is_joint ? 1 + interaction : 1) *
                    (1 + noise * normal(Stream{31, Domain::test}, draw++));
          r.delta_se = 0.01 * r.delta;
          table.factorial.push_back(r);
        }
  return table;
}

/// Noise rows with the given ratio of measured to predicted damage and of the residual's share to
/// its null; every checkpoint is of another seed.
Table noise_rows(double ratio, double share, double scatter) {
  Table table;
  double sign = 1;
  int seed = 0;
  for (const double d : {1e6, 3e6, 1e7, 1e8}) {
    sign = -sign;
    ++seed;
    for (const char* subspace : {"top", "random", "complement"})
      for (const double energy : {0.1, 1.0}) {
        NoiseRow r;
        static_cast<Subject&>(r) = subject_of(1e5, d, seed, "trunk");
        r.subspace = subspace;
        r.energy = energy;
        r.predicted = energy;
        r.delta = ratio * energy;
        r.delta_se = 0.01 * energy;
        r.null_share = 0.05;
        r.residual_share = 0.05 * share * std::exp(scatter * sign);
        table.noise.push_back(r);
      }
  }
  return table;
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q1: a planted law is supported with its exponents inside their intervals") {
    const Verdict v = judge_damage_growth(planted({}), quick());
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.low <= 0.5);
    CHECK(v.high >= 0.5);
    CHECK(v.n == 180);
    CHECK_NEAR(detail(v, "gamma_N"), 0.35, 0, 0.06);
    CHECK_NEAR(detail(v, "gamma_post"), 0.6, 0, 0.02);
    CHECK_NEAR(detail(v, "gamma_D at 3 bits"), 0.5, 0, 0.05);
    CHECK(detail(v, "held-out error: exponential in bits") < detail(v, "held-out error: power of bits"));
    CHECK(detail(v, "held-out error: exponential in bits") < detail(v, "held-out error: squared step"));
    CHECK(detail(v, "R2") > 0.98);
    const Detail* gamma_post = find_detail(v, "gamma_post");
    CHECK(gamma_post->low < gamma_post->value);
    CHECK(gamma_post->value < gamma_post->high);
  }

  TEST_CASE("Q1: the quadratic null is refuted, and its interval holds 0") {
    Table table;
    table.ptq = quadratic_null({});
    const Verdict v = judge_damage_growth(table, quick());
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.low <= 0);
    CHECK(v.high >= 0);
  }

  TEST_CASE("Q1: shrinking damage is refuted, noise is inconclusive") {
    CHECK(judge_damage_growth(planted({.gamma_d = -0.5}), quick()).outcome == Outcome::refuted);
    const Verdict noise = judge_damage_growth(planted({.gamma_d = 0.1, .run_noise = 1.5}, {.seeds = 1}), quick());
    CHECK(noise.outcome == Outcome::inconclusive);
    CHECK(noise.high - noise.low > 0.2);
  }

  TEST_CASE("Q1: damage that levels off in D/N is refuted although its exponent is above 0") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta = -std::expm1(-std::pow(r.D / r.N / 30, 0.9)) * std::exp(-r.P / 0.6);
    const Verdict v = judge_damage_growth(table, quick());
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
    const Verdict v = judge_damage_growth(table, quick({{"form_margin", 0.01}}));
    CHECK(v.low > 0);
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.prose.find("not as one power") != std::string::npos);
    CHECK_NEAR(detail(v, "quadratic term in ln D"), -0.15, 0, 0.02);
    CHECK(detail(v, "exponent between the last two checkpoints") < v.estimate - 0.3);
  }

  TEST_CASE("Q1: rows of equal size but another model are other cells, and mixed schedules are a missing control") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.schedule = "constant", r.peak_lr = 3e-3;
    const auto control = [](const Verdict& v, const std::string& name) {
      for (const Control& c : v.controls)
        if (c.name.find(name) != std::string::npos) return c.was_run;
      return false;
    };
    const Verdict one = judge_damage_growth(table, quick());
    CHECK(control(one, "one schedule"));
    CHECK(control(one, "one peak learning rate"));
    for (size_t i = 0; i < table.ptq.size(); i += 2) {
      table.ptq[i].model = "other";
      table.ptq[i].schedule = "cosine";
      table.ptq[i].peak_lr = 1e-3;
    }
    const Verdict two = judge_damage_growth(table, quick());
    CHECK(!control(two, "one schedule"));
    CHECK(!control(two, "one peak learning rate"));
    CHECK(two.prose.find("cells") != std::string::npos);
    CHECK(two.prose != one.prose);
  }

  TEST_CASE("Q1: rows that are NaN, negative or below the noise are dropped and counted") {
    Table table = planted({});
    table.ptq[0].delta = NAN;
    table.ptq[1].D = NAN;
    table.ptq[2].delta = -0.1;
    table.ptq[3].delta_se = table.ptq[3].delta;
    const Verdict v = judge_damage_growth(table, quick());
    CHECK(v.n == 176);
    CHECK(detail(v, "rows dropped: not finite") == 2);
    CHECK(detail(v, "rows dropped: not positive") == 1);
    CHECK(detail(v, "rows dropped: below the noise") == 1);
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.prose.find("left out") != std::string::npos);
  }

  TEST_CASE("Q1: tokens proportional to model size are inconclusive, and the prose says why") {
    Table table;
    for (const double n : {1e4, 3e4, 1e5, 3e5})
      for (const PtqRow& r : planted_ptq({.N = {n}, .D = {20 * n}}, {})) table.ptq.push_back(r);
    const Verdict v = judge_damage_growth(table, quick());
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(std::isnan(v.estimate));
    CHECK(v.prose.find("move together") != std::string::npos);
  }

  TEST_CASE("Q1: other architectures, variants and bits are no evidence") {
    Table table = planted({}, {.P = {2, 8}});
    CHECK(judge_damage_growth(table, quick()).n == 0);
    table = planted({});
    for (std::size_t i = 0; i < table.ptq.size(); ++i)
      (i % 2 == 0 ? table.ptq[i].architecture : table.ptq[i].variant) = i % 2 == 0 ? "mlp" : "cooled";
    CHECK(judge_damage_growth(table, quick()).n == 0);
  }

  TEST_CASE("Q2: a planted trace is supported, a flat one refuted, a noisy one inconclusive") {
    const Verdict v = judge_sharpness_growth(planted({}), quick());
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, 0.3, 0, 0.04);
    CHECK(detail(v, "held-out error: saturating, lambda_max") < 0.8 * detail(v, "held-out error: power, lambda_max"));
    CHECK(judge_sharpness_growth(planted({.curvature_share = 0}), quick()).outcome == Outcome::refuted);
    CHECK(judge_sharpness_growth(planted({.curvature_share = 0.1, .run_noise = 2}, {.seeds = 1}), quick()).outcome ==
          Outcome::inconclusive);
  }

  TEST_CASE(
      "Q3: a right prediction is supported, damage as its square root refuted, few noisy rows "
      "inconclusive") {
    const Verdict v = judge_prediction(planted({}), quick());
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, 1, 0, 0.02);
    CHECK_NEAR(detail(v, "exponent of D at fixed prediction"), 0, 0, 0.02);
    CHECK_NEAR(detail(v, "measured over predicted damage"), 1, 0, 0.03);

    Table bent = planted({});
    for (PtqRow& r : bent.ptq) r.delta = std::sqrt(r.predicted), r.delta_se = 0.01 * r.predicted;
    CHECK(judge_prediction(bent, quick()).outcome == Outcome::refuted);

    const Table noisy = planted({.row_noise = 1.5}, {.D = {1e6, 1e7}, .P = {3, 4}, .seeds = 1});
    CHECK(judge_prediction(noisy, quick()).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q3: the parts of the growth are the planted ones and add up to it exactly") {
    Table table = planted({.gamma_d = 0.8, .curvature_share = 0.25});
    for (std::size_t i = 0; i < table.ptq.size(); ++i) {
      PtqRow& r = table.ptq[i];
      r.quadratic *= std::pow(r.D, 0.07) * std::exp(0.1 * normal(Stream{51, Domain::test}, i));
    }
    const Verdict v = judge_prediction(table, quick());
    const double total = detail(v, "d ln delta/d ln D");
    const double curvature = detail(v, "d ln delta/d ln D: weighted trace");
    const double step = detail(v, "d ln delta/d ln D: squared step");
    const double alignment = detail(v, "d ln delta/d ln D: alignment");
    const double higher = detail(v, "d ln delta/d ln D: first and higher order");
    CHECK_NEAR(curvature + step + alignment + higher, total, 1e-10, 0);
    CHECK_NEAR(step, 0.6, 1e-9, 0);
    CHECK_NEAR(curvature, 0.2, 0, 0.03);
    CHECK_NEAR(alignment, 0.07, 0, 0.02);
    CHECK_NEAR(higher, -0.07, 0, 0.02);
  }

  TEST_CASE("Q3: the sum of all damages over the sum of predictions counts the negative ones") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta = r.predicted;
    table.ptq[0].delta = -table.ptq[0].predicted;
    double total = 0;
    for (const PtqRow& r : table.ptq) total += r.P == table.ptq[0].P ? r.predicted : 0;
    const Verdict v = judge_prediction(table, quick());
    CHECK_NEAR(detail(v, fmt::format("sum of damage over sum of prediction at {:g} bits", table.ptq[0].P)),
               1 - 2 * table.ptq[0].predicted / total, 1e-12, 0);
    CHECK(detail(v, "rows dropped: not positive") == 1);
  }

  TEST_CASE("Q3: rows without a quadratic part leave the split out, not the verdict") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.quadratic = NAN;
    const Verdict v = judge_prediction(table, quick());
    CHECK(v.outcome == Outcome::supported);
    CHECK(find_detail(v, "d ln delta/d ln D") == nullptr);
  }

  TEST_CASE(
      "Q4: a share far above the null is supported, one at the null refuted, scattered ones "
      "inconclusive") {
    CHECK(judge_directions(noise_rows(1, 4, 0.05), quick()).outcome == Outcome::supported);
    const Verdict null = judge_directions(noise_rows(1, 1, 0.05), quick());
    CHECK(null.outcome == Outcome::refuted);
    CHECK(null.n == 4);
    CHECK(judge_directions(noise_rows(1, 1.2, 0.7), quick()).outcome == Outcome::inconclusive);
  }

  TEST_CASE(
      "Q4: measured over predicted damage is reported per subspace, missing subspaces as controls "
      "not run") {
    const Verdict v = judge_directions(noise_rows(0.8, 1, 0.05), quick());
    for (const char* subspace : {"top", "random", "complement"})
      CHECK_NEAR(detail(v, std::string("measured over predicted, ") + subspace), 0.8, 1e-9, 0);
    CHECK(find_detail(v, "measured over predicted, isotropic") == nullptr);
    for (const Control& c : v.controls) CHECK(c.was_run == (c.name.find("isotropic") == std::string::npos));
  }

  TEST_CASE("Q5: damage that moves with its prediction is supported, damage that does not is refuted") {
    Table follows = planted({});
    add_cooled(follows, 0.4, 0.4, 0.05);
    const Verdict v = judge_cooldown(follows, quick());
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(detail(v, "ln delta, cooled - trunk"), 0.4, 0, 0.02);
    Table stays = planted({});
    add_cooled(stays, 0, 0.6, 0.05);
    CHECK(judge_cooldown(stays, quick()).outcome == Outcome::refuted);
  }

  TEST_CASE("Q5: a cooldown that moves nothing, one of great scatter, and two cells are inconclusive") {
    Table nothing = planted({});
    add_cooled(nothing, 0, 0, 0.05);
    CHECK(judge_cooldown(nothing, quick()).outcome == Outcome::inconclusive);
    Table ignores = planted({});  // too small a change to tell following from ignoring
    add_cooled(ignores, 0.08, 0.08, 0.01);
    CHECK(judge_cooldown(ignores, quick()).outcome == Outcome::inconclusive);
    Table scattered = planted({}, {.N = {1e5}, .seeds = 1});
    add_cooled(scattered, 0.4, 0.4, 1);
    CHECK(judge_cooldown(scattered, quick()).outcome == Outcome::inconclusive);
    Table few = planted({}, {.N = {1e5}, .D = {1e6, 1e7}});
    add_cooled(few, 0.4, 0.4, 0.05);
    CHECK(judge_cooldown(few, quick()).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q5: the trunk is interpolated between its checkpoints and never extrapolated") {
    PlantedLaw exact;
    exact.run_noise = exact.row_noise = 0;
    Table table = planted(exact, {.seeds = 1});
    for (PtqRow r : planted_ptq({.D = {5e5, 2e6, 2e7, 5e7, 2e8}, .seeds = 1}, exact)) {
      r.variant = "cooled";
      r.delta *= std::exp(0.3);
      r.predicted *= std::exp(0.3);
      table.ptq.push_back(r);
    }
    const Verdict v = judge_cooldown(table, quick());
    CHECK(v.n == 3 * 3 * 4);
    CHECK(detail(v, "cooled rows without a trunk at the same tokens") == 2 * 3 * 4);
    CHECK_NEAR(detail(v, "ln delta, cooled - trunk"), 0.3, 1e-9, 0);
    CHECK_NEAR(v.estimate, 0, 0, 1e-9);
  }

  TEST_CASE("Q6: no interaction is supported, a large one refuted, a noisy one inconclusive") {
    const Verdict v = judge_composition(factorial(0, 0.01), quick());
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.n == 36);
    CHECK(judge_composition(factorial(-0.3, 0.01), quick()).outcome == Outcome::refuted);
    CHECK(judge_composition(factorial(0.3, 0.01), quick()).outcome == Outcome::refuted);
    CHECK(judge_composition(factorial(0.1, 0.5), quick()).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q6: pairs in which one site dominates are left out and counted") {
    Table table = factorial(0.5, 0);
    for (FactorialRow& r : table.factorial)
      if (r.a_bits < 16) r.a_bits = r.a_bits + 4;  // 7 and 8 bits: no damage of their own
    for (FactorialRow& r : table.factorial)
      if (r.a_bits < 16) r.delta = r.w_bits < 16 ? std::exp(-r.w_bits) : 1e-6;
    const Verdict v = judge_composition(table, quick());
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.n == 0);
    CHECK(detail(v, "pairs dropped: one site dominates the sum") == 36);
  }

  TEST_CASE("Q6: the interaction of each pair of bits stands beside that of independent noise") {
    const Verdict v = judge_composition(factorial(0.0325, 0), quick());
    CHECK_NEAR(detail(v, "relative interaction W3A3"), 0.0325, 1e-9, 0);
    CHECK_NEAR(detail(v, "relative interaction W3A4"), 0.0325, 1e-9, 0);
    CHECK_NEAR(detail(v, "predicted by (1+nu_w)(1+nu_a) W3A3"), rtn_relative_mse(3, 64) / 2, 1e-12, 0);
    CHECK(find_detail(v, "relative interaction W16A3") == nullptr);
  }

  TEST_CASE("judge: no rows at all give six inconclusive verdicts with a reason") {
    const auto verdicts = judge({}, quick());
    REQUIRE(verdicts.size() == 6);
    for (const Verdict& v : verdicts) {
      CHECK(v.outcome == Outcome::inconclusive);
      CHECK(v.prose.find("Nothing can be said") != std::string::npos);
      CHECK(std::isnan(v.estimate));
    }
  }

  TEST_CASE("judge: rows of nothing but NaN give six inconclusive verdicts") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta = r.predicted = NAN;
    for (SharpnessRow& r : table.sharpness) r.trace = r.lambda_max = r.weighted_trace = NAN;
    table.factorial = factorial(0, 0).factorial;
    for (FactorialRow& r : table.factorial) r.delta = NAN;
    table.noise = noise_rows(1, 1, 0).noise;
    for (NoiseRow& r : table.noise) r.delta = r.residual_share = NAN;
    for (const Verdict& v : judge(table, quick())) CHECK(v.outcome == Outcome::inconclusive);
  }

  TEST_CASE("judge: equal rows give equal bytes of JSON") {
    Table table = planted({});
    add_cooled(table, 0.4, 0.4, 0.05);
    const auto few = quick();
    CHECK(to_json(judge(table, few)) == to_json(judge(table, few)));
  }
}
