#include "theory/questions/q21_tasks.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/along_text.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Table planted_tasks(const PlantedTasks& p) {
  Table table;
  add_tasks(table, p);
  return table;
}

Verdict judged(const PlantedTasks& p) { return judge_tasks(planted_tasks(p), Thresholds{}); }

}  // namespace

TEST_SUITE("tasks") {
  TEST_CASE("Q21: accuracy that falls below that of an earlier checkpoint of equal loss is supported") {
    const Verdict v = judged({});
    CHECK(v.outcome == Outcome::supported);
    // A chord lies above the convex e^-loss between two checkpoints: 0.002 to 0.02 at this spacing.
    CHECK_NEAR(number(v, "q21.shortfall.copy"), 0.105, 0, 0.01);
    CHECK_NEAR(number(v, "q21.lost.copy"), number(v, "q21.said.copy") + number(v, "q21.shortfall.copy"), 0, 1e-12);
    CHECK(control(v, Control::several_tasks));
    CHECK(!control(v, Control::answers_shifted));
  }

  TEST_CASE("Q21: one task whose accuracy falls as its loss says refutes") {
    const Verdict v = judged({.copy = 0.2, .addition = 0});
    CHECK(v.outcome == Outcome::refuted);
    CHECK(v.estimate == number(v, "q21.shortfall.addition"));
    CHECK(judged({.copy = -0.1, .addition = -0.1}).outcome == Outcome::refuted);
  }

  TEST_CASE("Q21: noisy scores and few seeds decide nothing") {
    CHECK(judged({.copy = 0.05, .addition = 0.05, .noise = 0.5}).outcome == Outcome::inconclusive);
    CHECK(judged({.seeds = 2}).prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q21: scores that were low before, and losses above those of every checkpoint, are left out") {
    Table table = planted_tasks({});
    for (TaskRow& r : table.tasks)
      if (r.D > 5e6) r.delta = 10;
    const Verdict v = judge_tasks(table, Thresholds{});
    const auto low = std::count_if(table.tasks.begin(), table.tasks.end(),
                                   [](const TaskRow& r) { return r.accuracy < Thresholds{}.q21_accuracy_min; });
    CHECK(low > 0);
    CHECK(number(v, "q21.dropped.too_low") == double(low));
    CHECK(number(v, "q21.dropped.without_peer") >= 4 * 2 * 2);
  }

  TEST_CASE("Q21: damage of shifted text stands beside that of the answers") {
    Table table = planted_tasks({});
    for (const TaskRow& t : table.tasks) {
      if (t.task != "copy") continue;
      ShiftRow r;
      static_cast<Subject&>(r) = t;
      r.shifted_data = "other", r.P = t.P, r.delta = t.delta / 4;
      table.shift.push_back(r);
    }
    const Verdict v = judge_tasks(table, Thresholds{});
    CHECK_NEAR(number(v, "q21.over_shifted.addition"), 4, 1e-9, 0);
    CHECK(control(v, Control::answers_shifted));
  }
}
