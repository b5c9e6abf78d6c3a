#include "theory/questions/growth.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

constexpr double tokens_per_update = 4096;

/// A table whose damage and trace are those of a flat world times `level` of each checkpoint.
template <class Level>
Table shaped(const Level& level, double noise = 0.05) {
  Table table = planted({.gamma_d = 0, .run_noise = noise});
  for (SharpnessRow& r : table.sharpness) r.step = r.D / tokens_per_update, r.trace *= level(r);
  for (PtqRow& r : table.ptq) {
    r.step = r.D / tokens_per_update;
    const double factor = level(r);
    r.delta *= factor, r.delta_se *= factor, r.gradient *= factor, r.predicted *= factor, r.predicted_se *= factor;
  }
  return table;
}

/// Levels off at a place in tokens that all sizes share.
constexpr double place = 8e6;
double levelling(const Subject& s) { return -std::expm1(-std::pow(s.D / place, 0.9)); }

/// The verdicts of Q1 and Q2.
std::array<Verdict, 2> growth_of(const Table& table, const Thresholds& thresholds = {}) {
  return {judge_damage_growth(table, thresholds), judge_sharpness_growth(table, thresholds)};
}

std::string key(const Verdict& v, const std::string& rest) { return key_word(v.id) + "." + rest; }

void check_holds(const Verdict& v, const std::string& name, double planted) {
  const Finding* found = find_finding(v, name);
  REQUIRE_MESSAGE(found != nullptr, name);
  CHECK_MESSAGE(found->low < planted, name);
  CHECK_MESSAGE(planted < found->high, name);
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q1, Q2: what levels off at common tokens is refuted as levelling off in D, which D/N does not see") {
    for (const Verdict& v : growth_of(shaped(levelling))) {
      INFO(v.id);
      CHECK(v.outcome == Outcome::refuted);
      CHECK(v.low > 0);
      CHECK(v.answer == "It grows and then levels off.");
      CHECK(v.prose.find("the form saturating in D levels off") != std::string::npos);
      const double power = number(v, key(v, "forms.power.held_out"));
      CHECK(number(v, key(v, "forms.saturating_d.held_out")) < 0.8 * power);
      CHECK(number(v, key(v, "forms.saturating_ratio.held_out")) > 0.8 * power);
      CHECK(find_finding(v, key(v, "forms.saturating_d.difference"))->low > 0);
      CHECK(number(v, key(v, "forms.none.held_out")) > power);
      check_holds(v, key(v, "plateau.place"), place);
      check_holds(v, key(v, "plateau.place.n_100000"), place);
      CHECK(v.prose.find("1 - 1/e of its plateau") != std::string::npos);
    }
  }

  TEST_CASE("Q2: the level of the plateau is the planted one, over all and for each size") {
    const Verdict v = judge_sharpness_growth(shaped(levelling), Thresholds{});
    const double level = -0.35 * (std::log(3e4) + std::log(1e5) + std::log(3e5)) / 3;  // gamma_N of the planted law
    check_holds(v, "q2.plateau.level", level);
    for (const double n : {3e4, 1e5, 3e5})
      check_holds(v, fmt::format("q2.plateau.level.n_{:g}", n), -0.35 * std::log(n));
  }

  TEST_CASE("Q1, Q2: a power shows no plateau, is supported, and says that it is a power") {
    Table table = planted({});
    for (const Verdict& v : growth_of(table)) {
      INFO(v.id);
      CHECK(v.outcome == Outcome::supported);
      CHECK(v.answer == "It grows as a power of the tokens.");
      CHECK(find_finding(v, key(v, "plateau.place")) == nullptr);
      CHECK(find_finding(v, key(v, "forms.none.difference"))->high < 0);
      CHECK_FALSE(control(v, Control::updates_apart));
      CHECK(find_finding(v, key(v, "indistinguishable.saturating_updates")) == nullptr);  // updates are not known
    }
  }

  TEST_CASE("Q1, Q2: what is flat does not grow, and what scatters is not decided") {
    for (const Verdict& v : growth_of(shaped([](const Subject&) { return 1.0; }))) {
      INFO(v.id);
      CHECK(v.outcome == Outcome::refuted);
      CHECK(v.answer == "It does not grow.");
      CHECK(number(v, key(v, "forms.none.held_out")) < 1.05 * number(v, key(v, "forms.power.held_out")));
    }
    Table rough = planted({.run_noise = 2}, {.D = {1e6, 3e6, 1e7}, .seeds = 1});
    for (const Verdict& v : growth_of(rough)) {
      INFO(v.id);
      CHECK(v.outcome == Outcome::inconclusive);
      CHECK(v.answer.find("not decided") != std::string::npos);
    }
  }

  TEST_CASE("Q1, Q2: where every update has equally many tokens, updates are named as no variable of their own") {
    for (const Verdict& v : growth_of(shaped(levelling))) {
      CHECK(number(v, key(v, "indistinguishable.saturating_updates")) == tokens_per_update);
      CHECK(find_finding(v, key(v, "forms.saturating_updates.held_out")) == nullptr);
      CHECK_FALSE(control(v, Control::updates_apart));
      CHECK(v.prose.find("cannot tell updates from tokens") != std::string::npos);
    }
  }

  TEST_CASE("Q2: a trace that levels off at common updates is told from tokens once batches differ") {
    Table table = shaped([](const Subject&) { return 1.0; }, 0.02);
    for (SharpnessRow& r : table.sharpness) {
      r.batch = r.seed == 0 ? 8 : r.seed == 1 ? 32 : 128;
      r.step = r.D / (128 * r.batch);
      r.trace *= -std::expm1(-std::pow(r.step / 2000, 0.9));
    }
    const Verdict v = judge_sharpness_growth(table, Thresholds{});
    CHECK(control(v, Control::updates_apart));
    CHECK(v.answer == "It grows and then levels off.");
    CHECK(v.prose.find("saturating in updates") != std::string::npos);
    CHECK(number(v, "q2.forms.saturating_updates.held_out") < 0.5 * number(v, "q2.forms.saturating_d.held_out"));
  }

  TEST_CASE("rules: growth that bends levels off only where its last exponent counts as none") {
    const Thresholds t;
    const auto reason = [&](double low, double high) {
      const Interval exponent{0.5, 0.4, 0.6, 0}, change{-1, -1.1, -0.9, 0};
      return sharpness_growth_rule().reason({exponent, false, true, change, {(low + high) / 2, low, high, 0}}, t);
    };
    CHECK(reason(-0.05, 0.05) == GrowthReason::levels_off);
    CHECK(reason(-0.3, 0.3) == GrowthReason::bends);
    CHECK(reason(0.2, 0.3) == GrowthReason::bends);
    CHECK(reason(NAN, NAN) == GrowthReason::bends);
  }
}
