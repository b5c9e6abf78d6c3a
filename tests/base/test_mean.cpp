// Means, standard errors and t intervals.
#include "sim/base/mean.hpp"

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"

namespace hone {
namespace {

TEST_CASE("mean: mean and standard error by their formulas") {
  const MeanEstimate m = mean_with_error({1, 2, 6});
  CHECK_NEAR(m.mean, 3, 0, 0);
  CHECK_NEAR(m.standard_error, std::sqrt(7.0 / 3), 1e-15, 0);
  CHECK(m.count == 3);
}

TEST_CASE("mean: one value has an infinite error and interval, none is a contract error") {
  CHECK(mean_with_error({4}).standard_error == INFINITY);
  CHECK(half_width(mean_with_error({4}), 0.95) == INFINITY);
  CHECK_THROWS_AS(mean_with_error({}), ContractError);
}

TEST_CASE("mean: t quantiles are those of the tables") {
  CHECK_NEAR(normal_quantile(0.95), 1.95996398454005, 1e-13, 0);
  CHECK_NEAR(t_quantile(0.95, 1), 12.7062047364, 1e-10, 0);
  CHECK_NEAR(t_quantile(0.95, 15), 2.13144954556, 1e-10, 0);
  CHECK_NEAR(t_quantile(0.99, 4), 4.60409487142, 1e-10, 0);
  CHECK(t_quantile(0.95, 0) == INFINITY);
  CHECK_THROWS_AS(t_quantile(1, 5), ContractError);
}

TEST_CASE("mean: the half width is quantile times error, and 0 for equal values") {
  const MeanEstimate m = mean_with_error({1, 2, 6});
  CHECK_NEAR(half_width(m, 0.95), 4.30265272975 * m.standard_error, 1e-10, 0);
  CHECK(half_width(mean_with_error({2, 2}), 0.95) == 0);
}

}  // namespace
}  // namespace hone
