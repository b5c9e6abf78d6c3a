#include "theory/questions/q19_context.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/along_text.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Verdict judged(const PlantedCache& p, const Thresholds& thresholds = {}) {
  Table table;
  add_cache(table, p);
  return judge_context(table, thresholds);
}

}  // namespace

TEST_SUITE("context") {
  TEST_CASE("Q19: damage that grows along the text under every policy is supported, with its exponents") {
    const Verdict v = judged({.token = 0.3, .kivi = 0.8});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q19.exponent.token3"), 0.3, 0, 0.05);
    CHECK_NEAR(number(v, "q19.exponent.kivi2"), 0.8, 0, 0.05);
    CHECK_NEAR(number(v, "q19.exponent.token3.within"), 0.3, 0, 0.1);
    CHECK_NEAR(number(v, "q19.exponent.token3.beyond"), 0.3, 0, 0.1);
    CHECK_NEAR(number(v, "q19.steepest"), 0.8, 0, 0.05);
    CHECK_NEAR(number(v, "q19.copy_exponent.token3"), 0.3, 0, 0.05);
    CHECK_NEAR(number(v, "q19.copy_accuracy_lost.kivi2"), 2e-3 * std::pow(512, 0.8), 0.1, 0);
    CHECK(v.estimate == number(v, "q19.exponent.token3"));
    CHECK(control(v, Control::long_context));
    CHECK(control(v, Control::copy_distances));
    CHECK(find_finding(v, "q19.exponent.token16") == nullptr);  // it changes nothing
  }

  TEST_CASE("Q19: one policy whose damage is flat or falls refutes, whatever the other does") {
    const Verdict flat = judged({.token = 0, .kivi = 0.8, .noise = 0.02});
    CHECK(flat.outcome == Outcome::refuted);
    CHECK(flat.estimate == number(flat, "q19.exponent.token3"));
    CHECK(flat.p_value < 0.05);
    CHECK(judged({.token = -0.4, .kivi = 0.8}).outcome == Outcome::refuted);
  }

  TEST_CASE("Q19: seeds that disagree, and too few of them, decide nothing") {
    CHECK(judged({.token = 0.2, .kivi = 0.2, .tilt = 0.4}).outcome == Outcome::inconclusive);
    const Verdict few = judged({.seeds = 2});
    CHECK(few.outcome == Outcome::inconclusive);
    CHECK(few.prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q19: octaves before the first position, and those below their noise, are no evidence") {
    Thresholds early;
    early.q19_position_min = 1;
    CHECK(number(judged({}), "q19.exponent.token3") > 0.25);
    CHECK(number(judged({}, early), "q19.exponent.token3") < 0);  // the beginnings are planted high
    Table noisy;
    add_cache(noisy, {});
    for (CacheRow& r : noisy.cache)
      if (r.first >= 256) r.delta = 1e-9, r.delta_se = 1e-3;
    CHECK_NEAR(number(judge_context(noisy, Thresholds{}), "q19.exponent.token3"), 0.3, 0, 0.1);
    for (CacheRow& r : noisy.cache)
      if (r.first >= 256) r.delta = NAN;
    CHECK(number(judge_context(noisy, Thresholds{}), "q19.dropped") == 4 * 3 * 2);
  }
}
