#include "experiments/running/time.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone::experiments {
namespace {

/// A time that follows seconds·threads/flops = a + b/parameters exactly, times `factor`.
RunTime exact(Index parameters, int threads, double factor = 1) {
  const double training = (1e-11 + 1e-6 / double(parameters)) * factor / threads;
  const double measuring = (2e-11 + 5e-7 / double(parameters)) * factor / threads;
  return {parameters, threads, {1e9, 1e9 * training}, {3e10, 3e10 * measuring}};
}

}  // namespace

TEST_CASE("fit_rates: times of several sizes and thread counts give the planted rates") {
  const Rates rates = fit_rates({exact(10000, 1), exact(100000, 2), exact(1000000, 4)});
  CHECK_NEAR(rates.training.at(5e4), 1e-11 + 1e-6 / 5e4, 1e-9, 0);
  CHECK_NEAR(rates.measuring.at(5e5), 2e-11 + 5e-7 / 5e5, 1e-9, 0);
  CHECK(rates.training.error == 0.05);
}

TEST_CASE("fit_rates: scatter becomes the stated error, one size a plain rate, two times a guess") {
  std::vector<RunTime> times;
  for (int i = 0; i < 20; ++i) times.push_back(exact(10000 * (i + 1), 1, i % 2 == 0 ? 0.8 : 1.2));
  CHECK_NEAR(fit_rates(times).training.error, 0.2, 0.2, 0);
  const Rates one = fit_rates({exact(10000, 1), exact(10000, 1), exact(10000, 1)});
  CHECK(one.training.b == 0);
  CHECK_NEAR(one.training.at(10000), 1e-11 + 1e-10, 1e-9, 0);
  CHECK(fit_rates({exact(10000, 1), exact(100000, 1)}).training.error == 0.5);
  CHECK_THROWS_AS(fit_rates({}), ContractError);
}

TEST_CASE("makespan: longest first on the least busy worker") {
  CHECK(makespan({3, 3, 2, 2, 2}, 2) == 7);
  CHECK(makespan({5, 1, 1}, 2) == 5);
  CHECK(makespan({5, 1, 1}, 1) == 7);
  CHECK(makespan({}, 3) == 0);
}

TEST_CASE("run: keeps the time of every finished run beside the results; broken ones are left out") {
  const test::Workplace& place = test::quick();
  const auto times = read_run_times(place.out());
  REQUIRE(times.size() == 4);
  for (const RunTime& t : times) {
    CHECK(t.threads == 1);
    CHECK(t.training.seconds > 0);
    CHECK(t.measuring.seconds > 0);
    CHECK(t.measuring.seconds < 600);
  }
  test::Workplace copy(test::tiny_text());
  std::filesystem::create_directories(copy.out() / "times");
  std::filesystem::copy(place.out() / "times", copy.out() / "times");
  copy.write("out/times/zz.json", "{\"parameters\": 3");
  CHECK(read_run_times(copy.out()).size() == 4);
}

TEST_CASE("write_run_time: what is written is read back") {
  const RunSpec run = test::quick().runs().front();
  const test::Workplace place(test::tiny_text());
  write_run_time(place.out(), run, exact(5000, 2));
  const auto times = read_run_times(place.out());
  REQUIRE(times.size() == 1);
  CHECK(times[0].parameters == 5000);
  CHECK(times[0].threads == 2);
  CHECK(times[0].training.flops == 1e9);
  CHECK(times[0].measuring.seconds == exact(5000, 2).measuring.seconds);
}

TEST_CASE("probe_run_time: work and seconds of both kinds in about half a second") {
  for (const RunSpec& run : test::quick().runs()) {
    const RunTime time = probe_run_time(run, 1);
    CHECK(time.parameters > 0);
    for (const TimeSpent& spent : {time.training, time.measuring}) {
      CHECK(spent.flops > 0);
      CHECK(spent.seconds >= 0.2);
    }
  }
}

}  // namespace hone::experiments

TEST_SUITE_END();
