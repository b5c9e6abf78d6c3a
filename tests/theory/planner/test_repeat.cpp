#include "theory/planner/repeat.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/messages.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/judge.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

const Repeat& of(const std::vector<Repeat>& all, const std::string& id) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Repeat& r) { return r.id == id; });
  REQUIRE(found != all.end());
  return *found;
}

const PlantedLaw noisy{
    .gamma_d = 0.5, .run_noise = 0.1, .row_noise = 0.1, .higher_noise = 0.15, .trajectory_noise = 0.12, .drift = 0.1};

}  // namespace

TEST_SUITE("repeat") {
  TEST_CASE("expected_repeats: the promised half-width is that of fresh studies of the same law") {
    std::vector<double> fresh;
    for (std::uint64_t seed = 0; seed < 21; ++seed) {
      SyntheticGrid grid;
      grid.seed = 100 + seed;
      const Verdict v = judge_prediction(planted(noisy, grid), Thresholds{});
      fresh.push_back((v.high - v.low) / 2);
    }
    std::sort(fresh.begin(), fresh.end());
    const auto all = expected_repeats(planted(noisy), Thresholds{},
                                      {.seeds = SyntheticGrid{}.seeds, .campaigns = 21, .questions = {"Q3", "Q4"}});
    const double promised = of(all, "Q3").half_width;
    // A pilot of few seeds knows its scatter to a third.
    CHECK_MESSAGE(promised > fresh[10] / 2, promised, " against ", fresh[10]);
    CHECK_MESSAGE(promised < fresh[10] * 2, promised, " against ", fresh[10]);
    CHECK(of(all, "Q3").planned.supported > 0.8);
    CHECK(of(all, "Q4").seeds_needed == 0);
    CHECK(of(all, "Q4").planned.decided() == 0);
    CHECK(std::isnan(of(all, "Q4").half_width));
  }

  TEST_CASE("expected_repeats: the seeds needed are the fewest that decide, and less scatter needs fewer") {
    const auto rough = [](double factor) {
      PlantedLaw law = noisy;
      law.trajectory_noise *= factor, law.drift *= factor, law.higher_noise *= factor;
      return planted(law);
    };
    const auto needed = [](const Table& t, int seeds) {
      return of(expected_repeats(t, Thresholds{}, {.seeds = seeds, .campaigns = 10, .questions = {"Q3"}}), "Q3");
    };
    const Repeat few = needed(rough(2), 2), many = needed(rough(2), 8);
    CHECK(many.half_width < few.half_width / 1.5);
    REQUIRE(few.seeds_needed > 2);
    CHECK(needed(rough(2), few.seeds_needed).planned.decided() >= RepeatOptions{}.power);
    CHECK(needed(rough(2), few.seeds_needed - 1).planned.decided() < RepeatOptions{}.power);
    CHECK(needed(rough(0.5), 2).seeds_needed < few.seeds_needed);
  }

  TEST_CASE("expected_repeats: threads change no bit, and a pilot of one seed is refused") {
    const Table table = planted(noisy);
    const auto one = expected_repeats(table, Thresholds{}, {.campaigns = 4, .questions = {"Q3", "Q9"}, .threads = 1});
    const auto two = expected_repeats(table, Thresholds{}, {.campaigns = 4, .questions = {"Q3", "Q9"}, .threads = 2});
    REQUIRE(one.size() == 2);
    for (std::size_t i = 0; i < one.size(); ++i) {
      CHECK(one[i].half_width == two[i].half_width);
      CHECK(one[i].seeds_needed == two[i].seeds_needed);
    }
    SyntheticGrid single;
    single.seeds = 1;
    CHECK(test::mentions(
        test::message_of<Error>([&] { (void)expected_repeats(planted(noisy, single), Thresholds{}, {}); }),
        "one seed"));
  }
}
