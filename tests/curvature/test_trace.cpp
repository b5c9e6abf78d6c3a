// Hutchinson's estimator and what else its probes give.
#include "sim/curvature/trace.hpp"

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "tests/support/spectrum.hpp"

namespace hone {
namespace {

TEST_CASE("trace: exact with zero error for a diagonal matrix, any probes") {
  const Vector<double> diagonal = test::normals(30, 5);
  const TraceEstimate t = hutchinson_trace(test::diagonal_operator(diagonal), {.probes = 3});
  CHECK_NEAR(t.mean, diagonal.sum(), 1e-13, 1e-13);
  CHECK(t.standard_error <= 1e-13);
  CHECK(t.products == 3);
  CHECK(t.count == 3);
}

TEST_CASE("trace: weighted sums of the diagonal within 5 standard errors, and their spread as theory says") {
  const test::SpectralCase c(Vector<double>::LinSpaced(80, -1, 3), 6);
  const Vector<double> random = test::normals(50, 7).cwiseAbs();
  const auto t = weighted_traces(c.op, {{0, 80}, {10, 40}, {30, 50, random}}, {.probes = 400});
  CHECK_NEAR(t[0].mean, c.spectrum.sum(), 0, 5 * t[0].standard_error);
  CHECK_NEAR(t[1].mean, c.a.diagonal().segment(10, 40).sum(), 0, 5 * t[1].standard_error);
  CHECK_NEAR(t[2].mean, c.a.diagonal().tail(50).dot(random), 0, 5 * t[2].standard_error);
  const double variance = 2 * (c.a.squaredNorm() - c.a.diagonal().squaredNorm());  // Hutchinson with signs
  CHECK_NEAR(t[0].standard_error, std::sqrt(variance / 400), 0.2, 0);
  CHECK_THROWS_AS(weighted_traces(c.op, {{41, 40}}, {}), ContractError);
  CHECK_THROWS_AS(weighted_traces(c.op, {{0, 80, random}}, {}), ContractError);
}

TEST_CASE("trace: deflation keeps the mean and cuts the error of a matrix with outliers") {
  const test::SpectralCase c(test::bulk_and_outliers(100, 4), 8);
  const Eigenpairs pairs = c.last(4);
  const TraceEstimate plain = hutchinson_trace(c.op, {.probes = 30});
  const TraceEstimate deflated = hutchinson_trace(c.op, {.probes = 30}, &pairs);
  CHECK_NEAR(deflated.mean, c.spectrum.sum(), 0, 5 * deflated.standard_error);
  CHECK(deflated.standard_error < 0.1 * plain.standard_error);
}

TEST_CASE("trace: pairs that are wrong cost accuracy, not correctness: diagonal and norm stay unbiased") {
  const test::SpectralCase c(test::bulk_and_outliers(40, 2), 9);
  Eigenpairs wrong = c.last(2);
  wrong.values *= 1.3;
  wrong.vectors.col(0) = (c.q.col(38) + 0.3 * c.q.col(5)).normalized();
  const TraceOptions options{.probes = 2000};
  const TraceEstimate t = hutchinson_trace(c.op, options, &wrong), f = frobenius_norm2(c.op, options, &wrong);
  CHECK_NEAR(t.mean, c.spectrum.sum(), 0, 4 * t.standard_error);
  CHECK_NEAR(f.mean, c.spectrum.squaredNorm(), 0, 4 * f.standard_error);
  CHECK(f.standard_error < 0.02 * f.mean);
}

TEST_CASE("trace: the interval covers the truth about as often as it says [200 seeds, 16 probes]") {
  const test::SpectralCase c(Vector<double>::LinSpaced(50, -1, 2), 10);
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const TraceEstimate t = hutchinson_trace(c.op, {.probes = 16, .seed = seed});
    covered += std::abs(t.mean - c.spectrum.sum()) <= half_width(t, 0.95);
  }
  CHECK(covered >= 178);  // 190 expected, 4 standard deviations below
  CHECK(covered <= 199);
}

TEST_CASE("trace: A times 1e-8 or 1e8 scales every estimate to 1e-12") {
  const test::SpectralCase c(test::bulk_and_outliers(60, 3), 11);
  const TraceEstimate base = hutchinson_trace(c.op, {}), norm2 = frobenius_norm2(c.op, {});
  const AdaptiveTrace adaptive = adaptive_trace(c.op, {});
  for (double factor : {1e-8, 1e8}) {
    const LinearOperator op = test::times(factor, c.op);
    CHECK_NEAR(hutchinson_trace(op, {}).mean, factor * base.mean, 1e-12, 0);
    CHECK_NEAR(hutchinson_trace(op, {}).standard_error, factor * base.standard_error, 1e-12, 0);
    CHECK_NEAR(frobenius_norm2(op, {}).mean, factor * factor * norm2.mean, 1e-12, 0);
    CHECK(adaptive_trace(op, {}).estimate.products == adaptive.estimate.products);
    CHECK_NEAR(adaptive_trace(op, {}).half_width, factor * adaptive.half_width, 1e-12, 0);
  }
}

TEST_CASE("trace: an operator that multiplies many columns at once gives the same bits in fewer calls") {
  const test::SpectralCase c(test::bulk_and_outliers(40, 2), 12);
  int calls = 0;
  LinearOperator many = c.op;
  many.apply_many = [&](const Basis& v, Basis& result) {
    ++calls;
    result.resize(v.rows(), v.cols());
    Vector<double> product;
    for (Index j = 0; j < v.cols(); ++j) c.op.apply(v.col(j), product), result.col(j) = product;
  };
  const TraceEstimate one = hutchinson_trace(c.op, {.probes = 19}), all = hutchinson_trace(many, {.probes = 19});
  CHECK(one.mean == all.mean);
  CHECK(one.standard_error == all.standard_error);
  CHECK(calls == 3);
}

TEST_CASE("segments: every block trace within 5 standard errors, their sum is the trace of the same probes") {
  const test::SpectralCase c(test::bulk_and_outliers(90, 3), 13);
  const Eigenpairs pairs = c.last(3);
  Segments segments{{}, 7};
  for (int i = 0; i < 90; ++i) segments.ids.push_back((i * i) % 7);  // ids 3, 5 and 6 stay empty
  const Vector<double> weights = test::normals(90, 14).cwiseAbs();
  const TraceOptions options{.probes = 100};
  for (const Vector<double>& w : {Vector<double>(), weights}) {
    const auto parts = segment_traces(c.op, segments, w, options, &pairs);
    REQUIRE(parts.size() == 7);
    double sum = 0;
    for (int s = 0; s < 7; ++s) {
      double exact = 0;
      for (Index i = 0; i < 90; ++i)
        if (segments.ids[size_t(i)] == s) exact += (w.size() ? w[i] : 1) * c.a(i, i);
      CHECK_NEAR(parts[size_t(s)].mean, exact, 0, 5 * parts[size_t(s)].standard_error);
      sum += parts[size_t(s)].mean;
    }
    CHECK_NEAR(sum, weighted_traces(c.op, {{0, 90, w}}, options, &pairs)[0].mean, 1e-12, 0);
  }
  segments.ids[4] = 7;
  CHECK_THROWS_AS(segment_traces(c.op, segments, {}, options), ContractError);
}

TEST_CASE("diagonal: entries within 5 of their own standard errors, which theory gives; one probe has no error") {
  const test::SpectralCase c(test::bulk_and_outliers(50, 3), 15);
  const Eigenpairs pairs = c.last(3);
  for (const Eigenpairs* known : {static_cast<const Eigenpairs*>(nullptr), &pairs}) {
    const DiagonalEstimate d = diagonal_estimate(c.op, {.probes = 300}, known);
    for (Index i = 0; i < 50; ++i) CHECK_NEAR(d.mean[i], c.a(i, i), 0, 5 * d.standard_error[i]);
    Basis rest = c.a;
    if (known) rest -= pairs.vectors * pairs.values.asDiagonal() * pairs.vectors.transpose();
    const double row = rest.row(7).squaredNorm() - rest(7, 7) * rest(7, 7);
    CHECK_NEAR(d.standard_error[7], std::sqrt(row / 300), 0.25, 0);
    CHECK_NEAR(d.mean.sum(), hutchinson_trace(c.op, {.probes = 300}, known).mean, 1e-11, 0);
  }
  CHECK((diagonal_estimate(c.op, {.probes = 1}).standard_error.array() == INFINITY).all());
}

TEST_CASE("Frobenius norm: within 4 standard errors, deflated and not") {
  const test::SpectralCase c(test::bulk_and_outliers(70, 4), 16);
  const Eigenpairs pairs = c.last(4);
  const TraceEstimate plain = frobenius_norm2(c.op, {.probes = 100});
  const TraceEstimate deflated = frobenius_norm2(c.op, {.probes = 100}, &pairs);
  CHECK_NEAR(plain.mean, c.spectrum.squaredNorm(), 0, 4 * plain.standard_error);
  CHECK_NEAR(deflated.mean, c.spectrum.squaredNorm(), 0, 4 * deflated.standard_error);
  CHECK(deflated.standard_error < 0.01 * plain.standard_error);
}

TEST_CASE("adaptive: meets its target, stops by the interval, and never before 8 probes") {
  const test::SpectralCase c(Vector<double>::LinSpaced(100, 0.5, 1.5), 17);
  const AdaptiveTrace t = adaptive_trace(c.op, {.relative_half_width = 0.01});
  CHECK(t.stop == TraceStop::target_met);
  CHECK(t.half_width <= 0.01 * t.estimate.mean);
  CHECK_NEAR(t.estimate.mean, 100, 0, 2 * t.half_width);
  const TraceEstimate same = hutchinson_trace(c.op, {.probes = t.estimate.count});
  CHECK(same.mean == t.estimate.mean);
  const AdaptiveTrace loose = adaptive_trace(c.op, {.relative_half_width = 10});
  CHECK(loose.estimate.products == 8);
  const AdaptiveTrace zero = adaptive_trace(test::diagonal_operator(Vector<double>::Zero(9)), {});
  CHECK(zero.stop == TraceStop::target_met);
  CHECK(zero.estimate.products == 8);
}

TEST_CASE("adaptive: a negative or vanishing trace does not stop it early") {
  Vector<double> spectrum = Vector<double>::LinSpaced(60, -1, 1);
  const AdaptiveTrace none = adaptive_trace(test::SpectralCase(spectrum, 18).op, {.probes_max = 50});
  CHECK(none.stop == TraceStop::probes_exhausted);
  CHECK(none.estimate.products == 50);
  const test::SpectralCase shifted(spectrum.array() - 0.2, 18);
  const AdaptiveTrace negative = adaptive_trace(shifted.op, {.relative_half_width = 0.2, .probes_max = 2000});
  CHECK(negative.stop == TraceStop::target_met);
  CHECK(negative.estimate.products > 8);
  CHECK_NEAR(negative.estimate.mean, -12, 0.4, 0);
}

TEST_CASE("windows: the spread between windows is the windows', and the probes' error is said apart") {
  std::vector<LinearOperator> windows;
  const std::vector<double> factors = {1, 2, 3, 6};
  const test::SpectralCase c(Vector<double>::LinSpaced(50, 0, 2), 19);
  for (double f : factors) windows.push_back(test::times(f, c.op));
  const auto measure = [&](Index w) -> MeanEstimate { return hutchinson_trace(windows[size_t(w)], {.probes = 40}); };
  const WindowSpread s = between_windows(4, measure);
  const MeanEstimate one = measure(0);
  CHECK_NEAR(s.mean, 3 * one.mean, 1e-12, 0);
  CHECK_NEAR(s.standard_deviation, std::sqrt(14.0 / 3) * one.mean, 1e-12, 0);
  CHECK_NEAR(s.probe_error, std::sqrt(50.0 / 4) * one.standard_error, 1e-12, 0);
  CHECK(all_passed(certify_windows(s)));
  const WindowSpread equal = between_windows(4, [&](Index) { return one; });
  CHECK(equal.standard_deviation <= 1e-12 * equal.mean);
  CHECK_FALSE(all_passed(certify_windows(equal)));  // what spread there is would be the probes'
  CHECK_THROWS_AS(between_windows(3, measure), ContractError);
}

}  // namespace
}  // namespace hone
