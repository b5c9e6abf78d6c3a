#include "theory/questions/verdict.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"

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
  v.prose = "Two\nlines.";
  v.controls = {{"seeds", true}, {"schedules", false}};
  v.n = 12;
  v.details = {{"R2", 0.97, NAN, NAN}, {"gamma_N", 0.3, 0.2, 0.4}};
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
    CHECK(same(w.high, v.high));
    CHECK(same(w.level, v.level));
    REQUIRE(w.thresholds.size() == 1);
    CHECK(w.thresholds[0].name == v.thresholds[0].name);
    CHECK(w.thresholds[0].meaning == v.thresholds[0].meaning);
    REQUIRE(w.controls.size() == 2);
    CHECK(w.controls[0].was_run);
    CHECK_FALSE(w.controls[1].was_run);
    REQUIRE(w.details.size() == 2);
    CHECK(same(w.details[0].low, NAN));
    CHECK(same(w.details[1].high, 0.4));
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
    for (const std::string& text : {std::string("{"), with("refuted", "rejected"), with("\"prose\"", "\"prosa\""),
                                    with("\"schema\": 1", "\"schema\": 99"), with("\"n\": 12", "\"n\": \"x\"")}) {
      CHECK_THROWS_AS(verdicts_from_json(text, "a.json"), FormatError);
      CHECK_THROWS_WITH(verdicts_from_json(text, "a.json"), doctest::Contains("a.json"));
    }
  }

  TEST_CASE("with_values: replaces known names, rejects unknown ones with a suggestion and NaN") {
    const auto t = with_values(default_thresholds(), {{"q3_tolerance", 0.25}});
    CHECK(value_of(t, "q3_tolerance") == 0.25);
    CHECK(value_of(t, "q5_tolerance") == value_of(default_thresholds(), "q5_tolerance"));
    CHECK_THROWS_WITH_AS(with_values(t, {{"q3_tolerence", 1}}), doctest::Contains("q3_tolerance"), OptionError);
    CHECK_THROWS_AS(with_values(t, {{"q3_tolerance", NAN}}), OptionError);
    CHECK_THROWS_AS(value_of(t, "none"), ContractError);
  }
}
