// Hutch++ and XTrace against known traces, and the certified trace.
#include "sim/curvature/sketch.hpp"

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "tests/support/spectrum.hpp"

namespace hone {
namespace {

using Estimator = TraceEstimate (*)(const LinearOperator&, const SketchOptions&);

/// Mean and root mean square error of the estimates over seeds.
struct Repeated {
  MeanEstimate mean;
  double error = 0;
};
template <class Estimate>
Repeated repeat(int seeds, double truth, Estimate&& estimate) {
  std::vector<double> values;
  double squares = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    values.push_back(estimate(std::uint64_t(seed)));
    squares += std::pow(values.back() - truth, 2) / seeds;
  }
  return {mean_with_error(values), std::sqrt(squares)};
}

Vector<double> decaying(Index n) {
  Vector<double> spectrum(n);
  for (Index i = 0; i < n; ++i) spectrum[i] = (i % 4 ? 1 : -1) * std::pow(0.8, double(i));
  return spectrum;
}

TEST_CASE("sketches: unbiased for an indefinite matrix [300 seeds, 4 standard errors]") {
  const test::SpectralCase flat(Vector<double>::LinSpaced(40, -1, 1.5), 1), steep(decaying(40), 2);
  for (const test::SpectralCase* c : {&flat, &steep})
    for (Estimator estimator : {Estimator(hutch_plus_plus), Estimator(xtrace)}) {
      const Repeated r = repeat(300, c->spectrum.sum(), [&](std::uint64_t seed) {
        return estimator(c->op, {.products = 12, .seed = seed}).mean;
      });
      CHECK_NEAR(r.mean.mean, c->spectrum.sum(), 0, 4 * r.mean.standard_error);
    }
}

TEST_CASE("sketches: far more accurate than Hutchinson at equal cost when the spectrum decays") {
  const test::SpectralCase c(decaying(100), 3);
  const double truth = c.spectrum.sum();
  const double plain =
      repeat(40, truth, [&](std::uint64_t s) { return hutchinson_trace(c.op, {.probes = 36, .seed = s}).mean; }).error;
  const double sketch =
      repeat(40, truth, [&](std::uint64_t s) { return hutch_plus_plus(c.op, {.products = 36, .seed = s}).mean; }).error;
  const double exchange =
      repeat(40, truth, [&](std::uint64_t s) { return xtrace(c.op, {.products = 36, .seed = s}).mean; }).error;
  CHECK(sketch < 0.2 * plain);
  CHECK(exchange < 0.5 * sketch);
}

TEST_CASE("sketches: 0.7^i, n = 1000, 25 products, true 3.33333: errors of published size") {
  Vector<double> spectrum(1000);
  for (Index i = 0; i < 1000; ++i) spectrum[i] = std::pow(0.7, double(i));
  // Q diag Q' with the reflection Q = I - 2uu'/u'u: dense, and cheap at this size.
  const Vector<double> u = test::normals(1000, 4).normalized();
  const LinearOperator op{1000, [&](const Vector<double>& v, Vector<double>& r) {
                            r = spectrum.cwiseProduct(v - 2 * u.dot(v) * u);
                            r -= 2 * u.dot(r) * u;
                          }};
  const double truth = 10.0 / 3;
  const auto error = [&](Estimator e, int products) {
    return repeat(20, truth, [&](std::uint64_t s) { return e(op, {.products = products, .seed = s}).mean; }).error;
  };
  CHECK(error(hutch_plus_plus, 25) < 0.03 * truth);
  CHECK(error(xtrace, 25) < 0.01 * truth);
  CHECK(xtrace(op, {.products = 25}).products == 24);
  CHECK_NEAR(xtrace(op, {.products = 100}).mean, truth, 1e-5, 0);
}

TEST_CASE("xtrace: its own error is of the size of the true one, within a factor 4 [flat and decaying]") {
  const test::SpectralCase flat(Vector<double>::LinSpaced(80, -1, 1.5), 5), steep(decaying(80), 6);
  for (const test::SpectralCase* c : {&flat, &steep}) {
    double claimed = 0;
    const Repeated r = repeat(60, c->spectrum.sum(), [&](std::uint64_t seed) {
      const TraceEstimate t = xtrace(c->op, {.products = 24, .seed = seed});
      claimed += t.standard_error / 60;
      return t.mean;
    });
    CHECK(claimed < 4 * r.error);
    CHECK(claimed > 0.25 * r.error);
  }
}

TEST_CASE("sketches: low rank is exact with an error of rounding, whatever the rotation; zero is 0") {
  for (std::uint32_t number = 10; number < 15; ++number)
    for (Index rank : {1, 2, 5}) {
      Vector<double> spectrum = Vector<double>::Zero(60);
      for (Index i = 0; i < rank; ++i) spectrum[i] = 3.5 - double(i);
      spectrum[0] = 50;
      const test::SpectralCase c(spectrum, number);
      for (Estimator estimator : {Estimator(hutch_plus_plus), Estimator(xtrace)}) {
        const TraceEstimate t = estimator(c.op, {.products = 24, .seed = number});
        CHECK_NEAR(t.mean, spectrum.sum(), 1e-12, 0);
        CHECK(t.standard_error <= 1e-11);
      }
      CHECK(xtrace(c.op, {.products = 24}).products == 12 + rank);
      CHECK(hutch_plus_plus(c.op, {.products = 24}).products == 16 + rank);
    }
  const LinearOperator zero = test::diagonal_operator(Vector<double>::Zero(30));
  for (Estimator estimator : {Estimator(hutch_plus_plus), Estimator(xtrace)}) {
    CHECK(estimator(zero, {.products = 12}).mean == 0);
    CHECK(estimator(zero, {.products = 12}).standard_error == 0);
  }
}

TEST_CASE("sketches: identity, n = 1 and more products than dimensions are exact") {
  for (Index n : {1, 2, 7}) {
    const test::SpectralCase c(Vector<double>::LinSpaced(n, 1, 2), 20);
    for (Estimator estimator : {Estimator(hutch_plus_plus), Estimator(xtrace)})
      CHECK_NEAR(estimator(c.op, {.products = 60}).mean, c.spectrum.sum(), 1e-11, 0);
  }
  const TraceEstimate one = xtrace(test::diagonal_operator(Vector<double>::Ones(50)), {.products = 10});
  CHECK_NEAR(one.mean, 50, 1e-13, 0);
  CHECK(one.standard_error <= 1e-12);
}

TEST_CASE("sketches: A times 1e-8 or 1e8 scales mean and error to 1e-12 and costs the same products") {
  Vector<double> low = Vector<double>::Zero(50);
  low.head(6) << 5, 4, 3, -2, 1, 0.5;
  const test::SpectralCase flat(Vector<double>::LinSpaced(50, -1, 2), 21), rank(low, 22);
  for (Estimator estimator : {Estimator(hutch_plus_plus), Estimator(xtrace)})
    for (double factor : {1e-8, 1e8}) {
      const TraceEstimate base = estimator(flat.op, {}), t = estimator(test::times(factor, flat.op), {});
      CHECK_NEAR(t.mean, factor * base.mean, 1e-12, 0);
      CHECK_NEAR(t.standard_error, factor * base.standard_error, 1e-11, 0);
      const TraceEstimate exact = estimator(rank.op, {}), scaled = estimator(test::times(factor, rank.op), {});
      CHECK(scaled.products == exact.products);
      CHECK_NEAR(scaled.mean, factor * exact.mean, 1e-12, 0);
    }
}

TEST_CASE("certified trace: both estimates agree for a sound operator, exact ones included [40 seeds]") {
  const test::SpectralCase c(test::bulk_and_outliers(80, 3), 23);
  const Eigenpairs pairs = c.last(3);
  int failed = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const CertifiedTrace t = certified_trace(c.op, {.probes = 16, .seed = seed}, &pairs);
    failed += !all_passed(t.certificates);
    CHECK(t.half_width == half_width(t.estimate, 0.95));
    CHECK(t.check.count == 8);
  }
  CHECK(failed <= 2);
  CHECK(all_passed(certified_trace(test::diagonal_operator(Vector<double>::Zero(9)), {}).certificates));
  CHECK(all_passed(certified_trace(test::diagonal_operator(test::normals(90, 24)), {}).certificates));
  CHECK_FALSE(all_passed(certified_trace(c.op, {.probes = 4}).certificates));  // too few
}

TEST_CASE("certified trace: two exact estimates that differ by rounding alone agree [low rank, 40 seeds]") {
  Vector<double> spectrum = Vector<double>::Zero(60);
  spectrum.tail(3) << -20, 3, 50;
  const test::SpectralCase c(spectrum, 26);
  const Eigenpairs pairs = c.last(3);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const CertifiedTrace t = certified_trace(c.op, {.probes = 8, .seed = seed}, &pairs);
    CHECK(t.estimate.standard_error <= 1e-12);
    CHECK(all_passed(t.certificates));
  }
}

TEST_CASE("certified trace: an operator that is another one after some products is caught") {
  const test::SpectralCase c(Vector<double>::LinSpaced(80, 0, 1), 25);
  int products = 0;
  const LinearOperator drifting{80, [&](const Vector<double>& v, Vector<double>& r) {
                                  c.op.apply(v, r);
                                  if (++products > 16) r *= 1.5;  // a new mini-batch
                                }};
  const CertifiedTrace t = certified_trace(drifting, {.probes = 16});
  CHECK(t.certificates[0].id == "C4");
  CHECK_FALSE(t.certificates[0].passed);
}

}  // namespace
}  // namespace hone
