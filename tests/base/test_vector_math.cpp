#include "sim/base/vector_math.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "sim/base/gemm.hpp"
#include "sim/base/vector_ops.hpp"
#include "tests/support/draws.hpp"

namespace hone::test {
namespace {

/// The sum as it is defined, of terms that were formed before.
template <class S>
S sum_by_definition(const std::vector<S>& terms) {
  const size_t block = 64 / sizeof(S);
  std::vector<S> lane(block, S(0));
  for (size_t i = 0; i < terms.size(); ++i) lane[i % block] = lane[i % block] + terms[i];
  for (size_t half = block / 2; half > 0; half /= 2)
    for (size_t l = 0; l < half; ++l) lane[l] = lane[l] + lane[l + half];
  return lane[0];
}

TEST_CASE_TEMPLATE("sums: 16 or 8 partial sums, then by halves, at every length and address", S, float, double) {
  const AlignedVector<S> x = aligned_normals<S>(300, 1), y = aligned_normals<S>(300, 2);
  for (Index n = 0; n < 200; ++n)
    for (const Index shift : {0, 1, 3, 7}) {
      std::vector<S> products;
      for (Index i = 0; i < n; ++i) products.push_back(x[size_t(i + shift)] * y[size_t(i)]);
      CHECK(dot_product<S>(x.data() + shift, y.data(), n) == sum_by_definition(products));
    }
}

/// All finite floats of a stride through their bit patterns, then the corners.
template <class S, class Body>
void for_arguments(S low, S high, Body&& body) {
  for (int i = 0; i <= 200000; ++i) body(low + (high - low) * S(i) / S(200000));
}

template <class S>
double ulps(S got, long double exact) {
  const S rounded = S(exact);
  if (got == rounded) return 0;
  const S spacing = std::max(std::nextafter(std::abs(rounded), std::numeric_limits<S>::infinity()) - std::abs(rounded),
                             std::numeric_limits<S>::denorm_min());
  return double(std::abs((long double)(got)-exact) / (long double)(spacing));
}

TEST_CASE_TEMPLATE("exp: within 2 units in the last place over the whole range, subnormal results too", S, float,
                   double) {
  const S low = std::is_same_v<S, float> ? S(-104) : S(-745), high = std::is_same_v<S, float> ? S(88.7) : S(709.7);
  double worst = 0;
  for_arguments<S>(low, high,
                   [&](S x) { worst = std::max(worst, ulps(any::exponential(x), std::exp((long double)x))); });
  for_arguments<S>(S(-1), S(1),
                   [&](S x) { worst = std::max(worst, ulps(any::exponential(x), std::exp((long double)x))); });
  MESSAGE("worst error ", worst, " units in the last place");
  CHECK(worst < 2);
}

TEST_CASE_TEMPLATE("exp: 1 at 0, 0 far below, infinite far above, NaN at NaN", S, float, double) {
  const S infinity = std::numeric_limits<S>::infinity();
  CHECK(any::exponential(S(0)) == 1);
  CHECK(any::exponential(S(-0.0)) == 1);
  CHECK(any::exponential(-infinity) == 0);
  CHECK(any::exponential(S(-1e4)) == 0);
  CHECK(any::exponential(infinity) == infinity);
  CHECK(any::exponential(S(1e4)) == infinity);
  CHECK(std::isnan(any::exponential(std::numeric_limits<S>::quiet_NaN())));
}

TEST_CASE_TEMPLATE("tanh: within a relative 3e-7 (float) or 4e-15 (double), odd, 1 far out, NaN at NaN", S, float,
                   double) {
  const double tolerance = std::is_same_v<S, float> ? 3e-7 : 4e-15;
  double worst = 0;
  const auto look = [&](S x) {
    if (x == 0) return;
    const double exact = std::tanh(double(x));
    worst = std::max(worst, std::abs(double(any::hyperbolic_tangent(x)) - exact) / std::abs(exact));
  };
  for_arguments<S>(S(-12), S(12), look);
  for_arguments<S>(S(-0.2), S(0.2), look);
  MESSAGE("worst relative error ", worst);
  CHECK(worst < tolerance);
  CHECK(any::hyperbolic_tangent(S(-0.7)) == -any::hyperbolic_tangent(S(0.7)));
  CHECK(any::hyperbolic_tangent(S(1e3)) == 1);
  CHECK(std::isnan(any::hyperbolic_tangent(std::numeric_limits<S>::quiet_NaN())));
}

TEST_CASE_TEMPLATE("largest: the largest of every length", S, float, double) {
  const AlignedVector<S> x = aligned_normals<S>(130, 4);
  for (Index n = 1; n <= 130; ++n) CHECK(any::largest(x.data(), n) == *std::max_element(x.begin(), x.begin() + n));
}

}  // namespace
}  // namespace hone::test
