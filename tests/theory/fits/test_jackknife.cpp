#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"
#include "theory/fits/jackknife.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

double draw(std::size_t i) { return normal(Stream{4, Domain::test}, i); }

Statistic mean_of(const std::vector<double>& y) {
  return [&y](const std::vector<std::size_t>& rows) {
    double sum = 0;
    for (const std::size_t i : rows) sum += y[i];
    return std::vector<double>{sum / static_cast<double>(rows.size())};
  };
}

double students_t(double freedom, double level) {
  return boost::math::quantile(boost::math::students_t(freedom), (1 + level) / 2);
}

/// Trace rows on `sizes` × 6 token counts × `seeds` with an offset of each trajectory and noise of each row.
std::vector<Observation> trajectories(int sizes, int seeds, double shared, double own) {
  std::vector<Observation> rows;
  for (int m = 0; m < sizes; ++m)
    for (int s = 0; s < seeds; ++s)
      for (int d = 0; d < 6; ++d) {
        const Point x{1e4 * std::exp2(m), 1e5 * std::exp2(d), 0};
        const double y = 1 + 0.5 * std::log(x.D) - 0.3 * std::log(x.N) +
                         shared * draw(static_cast<std::size_t>(1000 + 10 * m + s)) + own * draw(rows.size());
        rows.push_back({x, y, 1, 6 * m + d, s});
      }
  return rows;
}

}  // namespace

TEST_SUITE("jackknife") {
  TEST_CASE("jackknife: a mean of one row per trajectory has the classical interval of Student's t") {
    std::vector<double> y;
    std::vector<RowKey> keys;
    double mean = 0, squares = 0;
    for (int i = 0; i < 9; ++i) y.push_back(draw(static_cast<std::size_t>(i))), keys.push_back({0, 1e4, i});
    for (const double v : y) mean += v / 9;
    for (const double v : y) squares += (v - mean) * (v - mean);
    for (const double level : {0.5, 0.95, 0.999}) {
      const Interval i = jackknife(keys, mean_of(y), {.level = level})[0];
      const double reach = students_t(8, level) * std::sqrt(squares / 8 / 9);
      CHECK_NEAR(i.estimate, mean, 1e-14, 0);
      CHECK_NEAR(i.high - i.estimate, reach, 1e-12, 0);
      CHECK_NEAR(i.estimate - i.low, reach, 1e-12, 0);
    }
  }

  TEST_CASE("jackknife: of a line it is CV3, each row's residual over one minus its leverage") {
    std::vector<double> x, y;
    std::vector<RowKey> keys;
    for (int i = 0; i < 7; ++i) {
      x.push_back(i * i);
      y.push_back(2 * x.back() + draw(static_cast<std::size_t>(i)));
      keys.push_back({i, 1.0 + i, 0});
    }
    const auto slope = [&](const std::vector<std::size_t>& rows) {
      double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
      for (const std::size_t i : rows) n += 1, sx += x[i], sy += y[i], sxx += x[i] * x[i], sxy += x[i] * y[i];
      return std::vector<double>{(n * sxy - sx * sy) / (n * sxx - sx * sx)};
    };
    const double b = slope({0, 1, 2, 3, 4, 5, 6})[0];
    double mx = 0, my = 0, sxx = 0, squares = 0;
    for (std::size_t i = 0; i < 7; ++i) mx += x[i] / 7, my += y[i] / 7;
    for (const double v : x) sxx += (v - mx) * (v - mx);
    for (std::size_t i = 0; i < 7; ++i) {
      const double leverage = 1.0 / 7 + (x[i] - mx) * (x[i] - mx) / sxx;
      const double score = (x[i] - mx) / sxx * (y[i] - my - b * (x[i] - mx)) / (1 - leverage);
      squares += score * score;
    }
    const Interval interval = jackknife(keys, slope, {})[0];
    CHECK_NEAR(interval.high - b, students_t(6, 0.95) * std::sqrt(6.0 / 7 * squares), 1e-9, 0);
  }

  TEST_CASE("jackknife: rows of one size and seed leave together, whatever their cell; other sizes and seeds do not") {
    const std::vector<RowKey> keys{{0, 1e4, 0}, {1, 1e4, 0}, {2, 1e4, 1}, {3, 2e4, 0}, {4, 2e4, 0}};
    std::set<std::vector<std::size_t>> samples;
    const auto record = [&](const std::vector<std::size_t>& rows) {
      samples.insert(rows);
      return std::vector<double>{0};
    };
    jackknife(keys, record, {});
    CHECK(samples == std::set<std::vector<std::size_t>>{{0, 1, 2, 3, 4}, {2, 3, 4}, {0, 1, 3, 4}, {0, 1, 2}});
  }

  TEST_CASE("jackknife: one trajectory, or a number that one trajectory alone defines, has no interval") {
    const auto one = jackknife({{0, 1e4, 0}, {1, 1e4, 0}}, mean_of({1, 2}), {})[0];
    CHECK(one.estimate == 1.5);
    CHECK(std::isnan(one.low));
    CHECK(std::isnan(one.high));
    const auto needs_first = [](const std::vector<std::size_t>& rows) {
      return std::vector<double>{rows[0] == 0 ? 1.0 : NAN, 2};
    };
    const auto both = jackknife({{0, 1, 0}, {0, 2, 0}, {0, 3, 0}}, needs_first, {});
    CHECK(both[0].failures == 1);
    CHECK(std::isnan(both[0].low));
    CHECK(both[1].failures == 0);
    CHECK(both[1].low == 2);
  }

  TEST_CASE("jackknife: threads change no bit") {
    const auto rows = trajectories(4, 3, 0.1, 0.1);
    const auto run = [&](int threads) {
      return fit_intervals(LawKind::sharpness_saturating, rows, {.starts = 3}, {.threads = threads}).parameters;
    };
    const auto alone = run(1), together = run(3);
    REQUIRE(alone.size() == 4);
    for (std::size_t k = 0; k < 4; ++k) {
      CHECK(alone[k].low == together[k].low);
      CHECK(alone[k].high == together[k].high);
    }
  }

  TEST_CASE("jackknife: no rows, a level of 1 and a statistic of changing length are contract errors") {
    const Statistic one = [](const auto&) { return std::vector<double>{1}; };
    const Statistic changing = [](const auto& rows) { return std::vector<double>(rows.size(), 1.0); };
    CHECK_THROWS_AS(jackknife({}, one, {}), ContractError);
    CHECK_THROWS_AS(jackknife({{0, 1, 0}}, one, {.level = 1}), ContractError);
    CHECK_THROWS_AS(jackknife({{0, 1, 0}, {0, 2, 0}}, changing, {.threads = 2}), ContractError);
  }

  TEST_CASE("fit_intervals: noise shared by a trajectory widens the exponent of size, not that of tokens") {
    const auto shared = fit_intervals(LawKind::sharpness_power, trajectories(5, 3, 0.3, 0.02), {}, {}).parameters;
    const auto own = fit_intervals(LawKind::sharpness_power, trajectories(5, 3, 0, 0.02), {}, {}).parameters;
    CHECK(shared[2].high - shared[2].low > 10 * (own[2].high - own[2].low));
    CHECK_NEAR(shared[1].high - shared[1].low, own[1].high - own[1].low, 0.05, 0);
  }

  TEST_CASE(
      "fit_intervals: with a single size its exponent has no interval, that of tokens has; a failed fit has none") {
    const auto rows = trajectories(1, 3, 0.1, 0.1);
    const FitIntervals one = fit_intervals(LawKind::sharpness_power, rows, {}, {});
    CHECK(std::isfinite(one.parameters[1].low));
    CHECK(std::isnan(one.parameters[2].low));
    CHECK(one.parameters[2].failures == 3);
    CHECK(fit_intervals(LawKind::sharpness_power, {rows[0]}, {}, {}).parameters.empty());
  }
}
