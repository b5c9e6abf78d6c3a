#include "theory/questions/q20_schedules.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/along_text.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Verdict judged(const PlantedSchedules& p) {
  Table table;
  add_schedules(table, p);
  return judge_schedules(table, Thresholds{});
}

}  // namespace

TEST_SUITE("schedules") {
  TEST_CASE("Q20: falling bits that save damage at every average are supported, with the share they save") {
    const Verdict v = judged({});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q20.gain.step_down.bits_3"), 0.3, 0, 0.05);
    CHECK_NEAR(number(v, "q20.gain.step_down.bits_4"), 0.3, 0, 0.05);
    CHECK_NEAR(number(v, "q20.gain.linear.bits_4"), 0.15, 0, 0.05);
    CHECK_NEAR(number(v, "q20.early"), 0.6, 0, 0.05);
    CHECK_NEAR(number(v, "q20.surprise_over_position"), 0.3, 0, 0.05);
    CHECK(control(v, Control::reversed_bits));
    CHECK(control(v, Control::token_score));
    CHECK(v.n == 8);
  }

  TEST_CASE("Q20: falling bits that cost as much or more refute") {
    const Verdict equal = judged({.saved = 0});
    CHECK(equal.outcome == Outcome::refuted);
    CHECK(equal.p_value < 0.05);
    CHECK(judged({.saved = -0.2}).outcome == Outcome::refuted);
    CHECK(number(judged({.saved = -0.2}), "q20.early") < -0.3);
  }

  TEST_CASE("Q20: noisy savings and few seeds decide nothing, and damage below its noise is left out") {
    CHECK(judged({.noise = 1}).outcome == Outcome::inconclusive);
    CHECK(judged({.seeds = 2}).prose.find("Nothing can be said") != std::string::npos);
    Table table;
    add_schedules(table, {});
    for (ScheduleRow& r : table.schedules)
      if (r.schedule == "uniform" && r.average_bits == 4) r.delta_se = r.delta;
    const Verdict v = judge_schedules(table, Thresholds{});
    CHECK(number(v, "q20.dropped.below_noise") == 4);
    CHECK(find_finding(v, "q20.gain.step_down.bits_4") == nullptr);
    CHECK(v.outcome == Outcome::supported);
  }
}
