#include "theory/questions/verdict.hpp"

#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "theory/questions/rules.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Verdict sample() {
  Verdict v;
  v.id = "Q1";
  v.question = "Does it \"grow\"?";
  v.hypothesis = "it grows";
  v.estimate = 0.1 + 0.2;
  v.low = NAN;
  v.high = 1e300;
  v.rule = "low > 0 ± 0.1";
  v.thresholds = {{"q1_gamma_d_min", 0, "minimum"}};
  v.outcome = Outcome::refuted;
  v.p_value = 1e-17, v.p_holm = 0.1 + 0.2, v.is_primary = false;
  v.prose = "Two\nlines.";
  v.controls = {{Control::several_seeds, true}, {Control::one_schedule, false}};
  v.n = 12;
  v.estimate_key = "q1.gamma_d", v.estimate_label = "gamma_D", v.unit = "1";
  v.findings = {{"q1.r2", "R2", 0.97, NAN, NAN, "1"}, {"q1.gamma_n", "gamma_N", 0.3, 0.2, 0.4, "1"}};
  return v;
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = to_json({sample()});
  text.replace(text.find(from), from.size(), to);
  return text;
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

TEST_SUITE("verdict") {
  TEST_CASE("to_json: a round trip keeps every field and every bit, NaN included") {
    const Verdict v = sample();
    const auto back = verdicts_from_json(to_json({v, Verdict{}}), "test");
    REQUIRE(back.size() == 2);
    const Verdict& w = back[0];
    CHECK(w.id == v.id);
    CHECK(w.question == v.question);
    CHECK(w.hypothesis == v.hypothesis);
    CHECK(w.prose == v.prose);
    CHECK(w.rule == v.rule);
    CHECK(w.outcome == v.outcome);
    CHECK(w.n == v.n);
    CHECK(same(w.estimate, v.estimate));
    CHECK(same(w.low, v.low));
    CHECK(same(w.p_value, v.p_value));
    CHECK(same(w.p_holm, v.p_holm));
    CHECK(w.is_primary == v.is_primary);
    CHECK(same(w.high, v.high));
    CHECK(same(w.level, v.level));
    REQUIRE(w.thresholds.size() == 1);
    CHECK(w.thresholds[0].name == v.thresholds[0].name);
    CHECK(w.thresholds[0].meaning == v.thresholds[0].meaning);
    REQUIRE(w.controls.size() == 2);
    CHECK(w.estimate_key == "q1.gamma_d");
    CHECK(w.controls[0].control == Control::several_seeds);
    CHECK(w.controls[0].was_run);
    CHECK_FALSE(w.controls[1].was_run);
    REQUIRE(w.findings.size() == 2);
    CHECK(same(w.findings[0].low, NAN));
    CHECK(same(w.findings[1].high, 0.4));
    CHECK(to_json(back) == to_json({v, Verdict{}}));
  }

  TEST_CASE("to_json: a number that is not finite is written as null") {
    CHECK(to_json({sample()}).find("\"low\": null") != std::string::npos);
    Verdict v = sample();
    v.estimate = INFINITY;
    CHECK(to_json({v}).find("\"estimate\": null") != std::string::npos);
  }

  TEST_CASE(
      "verdicts_from_json: broken text, unknown outcome, missing field, other schema -> "
      "FormatError with source") {
    for (const std::string& text :
         {std::string("{"), with("refuted", "rejected"), with("\"prose\"", "\"prosa\""), with("several_seeds", "seeds"),
          with("\"schema\": 4", "\"schema\": 99"), with("\"n\": 12", "\"n\": \"x\"")}) {
      CHECK_THROWS_AS(verdicts_from_json(text, "a.json"), FormatError);
      CHECK_THROWS_WITH(verdicts_from_json(text, "a.json"), doctest::Contains("a.json"));
    }
  }

  TEST_CASE("recorded: the listed thresholds with their values and meanings, in the order of the list") {
    const Thresholds t{.q3_tolerance = 0.25};
    const auto records = recorded(t, {&Thresholds::q3_tolerance, &Thresholds::level});
    REQUIRE(records.size() == 2);
    CHECK(records[0].name == "q3_tolerance");
    CHECK(records[0].value == 0.25);
    CHECK(records[1].name == "level");
    CHECK_FALSE(records[1].meaning.empty());
  }

  TEST_CASE("Thresholds: each default lies in its bounds, no name twice, and every field is visited") {
    std::set<std::string> names;
    std::size_t count = 0;
    Thresholds{}.fields([&](const char* name, const double& value, Bounds bounds, const char*) {
      names.insert(name), ++count;
      CHECK(bounds.low <= value);
      CHECK(value <= bounds.high);
    });
    CHECK(names.size() == count);
    CHECK(count == sizeof(Thresholds) / sizeof(double));
  }

  TEST_CASE("key_word: letters and digits, small, one underscore between words") {
    CHECK(key_word("lr, learning rate x0.25, cooled") == "lr_learning_rate_x0_25_cooled");
    CHECK(key_word("W3A4KV16") == "w3a4kv16");
    CHECK(key_word(" ± ").empty());
  }

  TEST_CASE("controls: keys and labels are all different") {
    std::set<std::string_view> keys, labels;
    for (const Control c : all_controls()) keys.insert(key_of(c)), labels.insert(label_of(c));
    CHECK(keys.size() == all_controls().size());
    CHECK(labels.size() == all_controls().size());
  }

  TEST_CASE("rules: growth is decided by the interval, and refuted where it levels off or bends") {
    const Thresholds t;
    const auto growth = [&](double low, double high, bool saturates = false, bool bends = false) {
      return damage_growth_rule()({{(low + high) / 2, low, high, 0}, saturates, bends}, t);
    };
    CHECK(growth(0.4, 0.6) == Outcome::supported);
    CHECK(growth(0.4, 0.6, true) == Outcome::refuted);
    CHECK(growth(0.4, 0.6, false, true) == Outcome::refuted);
    CHECK(growth(-0.6, -0.4) == Outcome::refuted);
    CHECK(growth(-0.05, 0.05) == Outcome::refuted);
    CHECK(growth(-0.5, 0.5) == Outcome::inconclusive);
    CHECK(growth(NAN, NAN) == Outcome::inconclusive);
  }

  TEST_CASE("rules: a band supports inside, refutes outside, and leaves open what crosses an end") {
    const Thresholds t;
    const auto slope = [&](double low, double high) { return prediction_rule()({(low + high) / 2, low, high, 0}, t); };
    CHECK(slope(0.95, 1.05) == Outcome::supported);
    CHECK(slope(1.2, 1.3) == Outcome::refuted);
    CHECK(slope(0.8, 1.0) == Outcome::inconclusive);
    CHECK(slope(NAN, NAN) == Outcome::inconclusive);
    CHECK(prediction_rule().bar(t) == "1 ± 0.1");
    CHECK_NEAR(prediction_rule().margin(1.03, t), 0.07, 1e-12, 0);
    CHECK(damage_growth_rule().bar(t) == "above 0");
  }
}
