#include "sim/train/schedule.hpp"

#include "sim/base/error.hpp"
#include "sim/train/trainer.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

Schedule schedule_of(Decay decay) {
  return {
      .peak = 0.5, .warmup_steps = 10, .horizon_steps = 110, .cooldown_steps = 40, .decay = decay, .final_ratio = 0.1};
}

constexpr Decay every_decay[] = {Decay::constant, Decay::cosine, Decay::linear, Decay::one_sqrt, Decay::two_stage};

TEST_SUITE_BEGIN("train");

TEST_CASE("schedule: warmup is linear and reaches the peak with its last update [all decays]") {
  for (Decay decay : every_decay) {
    CAPTURE(int(decay));
    const Schedule lr = schedule_of(decay);
    for (std::int64_t step = 0; step < 10; ++step) CHECK_NEAR(lr(step), 0.05 * double(step + 1), 1e-15, 0.0);
  }
  Schedule cold = schedule_of(Decay::constant);
  cold.warmup_steps = 0;
  CHECK(cold(0) == 0.5);
}

TEST_CASE(
    "schedule: after warmup the rate never rises, and ends at final_ratio·peak with the last "
    "update") {
  for (Decay decay : every_decay) {
    CAPTURE(int(decay));
    const Schedule lr = schedule_of(decay);
    for (std::int64_t step = 10; step < 120; ++step) CHECK(lr(step + 1) <= lr(step));
    const double last = decay == Decay::constant ? 0.5 : decay == Decay::two_stage ? 0.05 * 2 / 3 : 0.05;
    CHECK_NEAR(lr(109), last, 1e-14, 0.0);
    CHECK(lr(110) == lr(109));
    CHECK(lr(1000000) == lr(109));
  }
}

TEST_CASE("schedule: cosine is half way down in the middle of its range") {
  // Updates 10 … 109 are points 1/100 … 1 of the curve; number 59 is at one half.
  CHECK_NEAR(schedule_of(Decay::cosine)(59), 0.5 * (0.1 + 0.9 * 0.5), 1e-14, 0.0);
}

TEST_CASE("schedule: two_stage falls on one line, of which the second half of all updates takes two thirds") {
  const Schedule lr = schedule_of(Decay::two_stage);
  const auto line = [](std::int64_t step) { return 0.5 * (0.1 + 0.9 * (1 - double(step - 9) / 100)); };
  for (std::int64_t step = 10; step < 55; ++step) CHECK_NEAR(lr(step), line(step), 1e-14, 0.0);
  for (std::int64_t step = 55; step < 110; ++step) CHECK_NEAR(lr(step), line(step) * 2 / 3, 1e-14, 0.0);
}

TEST_CASE("schedule: linear and one_sqrt hold the peak until the cooldown, then follow 1-x and 1-√x") {
  for (Decay decay : {Decay::linear, Decay::one_sqrt}) {
    const Schedule lr = schedule_of(decay);
    for (std::int64_t step = 10; step < 70; ++step) CHECK(lr(step) == 0.5);
    for (std::int64_t step = 70; step < 110; ++step) {
      const double x = double(step - 69) / 40;
      const double shape = decay == Decay::linear ? 1 - x : 1 - std::sqrt(x);
      CHECK_NEAR(lr(step), 0.5 * (0.1 + 0.9 * shape), 1e-14, 0.0);
    }
  }
}

TEST_CASE("cooldown_branch: equals the run that planned this cooldown from the start [constant trunk]") {
  for (Decay shape : {Decay::linear, Decay::one_sqrt}) {
    const Schedule trunk = schedule_of(Decay::constant);
    const Schedule branch = cooldown_branch(trunk, 70, 40, shape);
    const Schedule planned = schedule_of(shape);
    branch.validate();
    CHECK(branch(69) == trunk(69));
    for (std::int64_t step = 70; step <= 120; ++step) CHECK_NEAR(branch(step), planned(step), 1e-15, 0.0);
  }
}

TEST_CASE("cooldown_branch: leaves the trunk without a jump and ends at its own horizon [cosine trunk]") {
  const Schedule trunk = schedule_of(Decay::cosine);
  const Schedule branch = cooldown_branch(trunk, 50, 200, Decay::linear);
  CHECK(branch.horizon_steps == 250);
  CHECK(branch(50) < trunk(50));
  CHECK_NEAR(branch(50), trunk(50), 1.0 / 200, 0.0);
  CHECK_NEAR(branch(249), 0.1 * trunk(50), 1e-13, 0.0);
}

TEST_CASE("schedule: names round-trip, and an unknown one is answered with the nearest") {
  for (Decay decay : every_decay) CHECK(decay_from_name(name_of(decay)) == decay);
  CHECK_THROWS_WITH_AS(decay_from_name("cosin"),
                       "schedule = \"cosin\" is unknown; did you mean \"cosine\"? (known: constant, cosine, linear, "
                       "one_sqrt, two_stage)",
                       OptionError);
}

TEST_CASE("schedule: every wrong option is named in one message, NaN included") {
  schedule_of(Decay::linear).validate();
  CHECK_THROWS_WITH_AS(
      (Schedule{.peak = 0, .warmup_steps = -1, .horizon_steps = 0, .cooldown_steps = 5, .final_ratio = 2}.validate()),
      "schedule: lr = 0 (expected above 0); warmup_steps = -1 (expected at least 0); horizon = 0 "
      "updates (expected at least 1); cooldown_steps = 5 (expected 0 to 0); final_ratio = 2 "
      "(expected in [0, 1])",
      OptionError);
  Schedule bad = schedule_of(Decay::linear);
  bad.peak = NAN;
  CHECK_THROWS_AS(bad.validate(), OptionError);
  bad = schedule_of(Decay::linear);
  bad.final_ratio = NAN;
  CHECK_THROWS_AS(bad.validate(), OptionError);
}

TEST_CASE(
    "log_spaced_steps: strictly increasing from first to last, with equal ratios where integers "
    "allow") {
  CHECK(log_spaced_steps(1, 1000, 4) == std::vector<std::int64_t>{1, 10, 100, 1000});
  CHECK(log_spaced_steps(100, 102400, 11)[5] == 3200);
  CHECK(log_spaced_steps(7, 7, 5) == std::vector<std::int64_t>{7});
  CHECK(log_spaced_steps(7, 90, 1) == std::vector<std::int64_t>{90});
  for (std::int64_t last : {1, 2, 3, 17, 1000, 123457})
    for (int count : {2, 3, 10, 60}) {
      CAPTURE(last);
      CAPTURE(count);
      const std::vector<std::int64_t> steps = log_spaced_steps(1, last, count);
      CHECK(steps.front() == 1);
      CHECK(steps.back() == last);
      CHECK(int(steps.size()) <= count);
      for (size_t i = 1; i < steps.size(); ++i) CHECK(steps[i] > steps[i - 1]);
    }
  CHECK_THROWS_AS(log_spaced_steps(0, 5, 3), ContractError);
  CHECK_THROWS_AS(log_spaced_steps(6, 5, 3), ContractError);
  CHECK_THROWS_AS(log_spaced_steps(1, 5, 0), ContractError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
