#include "theory/fits/grouped.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Three sizes, some seeds, five token counts, four bits: y = 1 + x0/2 - x1/3 - 1.5 x2 + scatter.
struct World {
  int seeds = 2;
  std::vector<double> sizes{10.3, 11.5, 12.6};
  double run = 0.1, checkpoint = 0.05, row = 0.03, se = 0.02;
  std::uint64_t seed = 0;
};

double law_of(const std::vector<double>& x) { return 1 + x[0] / 2 - x[1] / 3 - 1.5 * x[2]; }

std::vector<GroupedRow> planted(const World& w) {
  std::vector<GroupedRow> rows;
  std::uint64_t draw = 0;
  const auto z = [&] { return normal(Stream{w.seed, Domain::test}, draw++); };
  std::int64_t run = 0;
  for (const double size : w.sizes)
    for (int s = 0; s < w.seeds; ++s, ++run) {
      const double of_run = w.run * z();
      for (int d = 0; d < 5; ++d) {
        const double of_checkpoint = w.checkpoint * z();
        for (const double bits : {3.0, 4.0, 5.0, 6.0}) {
          GroupedRow r{{14.0 + d, size, bits}, 0, w.se, run, d};
          r.y = law_of(r.x) + of_run + of_checkpoint + w.row * z() + w.se * z();
          rows.push_back(r);
        }
      }
    }
  return rows;
}

/// Share of `worlds` whose interval at x holds what a new run there measures, its own scatters drawn.
double coverage(World world, const std::vector<double>& x, int worlds) {
  int held = 0;
  for (int i = 0; i < worlds; ++i) {
    world.seed = static_cast<std::uint64_t>(i);
    const NewRun made = predict_new_run(fit_grouped(planted(world)), x, 0.95);
    const auto z = [&](std::uint64_t k) { return normal(Stream{world.seed, Domain::test, 1}, k); };
    const double truth = law_of(x) + world.run * z(0) + world.checkpoint * z(1) + world.row * z(2);
    held += truth >= made.low && truth <= made.high;
  }
  return static_cast<double>(held) / worlds;
}

}  // namespace

TEST_SUITE("grouped fit") {
  TEST_CASE("fit_grouped: the interval of a new run holds in 90 to 98 % of 200 planted worlds") {
    for (const int seeds : {2, 4}) {
      const double inside = coverage({.seeds = seeds}, {16, 11, 4}, 200);
      CHECK_MESSAGE((inside >= 0.90 && inside <= 0.98), fmt::format("{} seeds: {:.3f}", seeds, inside));
    }
    const double beyond = coverage({.seeds = 3}, {20, 13.5, 4}, 200);
    CHECK_MESSAGE((beyond >= 0.90 && beyond <= 0.98), fmt::format("beyond the grid: {:.3f}", beyond));
    const double calm = coverage({.seeds = 3, .run = 0}, {16, 11, 4}, 200);
    CHECK_MESSAGE((calm >= 0.90 && calm <= 0.99), fmt::format("no scatter between runs: {:.3f}", calm));
  }

  TEST_CASE("fit_grouped: finds the three scatters and the coefficients of many runs") {
    const GroupedFit fit = fit_grouped(planted({.seeds = 40}));
    REQUIRE(fit.is_usable());
    CHECK_NEAR(fit.scatter.run.sd, 0.1, 0.15, 0);
    CHECK_NEAR(fit.scatter.checkpoint.sd, 0.05, 0.1, 0);
    CHECK_NEAR(fit.scatter.row.sd, 0.03, 0.1, 0);
    CHECK(fit.scatter.run.freedom == 120 - 2);
    CHECK(fit.scatter.checkpoint.freedom == 600 - 120 - 1);
    CHECK(fit.scatter.row.freedom == 2400 - 600 - 1);
    const double truth[] = {1, 0.5, -1.0 / 3, -1.5};
    for (Index j = 0; j < 4; ++j)
      CHECK(std::abs(fit.coefficients[static_cast<std::size_t>(j)] - truth[j]) < 3 * std::sqrt(fit.covariance(j, j)));
    CHECK(std::sqrt(fit.covariance(2, 2)) > 5 * std::sqrt(fit.covariance(1, 1)));  // sizes differ between runs only
  }

  TEST_CASE("fit_grouped: rows without scatter between them are fitted exactly") {
    const GroupedFit fit = fit_grouped(planted({.run = 0, .checkpoint = 0, .row = 0, .se = 0}));
    REQUIRE(fit.is_usable());
    CHECK_NEAR(fit.value({17.5, 12, 3.5}), law_of({17.5, 12, 3.5}), 0, 1e-8);
    const NewRun made = predict_new_run(fit, {16, 11, 4}, 0.95);
    CHECK(made.high - made.low < 1e-3);
  }

  TEST_CASE("fit_grouped: known scatters are kept, and equal those that the same rows give") {
    const auto rows = planted({});
    const GroupedFit fit = fit_grouped(rows), again = fit_grouped(rows, fit.scatter);
    for (std::size_t j = 0; j < 4; ++j) CHECK(again.coefficients[j] == fit.coefficients[j]);
    CHECK(again.covariance == fit.covariance);
  }

  TEST_CASE("fit_grouped: one size leaves its exponent out, one run its scatter") {
    const GroupedFit one_size = fit_grouped(planted({.seeds = 3, .sizes = {11}}));
    REQUIRE(one_size.is_usable());
    CHECK(one_size.not_identified == std::vector<bool>{false, true, false});
    CHECK(one_size.coefficients[2] == 0);
    CHECK(one_size.scatter.run.freedom == 2);
    const Scatter found{{0, 1}, {0.05, 6}, {0.03, 25}};  // none between two runs, as chance may have it
    const GroupedFit calm = fit_grouped(planted({.seeds = 2, .sizes = {11}}), found);
    const NewRun made = predict_new_run(calm, {16, 11, 4}, 0.95);
    CHECK((made.low < made.law_low && made.law_low < made.estimate));
    CHECK((made.estimate < made.law_high && made.law_high < made.high));
    const GroupedFit one_run = fit_grouped(planted({.seeds = 1, .sizes = {11}}));
    REQUIRE(one_run.is_usable());
    CHECK(one_run.scatter.run.freedom == 0);
    CHECK(one_run.scatter.run.sd == 0);
  }

  TEST_CASE("fit_grouped: too few, collinear and broken rows are outcomes") {
    CHECK(fit_grouped({}).stop == Stop::too_few_rows);
    auto rows = planted({});
    for (GroupedRow& r : rows) r.x[1] = 2 * r.x[0];
    CHECK(fit_grouped(rows).stop == Stop::rank_deficient);
    rows = planted({});
    rows[3].y = NAN;
    CHECK(fit_grouped(rows).stop == Stop::failed);
  }
}
