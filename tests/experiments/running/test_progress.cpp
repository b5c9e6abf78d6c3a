// Time left, by a clock that the test moves: whatever earlier starts did, it is the true time left at a constant rate.
#include "experiments/running/progress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/instruments.hpp"
#include "experiments/running/run.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/error.hpp"
#include "tests/experiments/program.hpp"

using namespace hone::experiments;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// Seconds that pass only when the test says so.
struct FakeClock {
  double seconds = 0;
  Progress::Now now() {
    return [this] { return Progress::Clock::time_point(std::chrono::nanoseconds(std::llround(1e9 * seconds))); };
  }
};

constexpr double rate = 7;  ///< flops per second of the constant rate

}  // namespace

TEST_CASE("progress: at a constant rate the time left is what is left over the rate, from one hundredth on") {
  FakeClock clock;
  Progress progress("study", 1000, clock.now());
  CHECK(std::isnan(progress.seconds_left()));
  for (double done = 5; done <= 1000; done += 5) {
    clock.seconds += 5 / rate;
    progress.advance("a", 5, "training");
    if (done < 10)
      CHECK(std::isnan(progress.seconds_left()));
    else
      CHECK(progress.seconds_left() == doctest::Approx((1000 - done) / rate).epsilon(1e-6));
  }
}

TEST_CASE("progress: what an earlier start did is not in the rate, whether taking it over takes time or none") {
  for (const double taken : {100., 500., 900., 985.})
    for (const double reading : {0., 40.}) {
      FakeClock clock;
      Progress progress("study", 1000, clock.now());
      progress.begin("a", 1000);
      clock.seconds += reading;
      progress.advance("a", taken, "resumed", Work::taken_over);
      CHECK(std::isnan(progress.seconds_left()));
      for (double done = 1; done <= 1000 - taken; ++done) {
        clock.seconds += 1 / rate;
        progress.advance("a", 1, "training");
        CHECK(progress.taken_over() == taken);
        if (done >= 0.01 * (1000 - taken))
          CHECK(progress.seconds_left() == doctest::Approx((1000 - taken - done) / rate).epsilon(1e-6));
      }
    }
}

TEST_CASE("progress: products replayed between products done, with the time that reading them takes") {
  FakeClock clock;
  Progress progress("measure", 1000, clock.now());
  double done = 0;
  for (int i = 1; i <= 100; ++i) {
    const bool is_replayed = i <= 60 || i % 10 == 0;
    clock.seconds += is_replayed ? 0.01 : 10 / rate;
    progress.advance("a", 10, "curvature", is_replayed ? Work::taken_over : Work::done);
    done += is_replayed ? 0 : 10;
    if (done >= 20) CHECK(progress.seconds_left() == doctest::Approx((1000 - 10 * i) / rate).epsilon(1e-6));
  }
}

TEST_CASE("progress: two workers, one of which goes on from an earlier start") {
  FakeClock clock;
  Progress progress("study", 2000, clock.now());
  progress.begin("a", 1000), progress.begin("b", 1000);
  progress.advance("b", 600, "resumed", Work::taken_over);
  double left = 1400;
  for (int i = 1; i <= 40; ++i) {
    clock.seconds += 10 / rate;
    progress.advance("a", 10, "training"), progress.advance("b", 10, "training");
    left -= 20;
    CHECK(progress.seconds_left() == doctest::Approx(left / (2 * rate)).epsilon(1e-6));
  }
  progress.finish("b");  // one worker is left
  CHECK(progress.seconds_left() == doctest::Approx(600 / rate).epsilon(1e-6));
}

TEST_CASE("progress: measurements that need less than their plan scale the rate, also half replayed ones") {
  for (const bool is_resumed : {false, true}) {
    FakeClock clock;
    Progress progress("study", 10 * 100, clock.now());
    progress.begin("a", 1000);
    for (int part = 1; part <= 10; ++part) {
      progress.begin_part("a", 100);
      for (int product = 0; product < 6; ++product) {  // 60 of the 100 that were planned
        const bool is_replayed = is_resumed && part == 1 && product < 3;
        clock.seconds += is_replayed ? 0 : 10 / rate;
        progress.advance("a", 10, "curvature", is_replayed ? Work::taken_over : Work::done);
      }
      progress.end_part("a");
      CHECK(progress.seconds_left() == doctest::Approx((10 - part) * 60 / rate).epsilon(1e-6));
    }
  }
}

TEST_CASE("progress: what a run that ends early leaves is not left to do, and not work done") {
  FakeClock clock;
  Progress progress("study", 1000, clock.now());
  progress.begin("a", 500);
  clock.seconds += 100 / rate;
  progress.advance("a", 100, "training");
  progress.finish("a");
  CHECK(progress.done() == 100);
  CHECK(progress.taken_over() == 400);
  CHECK(progress.seconds_left() == doctest::Approx(500 / rate).epsilon(1e-6));
}

TEST_CASE("cost: the work behind every state, and the studies of the trunk's end, make the whole") {
  const Workplace place(
      replaced(quick_text(), "[quantize]\n", "[decode]\npolicies = [\"token4\"]\n\n[quantize]\nschemes = [\"rtn\"]\n"));
  for (const RunSpec& run : place.runs()) {
    const auto steps = checkpoint_steps(run);
    const RunWork whole = work_of(run);
    double before = 0;
    for (size_t i = 0; i < steps.size(); ++i) {
      const double trained = work_until(run, steps[i], std::int64_t(i)).flops();
      const double measured = work_until(run, steps[i], std::int64_t(i) + 1).flops();
      CHECK(trained > before);
      CHECK(measured > trained);
      before = measured;
    }
    CHECK((trunk_end_flops(run, whole.parameters) > 0) == (run.model.kind != "mlp"));
    CHECK(before + trunk_end_flops(run, whole.parameters) == doctest::Approx(whole.flops()).epsilon(1e-12));
  }
}

namespace {

/// Work that an interrupted start can lose: the training since the last checkpoint, which is saved once a minute, and
/// what was measured since then, without the products that a journal keeps. A checkpoint without a branch has one
/// measurement, half of whose work at most are evaluations and checks.
double lost_at_most(const RunSpec& run) {
  const auto steps = checkpoint_steps(run);
  double most = 0, before = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    const double trained = work_until(run, steps[i], std::int64_t(i)).flops();
    const double measured = work_until(run, steps[i], std::int64_t(i) + 1).flops();
    const double share = run.branches.empty() ? 0.5 : 1;
    most = std::max(most, trained - before + share * (measured - trained));
    before = measured;
  }
  return most;
}

}  // namespace

TEST_CASE("run: each start takes over what those before it did, and all of them together do the whole") {
  const Workplace place(quick_text());
  for (const RunSpec& run : {place.runs().front(), place.runs().back()}) {
    CorpusShelf shelf(place.path("cache"));
    for (const char* part : {"runs", "work"}) std::filesystem::create_directories(place.out() / part);
    const double whole = run_cost(run);
    double before = 0;
    bool is_finished = false;
    int starts = 0;
    for (; !is_finished && starts < 100; ++starts) {
      std::atomic<bool> stop{false};
      int reports = 0;
      Progress progress("study", whole, [&] {  // the clock is read at every report
        stop = ++reports > 60 + 40 * starts;
        return Progress::Clock::time_point(std::chrono::microseconds(reports));
      });
      progress.begin(label_of(run), whole);
      try {
        (void)execute_run(run, {place.out(), shelf, progress, stop, 1, "test"});
        is_finished = true;
      } catch (const Interrupted&) {
      }
      const double taken = progress.taken_over();
      CHECK_MESSAGE(taken >= before - lost_at_most(run), "start " << starts << ": " << taken << " of " << before);
      before = taken + progress.done();
    }
    CHECK(starts > 2);
    CHECK(before == doctest::Approx(whole).epsilon(1e-9));
  }
}

}  // namespace hone::test

TEST_SUITE_END();
