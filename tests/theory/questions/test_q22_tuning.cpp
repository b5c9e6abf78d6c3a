#include "theory/questions/q22_tuning.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/along_text.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Table tuned(double damage, double predicted, double noise, int seeds = 4) {
  SyntheticGrid grid;
  grid.N = {3e4}, grid.seeds = seeds;
  return tuned_branches(grid, {}, {.damage = damage, .predicted = predicted, .noise = noise});
}

Verdict judged(double damage, double predicted, double noise, int seeds = 4) {
  return judge_tuning(tuned(damage, predicted, noise, seeds), Thresholds{});
}

}  // namespace

TEST_SUITE("tuning") {
  TEST_CASE("Q22: damage and prediction that tuning changes alike are supported, however much they change") {
    const Verdict v = judged(0.7, 0.7, 0.02);
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(number(v, "q22.damage.tuned"), 0.7, 0, 0.03);
    CHECK_NEAR(number(v, "q22.prediction.tuned"), 0.7, 0, 0.03);
    CHECK_NEAR(number(v, "q22.gap.tuned"), 0, 0, 0.03);
    CHECK_NEAR(number(v, "q22.trace.tuned"), std::log(2.0), 0, 1e-9);
    CHECK(control(v, Control::tuned_branches));
  }

  TEST_CASE("Q22: damage that tuning moves apart from its prediction refutes") {
    const Verdict v = judged(0.7, 0.3, 0.02);
    CHECK(v.outcome == Outcome::refuted);
    CHECK_NEAR(v.estimate, 0.4, 0, 0.03);
  }

  TEST_CASE("Q22: few and noisy branches decide nothing") {
    CHECK(judged(0.3, 0.3, 2).outcome == Outcome::inconclusive);
    CHECK(judged(0.7, 0.7, 0.02, 2).prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q22: a branch counts only beside the checkpoint of its own run that it left") {
    Table table = tuned(0.7, 0.7, 0.02);
    int moved = 0;
    for (PtqRow& r : table.ptq)
      if (r.kind == Kind::tuned && r.seed == 1) r.branched_at *= 1.5, ++moved;
    const Verdict v = judge_tuning(table, Thresholds{});
    CHECK(number(v, "q22.unmatched") > 0);
    CHECK(number(v, "q22.unmatched") <= moved);
  }

  TEST_CASE("Q22: the change on other text stands beside that on the trunk's") {
    Table table = tuned(0.7, 0.7, 0.02);
    for (const PtqRow& p : table.ptq) {
      ShiftRow r;
      static_cast<Subject&>(r) = p;
      r.P = p.P, r.delta = p.kind == Kind::tuned ? 3 : 1, r.delta_se = 0.01;
      table.shift.push_back(r);
    }
    CHECK_NEAR(number(judge_tuning(table, Thresholds{}), "q22.shifted.tuned"), std::log(3.0), 0, 1e-9);
  }
}
