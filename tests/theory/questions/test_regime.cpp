#include "theory/questions/regime.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("questions") {
  TEST_CASE("regime: the knee of the trace is the planted one, and the loss decides where the study gives one") {
    Table table = planted({.run_noise = 0.01});
    for (SharpnessRow& r : table.sharpness) r.trace = std::pow(std::min(r.D, 1e7), 0.8);
    const LateRegime by_knee(table, Thresholds{});
    CHECK(by_knee.is_found());
    CHECK_NEAR(by_knee.knee_tokens(), 1e7, 1e-9, 0);
    for (const PtqRow& r : table.ptq) CHECK(by_knee.contains(r) == (r.D >= 1e7));
    for (PtqRow& r : table.ptq) r.loss = r.D < 5e7 ? 2 : 1;
    Thresholds thresholds;
    thresholds.late_loss = 1.8;
    const LateRegime by_loss(table, thresholds);
    CHECK(std::isnan(by_loss.knee_tokens()));
    for (const PtqRow& r : table.ptq) CHECK(by_loss.contains(r) == (r.D >= 5e7));
    LossRow unrounded;  // of a checkpoint whose damage was not measured
    unrounded.run = "unrounded", unrounded.D = 1e6, unrounded.loss = 1;
    table.losses = {unrounded};
    CHECK_FALSE(by_loss.contains(unrounded));
    CHECK(LateRegime(table, thresholds).contains(unrounded));
  }

  TEST_CASE("regime: a trace that rises on as one power has no late regime of its own") {
    Table table = planted({});
    for (SharpnessRow& r : table.sharpness) r.trace = std::pow(r.D, 0.5);
    CHECK_FALSE(LateRegime(table, Thresholds{}).is_found());
  }
}
