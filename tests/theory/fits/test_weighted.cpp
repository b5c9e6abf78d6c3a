#include "theory/fits/weighted.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// y = slope x + 0.3 t + constant of the group, x read with an error of sd `error`.
struct Sample {
  std::vector<double> x, variance, beside, y, sigma;
  std::vector<std::size_t> group;
};

Sample read_with_errors(double slope, double error, int rows) {
  Sample s;
  for (int i = 0; i < rows; ++i) {
    const auto at = static_cast<std::uint64_t>(3 * i);
    const double t = normal(Stream{71, Domain::test}, at), x = 0.6 * t + 0.5 * normal(Stream{71, Domain::test}, at + 1);
    s.x.push_back(x + error * normal(Stream{71, Domain::test}, at + 2));
    s.variance.push_back(error * error);
    s.beside.push_back(t);
    s.group.push_back(static_cast<std::size_t>(i % 3));
    s.y.push_back(slope * x + 0.3 * t + 5.0 * (i % 3));
    s.sigma.push_back(i % 2 == 0 ? 0.1 : 0.2);
  }
  return s;
}

double slope_of(const Sample& s, const std::vector<double>& variance) {
  return slope_with_errors(s.x, variance, {s.beside}, s.y, s.sigma, s.group, all_indices(s.x.size()));
}

}  // namespace

TEST_SUITE("weighted") {
  TEST_CASE("slope_with_errors: gives back the slope that errors of x flatten, beside another column and groups") {
    const Sample s = read_with_errors(0.8, 0.25, 20000);
    CHECK_NEAR(slope_of(s, s.variance), 0.8, 0, 0.02);
    const double flattened = slope_of(s, std::vector<double>(s.x.size(), 0));
    CHECK_NEAR(flattened, 0.8 * 0.25 / (0.25 + 0.0625), 0, 0.02);  // 0.5² of spread beside t, 0.25² of error
    CHECK_NEAR(flattened, regress_within({s.x, s.beside}, s.y, s.sigma, s.group, all_indices(s.x.size()))[0], 1e-12, 0);
  }

  TEST_CASE("slope_with_errors: exact columns give the slope of least squares, unknown variances count as 0") {
    const Sample s = read_with_errors(0.8, 0, 60);
    CHECK_NEAR(slope_of(s, s.variance), 0.8, 1e-9, 0);
    CHECK(slope_of(s, std::vector<double>(s.x.size(), NAN)) == slope_of(s, s.variance));
  }

  TEST_CASE("slope_with_errors: errors as large as the spread leave no slope") {
    const Sample s = read_with_errors(0.8, 0, 60);
    CHECK(std::isnan(slope_of(s, std::vector<double>(s.x.size(), 10))));
  }
}
