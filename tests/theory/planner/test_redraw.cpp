#include "theory/planner/redraw.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "sim/base/mean.hpp"
#include "tests/support/near.hpp"
#include "tests/theory/planted/runs.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Two sizes, four token counts, four seeds, first-order terms of either sign.
Table pilot() {
  Table table = planted(World{.seeds = 4, .sizes = {3e4, 1e5}});
  for (std::size_t i = 0; i < table.ptq.size(); ++i) {
    PtqRow& r = table.ptq[i];
    r.gradient = 0.5 * r.delta * normal(Stream{81, Domain::test}, i);
    r.delta += r.gradient;
  }
  return table;
}

/// ln of the damage less its first-order term at one place of the design, seed by seed.
std::vector<double> values_at(const Table& table, double N, double D, double P) {
  std::vector<double> values;
  for (const PtqRow& r : table.ptq)
    if (r.N == N && r.D == D && r.P == P) values.push_back(std::log(r.delta - r.gradient));
  return values;
}

double mean_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}
double covariance_of(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - mean_of(x)) * (y[i] - mean_of(y));
  return sum / (static_cast<double>(x.size()) - 1);
}

}  // namespace

TEST_SUITE("redraw") {
  TEST_CASE("Redraw: means, variances and covariances over seeds are the pilot's") {
    constexpr int many = 4000;  // standard error of a mean: sd/63, of a variance: 2.2 %
    const Table before = pilot(), after = Redraw(before).draw(many, 3);
    for (const double D : {1e6, 1e8})
      for (const double P : {3.0, 6.0}) {
        const auto old = values_at(before, 1e5, D, P), drawn = values_at(after, 1e5, D, P);
        REQUIRE(drawn.size() == many);
        const double variance = covariance_of(old, old);
        CHECK(std::abs(mean_of(drawn) - mean_of(old)) < 4 * std::sqrt(variance / many));
        CHECK(std::abs(covariance_of(drawn, drawn) / variance - 1) < 0.1);
      }
    const auto of = [](const Table& t, double P) { return values_at(t, 3e4, 1e7, P); };
    const double scale =
        std::sqrt(covariance_of(of(before, 3), of(before, 3)) * covariance_of(of(before, 5), of(before, 5)));
    CHECK(std::abs(covariance_of(of(after, 3), of(after, 5)) - covariance_of(of(before, 3), of(before, 5))) <
          0.1 * scale);
  }

  TEST_CASE("Redraw: sizes deviate independently of each other, and new seeds of each other") {
    constexpr int many = 4000;
    Table before = pilot();  // the sizes deviate alike in it
    for (std::size_t i = 0; i < before.ptq.size() / 2; ++i) {
      PtqRow &a = before.ptq[i], &b = before.ptq[before.ptq.size() / 2 + i];
      REQUIRE((a.N == 3e4 && b.N == 1e5 && a.seed == b.seed));
      b.delta = 2 * a.delta, b.gradient = 2 * a.gradient;
    }
    const Table after = Redraw(before).draw(many, 3);
    const auto small = values_at(after, 3e4, 1e7, 4), large = values_at(after, 1e5, 1e7, 4);
    const double correlation =
        covariance_of(small, large) / std::sqrt(covariance_of(small, small) * covariance_of(large, large));
    CHECK(std::abs(correlation) < 4 / std::sqrt(double(many)));
    CHECK(small[0] != small[1]);
  }

  TEST_CASE("Redraw: a row keeps what was chosen, and a trajectory has one run and one seed") {
    const Table before = pilot(), after = Redraw(before).draw(5, 1);
    CHECK(after.ptq.size() == before.ptq.size() / 4 * 5);
    CHECK(after.losses.size() == before.losses.size() / 4 * 5);
    std::map<std::pair<std::string, std::int64_t>, std::string> runs;
    for (const PtqRow& r : after.ptq) {
      CHECK(runs.try_emplace({r.model, r.seed}, r.run).first->second == r.run);
      CHECK((r.seed >= 0 && r.seed < 5));
    }
    CHECK(runs.size() == 10);
  }

  TEST_CASE("Redraw: equal worlds have equal bits, others do not, and one seed has no scatter") {
    const Redraw redraw(pilot());
    CHECK(redraw.seeds() == 4);
    CHECK(redraw.draw(3, 7).ptq[5].delta == redraw.draw(3, 7).ptq[5].delta);
    CHECK(redraw.draw(3, 7).ptq[5].delta != redraw.draw(3, 8).ptq[5].delta);
    const Redraw single(planted(World{.seeds = 1}));
    CHECK(single.seeds() == 1);
    CHECK(single.draw(2, 7).ptq[5].delta == single.draw(2, 8).ptq[5].delta);
  }

  TEST_CASE("Redraw::with: the planted truth replaces the means, and deviations stay") {
    const Redraw redraw(pilot());
    const Redraw doubled = redraw.with([](Table& mean) {
      for (PtqRow& r : mean.ptq) r.delta = 2 * (r.delta - r.gradient) + r.gradient;
    });
    const Table a = redraw.draw(3, 5), b = doubled.draw(3, 5);
    for (std::size_t i = 0; i < a.ptq.size(); ++i)
      CHECK(test::near(b.ptq[i].delta - b.ptq[i].gradient, 2 * (a.ptq[i].delta - a.ptq[i].gradient), 1e-9));
  }

  TEST_CASE("Redraw: numbers that no seed has stay unknown, one missing seed leaves the others") {
    Table table = pilot();
    for (PtqRow& r : table.ptq) r.quadratic = NAN;
    table.ptq[0].predicted = NAN;
    const Table drawn = Redraw(table).draw(2, 1);
    CHECK(std::isnan(drawn.ptq[0].quadratic));
    CHECK(std::isfinite(drawn.ptq[0].predicted));
  }
}
