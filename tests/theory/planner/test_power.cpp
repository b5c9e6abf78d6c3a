#include "theory/planner/power.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/support/near.hpp"
#include "tests/theory/planted/runs.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/judge.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// The design of the planted runs, with any number of seeds.
std::vector<PlannedRun> design(int seeds) {
  std::vector<PlannedRun> runs;
  for (const double N : {3e4, 1e5, 3e5})
    for (int s = 0; s < seeds; ++s)
      runs.push_back({fmt::format("n{}", N), s, N, {1e6, 3e6, 1e7, 3e7, 1e8}, {3, 4, 5, 6}});
  return runs;
}

/// A pilot whose damage follows its prediction, and whose trace grows as D^0.5.
Table pilot_table(const World& w) {
  Table table = planted(w);
  std::uint64_t draw = 0;
  for (PtqRow& r : table.ptq) {
    r.predicted = r.delta / std::exp(0.05 * normal(Stream{77, Domain::test}, draw++));
    r.gradient = 0;
    if (r.P != 4) continue;
    SharpnessRow s;
    static_cast<Subject&>(s) = r;
    s.trace = std::sqrt(r.D) * std::exp(0.1 * normal(Stream{78, Domain::test}, draw)), s.trace_se = 0.05 * s.trace;
    table.sharpness.push_back(s);
  }
  return table;
}

/// The same with first-order terms nearly as large as the damage.
Table noisy_pilot_table(const World& w) {
  Table table = pilot_table(w);
  for (std::size_t i = 0; i < table.ptq.size(); ++i) {
    PtqRow& r = table.ptq[i];
    r.gradient = 0.8 * r.predicted * normal(Stream{79, Domain::test}, i);
    r.delta += r.gradient;
  }
  return table;
}

Thresholds thresholds() { return Thresholds{}; }

const Power& of(const std::vector<Power>& all, const std::string& id) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Power& p) { return p.id == id; });
  REQUIRE(found != all.end());
  REQUIRE_MESSAGE(found->problem.empty(), found->problem);
  return *found;
}

std::vector<Power> power_of(const World& w, int seeds) {
  return expected_power(pilot_of(pilot_table(w), thresholds()), design(seeds), thresholds(), {.worlds = 20});
}

}  // namespace

TEST_SUITE("power") {
  TEST_CASE("expected_power: first-order terms of the pilot widen no interval of Q3, which takes them out") {
    const auto width = [](const Table& pilot) {
      return of(expected_power(pilot_of(pilot, thresholds()), design(3), thresholds(), {.worlds = 20}), "Q3")
          .half_width;
    };
    CHECK_NEAR(width(noisy_pilot_table({.seeds = 6})), width(pilot_table({.seeds = 6})), 0.3, 0);
  }

  TEST_CASE("expected_power: the promised width of Q1 is that which its judge finds in worlds of the truth") {
    const Power q1 = of(power_of({.seeds = 6}, 3), "Q1");
    std::vector<double> widths;
    World w{.seeds = 3};
    for (w.seed = 100; w.seed < 105; ++w.seed) {
      Table table;
      table.ptq = planted(w).ptq;
      const Verdict v = judge_damage_growth(table, thresholds());
      widths.push_back((v.high - v.low) / 2);
    }
    std::sort(widths.begin(), widths.end());
    CHECK_NEAR(q1.half_width, widths[2], 0.35, 0);
    CHECK_NEAR(q1.truth, 0.5, 0.15, 0);
    CHECK(q1.supported == 1);
  }

  TEST_CASE("expected_power: more seeds narrow every interval") {
    const auto few = power_of({.seeds = 4}, 2), many = power_of({.seeds = 4}, 16);
    for (const char* id : {"Q1", "Q2", "Q3"}) {
      CAPTURE(id);
      CHECK(of(many, id).half_width < 0.6 * of(few, id).half_width);
    }
  }

  TEST_CASE("expected_power: outcomes follow the truth of the pilot") {
    const auto calm = power_of({.seeds = 4}, 3);
    CHECK(of(calm, "Q2").supported == 1);
    CHECK(of(calm, "Q3").supported > 0.9);
    CHECK_NEAR(of(calm, "Q3").truth, 1, 0.05, 0);
    Table bent = pilot_table({.seeds = 4});
    for (PtqRow& r : bent.ptq) r.predicted = std::pow(r.predicted, 1 / 1.5);
    const auto slope = expected_power(pilot_of(bent, thresholds()), design(3), thresholds(), {.worlds = 20});
    CHECK(of(slope, "Q3").refuted > 0.9);
    const Power wild = of(power_of({.seeds = 4, .checkpoint = 4}, 1), "Q1");
    CHECK(wild.inconclusive + wild.refuted > 0.2);
    CHECK(wild.half_width > 3 * of(calm, "Q1").half_width);
    CHECK_NEAR(wild.supported + wild.refuted + wild.inconclusive, 1, 1e-12, 0);
  }

  TEST_CASE("expected_power: Q6 is judged at each combination of bits, so that opposite signs do not cancel") {
    const auto q6 = [](double interaction, double noise) {
      Table table = pilot_table({.seeds = 3});
      for (FactorialRow r : factorial(0, noise).factorial) {
        const double sign = r.w_bits < r.a_bits ? 1 : r.w_bits > r.a_bits ? -1 : 0;
        if (r.w_bits < 16 && r.a_bits < 16) r.delta *= 1 + sign * interaction;
        r.run = fmt::format("s{}", r.seed), r.delta_se = noise * r.delta;
        table.factorial.push_back(r);
      }
      std::vector<PlannedRun> runs = design(3);
      for (PlannedRun& run : runs) run.interactions = 4;
      return of(expected_power(pilot_of(table, thresholds()), runs, thresholds(), {.worlds = 20}), "Q6");
    };
    const Power both_signs = q6(0.2, 0.01);
    CHECK(both_signs.refuted == 1);
    CHECK_NEAR(std::abs(both_signs.truth), 0.2, 0.1, 0);
    CHECK(q6(0, 1e-4).supported == 1);
    CHECK(q6(0, 0.05).inconclusive > 0.9);
    CHECK(q6(0, 0.05).half_width > q6(0, 0.05).margin);
  }

  TEST_CASE("expected_power: a pilot that says nothing is named as such, and equal calls give equal bits") {
    for (const Power& p : expected_power(pilot_of({}, thresholds()), design(2), thresholds(), {}))
      CHECK(!p.problem.empty());
    for (const Power& p :
         expected_power(pilot_of(pilot_table({.seeds = 1, .sizes = {1e5}}), thresholds()), design(2), thresholds(), {}))
      CHECK_MESSAGE(p.problem.find(p.id == "Q6" ? "too few usable rows" : "do not repeat") != std::string::npos,
                    p.id << ": " << p.problem);
    const auto one = power_of({}, 2), two = power_of({}, 2);
    for (std::size_t i = 0; i < one.size(); ++i)  // Q6 has no rows here and no width
      CHECK((one[i].half_width == two[i].half_width || (one[i].id == "Q6" && !one[i].problem.empty())));
  }
}
