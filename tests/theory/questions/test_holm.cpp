#include "theory/questions/holm.hpp"

#include <algorithm>

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/findings.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Interval interval_of(double estimate, double error, double freedom, double t, int family = 1) {
  return {estimate, estimate - t * error, estimate + t * error, 0, error, freedom, family};
}

/// A verdict with an interval; p NaN where it is undecided.
Verdict verdict_of(const char* id, Outcome outcome, double p) {
  Verdict v;
  v.id = id, v.outcome = outcome, v.p_value = p;
  v.estimate = 1, v.low = 0.5, v.high = 1.5;
  v.answer = "Yes.", v.prose = "Numbers.";
  return v;
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("holm: the step-down by hand, alone and among tests that are not listed") {
    const std::vector<double> p{0.01, 0.04, 0.03, 0.005};
    const std::vector<double> of_four{0.03, 0.06, 0.06, 0.02};  // 3 x 0.01, max(0.06, 1 x 0.04), 2 x 0.03, 4 x 0.005
    const std::vector<double> of_six{0.05, 0.12, 0.12, 0.03};   // 5 x 0.01, 3 x 0.04, 4 x 0.03, 6 x 0.005
    const auto four = holm(p, 4), six = holm(p, 6);
    for (std::size_t i = 0; i < p.size(); ++i) {
      CHECK_NEAR(four[i], of_four[i], 1e-12, 0);
      CHECK_NEAR(six[i], of_six[i], 1e-12, 0);
    }
    CHECK(holm({}, 3).empty());
    CHECK(holm({0.7, 0.6}, 2) == std::vector<double>{1, 1});
  }

  TEST_CASE("holm: adjusted p-values keep the order, are not below their own and grow with the family") {
    for (std::uint64_t trial = 0; trial < 50; ++trial) {
      std::vector<double> p;
      for (std::uint64_t i = 0; i < 8; ++i) p.push_back(std::pow(std::abs(std::sin(1 + double(8 * trial + i))), 3));
      const auto small = holm(p, 8), large = holm(p, 11);
      for (std::size_t i = 0; i < p.size(); ++i) {
        CHECK(small[i] >= p[i]);
        CHECK(large[i] >= small[i]);
        CHECK(large[i] <= 1);
        for (std::size_t j = 0; j < p.size(); ++j)
          if (p[i] < p[j]) CHECK(small[i] <= small[j]);
      }
    }
  }

  TEST_CASE("p_beyond: Student's t of two degrees of freedom in closed form, times the family") {
    const auto two_sided = [](double t) { return 1 - t / std::sqrt(2 + t * t); };
    CHECK_NEAR(p_beyond(interval_of(1.3, 0.05, 2, 4.3), {0.9, 1.1}), two_sided(4), 1e-12, 0);
    CHECK_NEAR(p_beyond(interval_of(1.05, 0.01, 2, 4.3), {0.9, 1.1}), two_sided(5), 1e-12, 0);
    CHECK_NEAR(p_beyond(interval_of(1.3, 0.01, 2, 4.3, 3), {0.9, 1.1}), 3 * two_sided(20), 1e-12, 0);
    CHECK(p_beyond(interval_of(1.1, 0.01, 2, 4.3), {0.9, 1.1}) == 1);
    CHECK(p_beyond(interval_of(1.3, 0, 2, 4.3), {0.9, 1.1}) == 0);
    CHECK(std::isnan(p_beyond({1.3, 1.2, 1.4, 0}, {0.9, 1.1})));
  }

  TEST_CASE("p_beyond: a jackknife interval excludes a bound just where p is below 1 - level, alone and in a family") {
    const Thresholds thresholds;
    for (const int family : {1, 7}) {
      int excluded = 0, all = 0;
      for (std::uint64_t trial = 0; trial < 60; ++trial) {
        std::vector<RowKey> keys;
        std::vector<double> y, sigma;
        for (int seed = 0; seed < 4; ++seed) {
          keys.push_back({0, 1e5, seed});
          y.push_back(1 + normal(Stream{91, Domain::test}, 4 * trial + static_cast<std::uint64_t>(seed)));
          sigma.push_back(1);
        }
        const Interval i = mean_interval(keys, y, sigma, simultaneous_options(thresholds, family));
        const bool is_excluded = i.low > 0 || i.high < 0;
        CHECK(is_excluded == (p_beyond(i, {0}) < 1 - thresholds.level));
        excluded += is_excluded, ++all;
      }
      CHECK(excluded > 0);
      CHECK(excluded < all);
    }
  }

  TEST_CASE("rules: the p-value of a decision is that of the clearest departure, and the weakest of joint statements") {
    const Thresholds t;
    const Interval clear = interval_of(0.9, 0.05, 20, 2.09), weak = interval_of(0.4, 0.05, 20, 2.09);
    const auto by_trace = ratio_rule().p_value({{clear, weak}}, t);
    CHECK(by_trace == p_beyond(clear, {-0.1, 0.1}));
    CHECK(ratio_rule().p_value({{weak, clear}}, t) == by_trace);
    const Interval still = interval_of(0, 0.01, 20, 2.09), nearly = interval_of(0.06, 0.01, 20, 2.09);
    CHECK(ratio_rule()({{still, nearly}}, t) == Outcome::supported);
    CHECK(ratio_rule().p_value({{still, nearly}}, t) == p_beyond(nearly, {-0.1, 0.1}));
  }

  TEST_CASE("correct_for_questions: of two decisions that hold alone one does not hold among three verdicts") {
    std::vector<Verdict> verdicts{verdict_of("Q1", Outcome::refuted, 0.001), verdict_of("Q2", Outcome::supported, 0.03),
                                  verdict_of("Q3", Outcome::inconclusive, NAN)};
    Verdict unmeasured = verdict_of("Q4", Outcome::inconclusive, NAN);
    unmeasured.low = unmeasured.high = NAN;
    verdicts.push_back(unmeasured);
    correct_for_questions(verdicts);
    CHECK(verdicts[0].outcome == Outcome::refuted);
    CHECK_NEAR(verdicts[0].p_holm, 0.003, 1e-12, 0);
    CHECK(verdicts[0].prose == "Numbers.");
    CHECK(verdicts[1].outcome == Outcome::inconclusive);
    CHECK_NEAR(verdicts[1].p_holm, 0.06, 1e-12, 0);
    CHECK(verdicts[1].answer == undecided);
    CHECK(
        verdicts[1].prose ==
        "Numbers. At its own level this would be supported (p = 0.03). It does not hold after Holm's correction over 3 "
        "verdicts (p = 0.06).");
    CHECK(std::isnan(verdicts[2].p_holm));
    std::vector<Verdict> two{verdict_of("Q1", Outcome::refuted, 0.001), verdict_of("Q2", Outcome::supported, 0.03)};
    correct_for_questions(two);
    CHECK(two[1].outcome == Outcome::supported);
  }

  TEST_CASE("correct_for_questions: secondary verdicts widen no family, and keep the outcome of their rule") {
    std::vector<Verdict> verdicts{verdict_of("Q1", Outcome::refuted, 0.001), verdict_of("Q2", Outcome::supported, 0.03),
                                  verdict_of("Q3", Outcome::supported, 0.04)};
    verdicts[0].is_primary = verdicts[2].is_primary = false;
    correct_for_questions(verdicts);
    CHECK(verdicts[1].outcome == Outcome::supported);
    CHECK(verdicts[1].p_holm == 0.03);
    CHECK(std::isnan(verdicts[0].p_holm));
    CHECK(std::isnan(verdicts[2].p_holm));
    CHECK(verdicts[2].outcome == Outcome::supported);
    CHECK(verdicts[2].prose == "Numbers.");
  }

  TEST_CASE("judge: the questions that a study names are primary, all without a name") {
    for (const Verdict& v : judge({}, Thresholds{}, {"Q3", "Q9"}))
      CHECK(v.is_primary == (v.id == "Q3" || v.id == "Q9"));
    for (const Verdict& v : judge({}, Thresholds{})) CHECK(v.is_primary);
  }

  TEST_CASE("judge: the verdicts of a study carry p-values that hold after the correction, unlike those of one judge") {
    Table table = planted({});
    for (const FactorialRow& r : factorial(0.3, 0.01).factorial) table.factorial.push_back(r);
    const std::vector<Verdict> verdicts = judge(table, Thresholds{});
    int decided = 0;
    for (const Verdict& v : verdicts) {
      if (std::isnan(v.p_value)) continue;
      CAPTURE(v.id);
      CHECK(v.p_holm >= v.p_value);
      CHECK((v.outcome != Outcome::inconclusive) == (v.p_holm <= 1 - v.level));
      ++decided;
    }
    CHECK(decided >= 2);
    CHECK(std::isnan(judge_composition(table, Thresholds{}).p_holm));
  }

  TEST_CASE("p_in_words: small p-values stay readable") {
    CHECK(p_in_words(0.0312) == "p = 0.031");
    CHECK(p_in_words(1) == "p = 1");
    CHECK(p_in_words(0.00031) == "p = 0.00031");
    CHECK(p_in_words(3e-9) == "p < 0.0001");
    CHECK(p_in_words(0) == "p < 0.0001");
  }
}
