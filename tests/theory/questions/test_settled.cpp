#include "theory/questions/settled.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// The planted table with a recorded recipe, its first tokens at a fraction of the peak rate.
Table warming(double share_of_peak) {
  Table table = planted({});
  const auto record = [&](auto& rows) {
    for (auto& r : rows) {
      r.schedule = "constant", r.peak_lr = 3e-3;
      r.lr = r.D < 2e6 ? share_of_peak * r.peak_lr : r.peak_lr;
    }
  };
  record(table.ptq), record(table.sharpness);
  return table;
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("settled: checkpoints below 0.999 of the peak rate are dropped from every list, those at it stay") {
    const Table early = warming(0.5);
    const SettledRows settled = settle(early);
    CHECK(settled.table.ptq.size() == early.ptq.size() * 4 / 5);
    CHECK(settled.table.sharpness.size() == early.sharpness.size() * 4 / 5);
    CHECK(settled.in_warmup == int(early.ptq.size()) / 5);
    CHECK(settled.checkpoints_in_warmup > 0);
    for (const PtqRow& r : settled.table.ptq) CHECK(r.D >= 2e6);
    CHECK(settle(warming(0.9995)).in_warmup == 0);
    CHECK(settle(warming(0.998)).in_warmup == settled.in_warmup);
    CHECK(settle(planted({})).in_warmup == 0);  // a rate that is not known
  }

  TEST_CASE("settled: every kind of row is dropped in the warm-up, and kept after it") {
    for (const double rate : {0.5, 1.0}) {
      Subject s;
      s.D = 1e6, s.schedule = "constant", s.peak_lr = 3e-3, s.lr = rate * s.peak_lr;
      const Table all{{{s}}, {{s}}, {{s}}, {{s}}, {{s}}, {{s}}, {{s}}, {{s}}, {{s}}};
      const Table kept = settle(all).table;
      const size_t rows = rate < 1 ? 0 : 1;
      CHECK(kept.ptq.size() == rows);
      CHECK(kept.sharpness.size() == rows);
      CHECK(kept.factorial.size() == rows);
      CHECK(kept.noise.size() == rows);
      CHECK(kept.injection.size() == rows);
      CHECK(kept.losses.size() == rows);
      CHECK(kept.shift.size() == rows);
      CHECK(kept.schemes.size() == rows);
      CHECK(kept.expert_damage.size() == rows);
    }
  }

  TEST_CASE("settled: a branch that left in the warm-up is dropped where only the loss of its trunk was measured") {
    Table table;
    LossRow trunk;
    trunk.run = "a", trunk.D = 1e6, trunk.schedule = "constant", trunk.peak_lr = 3e-3, trunk.lr = 1e-3;
    PtqRow branch;
    branch.run = "a", branch.kind = Kind::cooldown, branch.D = 1.2e6, branch.branched_at = 1e6;
    table.losses = {trunk}, table.ptq = {branch};
    CHECK(settle(table).table.ptq.empty());
    table.losses[0].lr = trunk.peak_lr;
    CHECK(settle(table).table.ptq.size() == 1);
  }

  TEST_CASE("settled: a schedule that decays is judged at its end, so that its rate says nothing of a warm-up") {
    Table table = warming(0.5);
    for (PtqRow& r : table.ptq) r.schedule = "cosine";
    for (SharpnessRow& r : table.sharpness) r.schedule = "cosine";
    CHECK(settle(table).in_warmup == 0);
  }

  TEST_CASE("settled: averages that still hold the warm-up, and branches that left in it, are dropped") {
    Subject average;
    average.kind = Kind::average;
    average.warmup_weight = 0.04;
    CHECK(has_warmed_up(average));
    average.warmup_weight = 0.06;
    CHECK_FALSE(has_warmed_up(average));
    Table table = warming(0.5);
    PtqRow branch = table.ptq.front();
    branch.kind = Kind::cooldown, branch.variant = "cooled", branch.lr = 0;
    branch.branched_at = branch.D, branch.D *= 1.2;
    table.ptq.push_back(branch);
    for (const PtqRow& r : settle(table).table.ptq) CHECK(r.kind == Kind::trunk);
  }

  TEST_CASE("settled: rows of the warm-up change no verdict") {
    Table table = warming(0.5);
    for (PtqRow& r : table.ptq)
      if (r.D < 2e6) r.delta *= 50;
    for (SharpnessRow& r : table.sharpness)
      if (r.D < 2e6) r.trace *= 50;
    const auto spoiled = judge(table, Thresholds{}), clean = judge(warming(0.5), Thresholds{});
    REQUIRE(spoiled.size() == clean.size());
    for (size_t i = 0; i < clean.size(); ++i) {
      CHECK(spoiled[i].outcome == clean[i].outcome);
      CHECK(spoiled[i].prose == clean[i].prose);
    }
    CHECK(find_finding(clean[0], "q1.dropped.in_warmup")->estimate > 0);
  }
}
