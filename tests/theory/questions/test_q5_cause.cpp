#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Rows of another arm beside the main trunk, with damage and prediction moved by the given amounts in ln units.
void add_arm(Table& table, const std::string& arm, double delta_shift, double predicted_shift,
             const std::function<void(PtqRow&)>& change) {
  std::vector<PtqRow> rows;
  for (PtqRow r : table.ptq) {
    if (r.arm != "main") continue;
    r.run += arm;
    r.arm = arm;
    r.delta *= std::exp(delta_shift + 0.02 * normal(Stream{22, Domain::test}, rows.size()));
    r.predicted *= std::exp(predicted_shift);
    change(r);
    rows.push_back(r);
  }
  table.ptq.insert(table.ptq.end(), rows.begin(), rows.end());
}

/// The recorded recipe of the main arm.
Table recorded() {
  Table table = planted({});
  for (PtqRow& r : table.ptq) r.schedule = "constant", r.peak_lr = 3e-3, r.batch = 32, r.weight_decay = 0.1;
  return table;
}

/// A cosine run whose only checkpoint is the end of its horizon.
void as_cosine(PtqRow& r) {
  r.schedule = "cosine";
  r.horizon = r.D * 1.01;
  r.model = fmt::format("cosine {}", r.D);
}

/// Schemes of given and other coordinates, which divide errors, and damages by another factor.
void add_coordinates(Table& table, const std::string& scheme, double damage_factor, double error_factor) {
  for (const PtqRow& p : table.ptq) {
    if (p.D < 3e7 || p.arm != "main") continue;
    for (const bool is_other : {false, true}) {
      SchemeRow r;
      static_cast<Subject&>(r) = p;
      r.scheme = is_other ? scheme : "rtn";
      r.P = p.P;
      r.delta = p.delta / (is_other ? damage_factor : 1);
      r.delta_se = 0.01 * r.delta;
      r.quadratic = p.predicted / (is_other ? error_factor : 1);
      table.schemes.push_back(r);
    }
  }
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q5: damage that moves with its prediction is supported, damage that does not is refuted") {
    Table follows = planted({});
    add_cooled(follows, 0.4, 0.4, 0.05);
    const Verdict v = judge_cause(follows, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q5.damage.cooled"), 0.4, 0, 0.02);
    CHECK(control(v, Control::proportional_cooldowns));
    CHECK_FALSE(control(v, Control::fixed_cooldowns));
    Table stays = planted({});
    add_cooled(stays, 0, 0.6, 0.05);
    CHECK(judge_cause(stays, Thresholds{}).outcome == Outcome::refuted);
  }

  TEST_CASE("Q5: a cooldown that moves nothing, one of great scatter, and two cells are inconclusive") {
    Table nothing = planted({});
    add_cooled(nothing, 0, 0, 0.05);
    CHECK(judge_cause(nothing, Thresholds{}).outcome == Outcome::inconclusive);
    Table ignores = planted({});  // too small a change to tell following from ignoring
    add_cooled(ignores, 0.08, 0.08, 0.1);
    CHECK(judge_cause(ignores, Thresholds{}).outcome == Outcome::inconclusive);
    Table scattered = planted({}, {.N = {1e5}, .seeds = 1});
    add_cooled(scattered, 0.4, 0.4, 1);
    CHECK(judge_cause(scattered, Thresholds{}).outcome == Outcome::inconclusive);
    Table few = planted({}, {.N = {1e5}, .D = {1e6, 1e7}});
    add_cooled(few, 0.4, 0.4, 0.05);
    CHECK(judge_cause(few, Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q5: the trunk is interpolated between its checkpoints and never extrapolated") {
    PlantedLaw exact;
    exact.run_noise = exact.row_noise = exact.higher_noise = 0;
    Table table = planted(exact, {.seeds = 1});
    for (PtqRow r : planted_ptq({.D = {5e5, 2e6, 2e7, 5e7, 2e8}, .seeds = 1}, exact)) {
      r.variant = "cooled";
      r.kind = Kind::cooldown;
      r.delta *= std::exp(0.3);
      r.predicted *= std::exp(0.3);
      table.ptq.push_back(r);
    }
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(v.n == 3 * 3 * 4);
    CHECK(number(v, "q5.unmatched.cooled") == 2 * 3 * 4);
    CHECK_NEAR(number(v, "q5.damage.cooled"), 0.3, 1e-9, 0);
    CHECK_NEAR(v.estimate, 1, 0, 1e-9);
    CHECK_NEAR(number(v, "q5.largest_residual"), 0, 0, 1e-9);
  }

  TEST_CASE("Q5: errors of the traces flatten neither the dose-response nor the slope of the trunk") {
    Table table = planted({}, {.seeds = 12});
    add_cooled(table, 0.5, 0.5, 0.02);
    std::uint64_t draw = 0;
    for (PtqRow& r : table.ptq) {
      r.predicted *= std::exp(0.2 * normal(Stream{27, Domain::test}, draw++));
      r.predicted_se = 0.2 * r.predicted;
    }
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK_NEAR(v.estimate, 1, 0, 0.04);
    CHECK_NEAR(number(v, "q5.slope"), 1, 0, 0.06);
    for (PtqRow& r : table.ptq) r.predicted_se = NAN;  // without them the errors count as signal
    const Verdict blind = judge_cause(table, Thresholds{});
    CHECK(blind.estimate < v.estimate - 0.02);
  }

  TEST_CASE("Q5: a row whose prediction erred upwards weighs no more in the dose-response than its seeds") {
    Table table = planted({}, {.seeds = 40});
    add_cooled(table, 0.5, 0.5, 0.02);
    std::uint64_t draw = 0;
    for (PtqRow& r : table.ptq) {
      r.delta_se = 0.4 * r.predicted;  // far above the scatter, so that it sets the weights
      r.predicted *= std::exp(0.3 * normal(Stream{28, Domain::test}, draw++));
      r.predicted_se = 0.3 * r.predicted;
    }
    CHECK_NEAR(judge_cause(table, Thresholds{}).estimate, 1, 0, 0.04);
  }

  TEST_CASE("Q5: damage that follows tokens at fixed prediction is refuted, whatever the cooldown does") {
    Table table = planted({});
    for (PtqRow& r : table.ptq) r.delta *= std::pow(r.D / 1e7, 0.3);
    add_cooled(table, 0.4, 0.4, 0.02);
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.prose.find("still follows the tokens") != std::string::npos);
    CHECK_NEAR(number(v, "q5.gamma_d.residual.all_arms"), 0.3, 0, 0.03);
  }

  TEST_CASE("Q5: the exponents of damage, prediction and rest add up exactly in every arm") {
    Table table = recorded();
    add_arm(table, "cosine", 0.3, 0.3, as_cosine);
    const Verdict v = judge_cause(table, Thresholds{});
    for (const std::string arm : {"all_arms", "trunk", "cosine"})
      CHECK_NEAR(number(v, "q5.gamma_d.prediction." + arm) + number(v, "q5.gamma_d.residual." + arm),
                 number(v, "q5.gamma_d.damage." + arm), 1e-10, 0);
  }

  TEST_CASE("Q5: arms that move damage and prediction alike are supported, each under its own name") {
    Table table = recorded();
    add_arm(table, "cosine", 0.3, 0.3, as_cosine);
    add_arm(table, "lr", -0.4, -0.4, [](PtqRow& r) { r.peak_lr = 6e-3; });
    add_arm(table, "batch", 0.2, 0.2, [](PtqRow& r) { r.batch = 8; });
    add_arm(table, "decay", -0.2, -0.2, [](PtqRow& r) { r.weight_decay = 0; });
    add_arm(table, "flat", -0.4, -0.4, [](PtqRow& r) { r.sam_rho = 0.1; });
    add_arm(table, "numbers", 0.2, 0.2, [](PtqRow& r) { r.train_format = "bf16"; });
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q5.damage.cosine"), 0.3, 0, 0.02);
    CHECK_NEAR(number(v, "q5.damage.lr_lr_x2"), -0.4, 0, 0.02);
    CHECK_NEAR(number(v, "q5.damage.batch_batch_x0_25"), 0.2, 0, 0.02);
    CHECK_NEAR(number(v, "q5.damage.numbers_bf16"), 0.2, 0, 0.02);
    CHECK_NEAR(number(v, "q5.predicted.decay_decay_0"), -0.2, 0, 0.02);
    for (const Control done :
         {Control::cosine_ends, Control::other_rates, Control::other_batches, Control::other_decay})
      CHECK(control(v, done));
    CHECK_FALSE(control(v, Control::rotation));
    CHECK_FALSE(control(v, Control::weight_averages));
  }

  TEST_CASE("Q5: at equal loss an arm that only learns slower changes nothing") {
    Table table = recorded();
    for (PtqRow& r : table.ptq) r.loss = 3 - 0.1 * std::log(r.D / 1e5);
    const Table trunk = table;
    // As the trunk was with a third of the tokens: in loss, damage and prediction.
    add_arm(table, "slow", 0, 0, [&](PtqRow& r) {
      const auto early = std::find_if(trunk.ptq.begin(), trunk.ptq.end(), [&](const PtqRow& t) {
        return t.N == r.N && t.seed == r.seed && t.P == r.P && std::abs(std::log(r.D / t.D / 3)) < 0.3;
      });
      r.peak_lr = 1e-3;
      if (early == trunk.ptq.end())
        r.delta = NAN;
      else
        r.loss = early->loss, r.delta = early->delta, r.gradient = early->gradient, r.predicted = early->predicted;
    });
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(number(v, "q5.damage.slow_lr_x0_333") < -0.2);
    CHECK_NEAR(number(v, "q5.equal_loss.damage.slow_lr_x0_333"), 0, 0, 1e-9);
    CHECK_NEAR(number(v, "q5.equal_loss.predicted.slow_lr_x0_333"), 0, 0, 1e-9);
  }

  TEST_CASE("Q5: one arm whose damage leaves its prediction refutes, and is named") {
    Table table = recorded();
    add_arm(table, "cosine", 0.3, 0.3, as_cosine);
    add_arm(table, "lr", 0, 0.5, [](PtqRow& r) { r.peak_lr = 6e-3; });
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.prose.find("Beyond the tolerance: lr, learning rate x2") != std::string::npos);
    CHECK_NEAR(number(v, "q5.largest_residual"), -0.5, 0, 0.03);
  }

  TEST_CASE("Q5: checkpoints inside a decaying schedule, repeats of the main arm and other data are no contrasts") {
    Table table = recorded();
    add_arm(table, "cosine", 2, 0, [](PtqRow& r) { r.schedule = "cosine", r.horizon = 10 * r.D; });
    add_arm(table, "average", 2, 0, [](PtqRow&) {});
    add_arm(table, "source", 2, 0, [](PtqRow& r) { r.data = "other", r.peak_lr = 1e-3; });
    add_arm(table, "gpt2", 2, 0, [](PtqRow& r) { r.style = "gpt2", r.peak_lr = 1e-3; });  // Q17 compares these
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(v.n == 0);
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q5: a rotation that divides damage and errors alike is supported, one that leaves the damage refuted") {
    Table table = recorded();
    add_coordinates(table, "rotate+rtn", 1.6, 1.6);
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(control(v, Control::rotation));
    CHECK_NEAR(number(v, "q5.predicted.rotated"), -std::log(1.6), 1e-6, 0);
    Table ignored = recorded();
    add_coordinates(ignored, "rotate+rtn", 1, 1.6);
    CHECK(judge_cause(ignored, Thresholds{}).outcome == Outcome::refuted);
  }

  TEST_CASE("Q5: rescaled weights at equal function are a contrast of their own") {
    Table table = recorded();
    add_coordinates(table, "smooth+rtn", 0.7, 0.7);
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(control(v, Control::rescaling));
    CHECK_FALSE(control(v, Control::rotation));
    CHECK_NEAR(number(v, "q5.predicted.rescaled"), -std::log(0.7), 1e-6, 0);
    Table ignored = recorded();
    add_coordinates(ignored, "smooth+rtn", 1, 0.7);
    CHECK(judge_cause(ignored, Thresholds{}).outcome == Outcome::refuted);
  }

  TEST_CASE("Q5: rows of a branch without its kind are no trunk") {
    Table table = recorded();
    add_branch(table, "cooled", Kind::cooldown, 0.4, 0.4, 0.02);
    const Verdict v = judge_cause(table, Thresholds{});
    for (PtqRow& r : table.ptq) r.kind = Kind::trunk;
    CHECK(judge_cause(table, Thresholds{}).estimate == v.estimate);
    CHECK(v.outcome == Outcome::supported);
  }

  TEST_CASE("Q5: a cooldown is of one length where the study gave its tokens, whatever it is called") {
    Table table = recorded();
    add_branch(table, "cooled", Kind::cooldown, 0.4, 0.4, 0.02);
    for (PtqRow& r : table.ptq)
      if (r.kind == Kind::cooldown) r.branch_tokens = 1e6;
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(control(v, Control::fixed_cooldowns));
    CHECK_FALSE(control(v, Control::proportional_cooldowns));
  }

  TEST_CASE("Q5: averages are contrasts, tuned and low-precision rows are not") {
    Table table = recorded();
    add_branch(table, "ema", Kind::average, -0.3, -0.3, 0.02);
    const Verdict v = judge_cause(table, Thresholds{});
    CHECK(control(v, Control::weight_averages));
    CHECK(v.outcome == Outcome::supported);
    add_branch(table, "tuned", Kind::tuned, 2, 0, 0.02);
    add_branch(table, "low", Kind::lowered, 2, 0, 0.02);
    const Verdict same = judge_cause(table, Thresholds{});
    CHECK(same.n == v.n);
    CHECK(same.outcome == Outcome::supported);
  }
}
