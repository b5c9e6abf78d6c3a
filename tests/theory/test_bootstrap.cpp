#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"
#include "theory/bootstrap.hpp"
#include "theory/fit.hpp"
#include "theory/solvable.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

double mean_of(const std::vector<double>& y, const std::vector<std::size_t>& rows) {
  double sum = 0;
  for (const std::size_t i : rows) sum += y[i];
  return sum / static_cast<double>(rows.size());
}

/// Replications out of 60 in which the 90 % interval of gamma_D holds the planted value.
int covered(double run_noise) {
  int hits = 0;
  for (std::uint64_t replication = 0; replication < 60; ++replication) {
    PlantedLaw planted;
    planted.run_noise = run_noise;
    planted.row_noise = run_noise / 2;
    std::vector<Observation> all;
    std::vector<RowKey> keys;
    for (const PtqRow& r : planted_ptq({.P = {3, 4}, .seed = replication}, planted)) {
      const auto cell = static_cast<std::int64_t>(std::lround(100 * std::log(r.N) + 1e6 * std::log(r.D)));
      all.push_back({{r.N, r.D, r.P}, std::log(r.delta), 1, cell, r.seed});
      keys.push_back({cell, r.seed});
    }
    const auto gamma = [&](const std::vector<std::size_t>& rows) {
      std::vector<Observation> drawn;
      for (const std::size_t i : rows) drawn.push_back(all[i]);
      return std::vector<double>{fit_linear(LawKind::ptq_exponential, drawn, {}).parameters[1]};
    };
    const Interval g = bootstrap(keys, gamma, {.replicates = 200, .level = 0.9})[0];
    CHECK(g.failures == 0);
    if (g.low <= planted.gamma_d && planted.gamma_d <= g.high) ++hits;
  }
  return hits;
}

}  // namespace

TEST_SUITE("bootstrap") {
  TEST_CASE("bootstrap: 90 % intervals of a planted exponent cover it in 48 to 60 of 60 replications") {
    for (const double noise : {0.01, 0.1, 0.5}) {
      const int hits = covered(noise);
      CHECK_MESSAGE(hits >= 48, "noise ", noise, ": ", hits, " of 60");
    }
  }

  TEST_CASE("bootstrap: rows of one seed are never separated") {
    const std::vector<RowKey> keys{{0, 0}, {0, 0}, {0, 1}, {0, 1}, {1, 0}, {1, 0}};
    const auto counts = [](const std::vector<std::size_t>& rows) {
      std::vector<double> n(6);
      for (const std::size_t i : rows) ++n[i];
      return std::vector<double>{n[0] - n[1], n[2] - n[3], n[4] - n[5]};
    };
    for (const Interval& i : bootstrap(keys, counts, {.replicates = 200})) {
      CHECK(i.low == 0);
      CHECK(i.high == 0);
    }
  }

  TEST_CASE(
      "bootstrap: the interval of a mean has the width of its standard error [25 cells of one "
      "row]") {
    std::vector<double> y;
    std::vector<RowKey> keys;
    for (int i = 0; i < 25; ++i) {
      y.push_back(normal(Stream{4, Domain::test}, static_cast<std::uint64_t>(i)));
      keys.push_back({i, 0});
    }
    double mean = 0;
    for (const double v : y) mean += v / 25;
    double squares = 0;
    for (const double v : y) squares += (v - mean) * (v - mean);
    const double se = std::sqrt(squares / 25 / 25);
    const auto interval = bootstrap(keys, [&](const auto& rows) { return std::vector<double>{mean_of(y, rows)}; },
                                    {.replicates = 4000})[0];
    CHECK_NEAR(interval.estimate, mean, 1e-12, 0);
    CHECK_NEAR(interval.low, mean - 1.96 * se, 0, 0.2 * se);
    CHECK_NEAR(interval.high, mean + 1.96 * se, 0, 0.2 * se);
  }

  TEST_CASE("bootstrap: equal seeds give equal bits, other seeds other draws") {
    const std::vector<double> y{1, 2, 4, 8, 16};
    const std::vector<RowKey> keys{{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}};
    const auto run = [&](std::uint64_t seed) {
      return bootstrap(keys, [&](const auto& rows) { return std::vector<double>{mean_of(y, rows)}; },
                       {.replicates = 51, .seed = seed})[0];
    };
    CHECK(run(1).low == run(1).low);
    CHECK(run(1).high == run(1).high);
    CHECK((run(1).low != run(2).low || run(1).high != run(2).high));
  }

  TEST_CASE("bootstrap: failures are counted, and more than half of them leave no interval") {
    const std::vector<RowKey> keys{{0, 0}, {1, 0}, {2, 0}};
    const auto distinct_cells = [](std::size_t wanted) {
      return [wanted](const std::vector<std::size_t>& rows) {
        const std::set<std::size_t> some(rows.begin(), rows.end());
        return std::vector<double>{some.size() >= wanted ? 1.0 : NAN};
      };
    };
    const auto most = bootstrap(keys, distinct_cells(2), {.replicates = 900})[0];  // 8/9 succeed
    CHECK_NEAR(most.failures, 100, 0.35, 0);
    CHECK(most.low == 1);
    const auto few = bootstrap(keys, distinct_cells(3), {.replicates = 900})[0];  // 2/9 succeed
    CHECK_NEAR(few.failures, 700, 0.1, 0);
    CHECK(std::isnan(few.low));
    CHECK(few.estimate == 1);
  }

  TEST_CASE("bootstrap: no rows and a level of 1 are contract errors") {
    const Statistic one = [](const auto&) { return std::vector<double>{1}; };
    CHECK_THROWS_AS(bootstrap({}, one, {}), ContractError);
    CHECK_THROWS_AS(bootstrap({{0, 0}}, one, {.level = 1}), ContractError);
  }
}
