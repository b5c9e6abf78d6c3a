#include "sim/curvature/density.hpp"
#include "sim/curvature/trace.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

TEST_CASE("density: weights sum to 1, first and second moments are the probe's own [certificate C3a]") {
  const Basis a = test::matrix_with_spectrum(Vector<double>::LinSpaced(90, -1, 4), 1);
  const SpectralDensity d = spectral_density(test::operator_of(a), {.probes = 5, .steps = 20});
  for (Index p = 0; p < 5; ++p) {
    CHECK_NEAR(d.weights.row(p).sum(), 1, 1e-13, 0);
    CHECK((d.weights.row(p).array() >= 0).all());
    CHECK_NEAR(d.weights.row(p).dot(d.nodes.row(p)), d.first_moment[p], 1e-12, 1e-13);
    CHECK_NEAR(d.weights.row(p).dot(d.nodes.row(p).cwiseAbs2()), d.second_moment[p], 1e-12, 0);
  }
  CHECK(d.products == 100);
}

TEST_CASE("density: moments average to tr(A^k)/n within 5 standard errors [200 probes]") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(60, -0.5, 1.5);
  const SpectralDensity d =
      spectral_density(test::operator_of(test::matrix_with_spectrum(spectrum, 2)), {.probes = 200, .steps = 8});
  for (int k = 1; k <= 4; ++k) {
    Vector<double> m(200);
    for (Index p = 0; p < 200; ++p) m[p] = (d.weights.row(p).array() * d.nodes.row(p).array().pow(k)).sum();
    const double error = std::sqrt((m.array() - m.mean()).square().sum() / 199 / 200);
    CHECK_NEAR(m.mean(), spectrum.array().pow(k).mean(), 0, 5 * error);
  }
}

TEST_CASE("density: a probe of full length reproduces every eigenvalue [n = 12]") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(12, 1, 12);
  const SpectralDensity d =
      spectral_density(test::operator_of(test::matrix_with_spectrum(spectrum, 3)), {.probes = 1, .steps = 50});
  REQUIRE(d.nodes.cols() == 12);
  CHECK(test::relative_error(Vector<double>(d.nodes.row(0).transpose()), spectrum) <= 1e-11);
}

TEST_CASE("density: adjacent seeds and probes share no probe") {
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(Vector<double>::LinSpaced(40, 0, 1), 4));
  const SpectralDensity a = spectral_density(op, {.probes = 3, .steps = 5, .seed = 1});
  const SpectralDensity b = spectral_density(op, {.probes = 3, .steps = 5, .seed = 2});
  for (Index p = 0; p < 3; ++p)
    for (Index q = 0; q < 3; ++q) {
      CHECK(a.first_moment[p] != b.first_moment[q]);
      if (p != q) CHECK(a.first_moment[p] != a.first_moment[q]);
    }
}

TEST_CASE("trace: exact with zero error for a diagonal matrix, any probes") {
  const Vector<double> diagonal = test::normals(30, 5);
  const auto t = weighted_traces(test::operator_of(diagonal.asDiagonal().toDenseMatrix()), {Vector<double>::Ones(30)},
                                 {.probes = 3});
  CHECK_NEAR(t[0].mean, diagonal.sum(), 1e-13, 1e-13);
  CHECK(t[0].standard_error <= 1e-13);
}

TEST_CASE("trace: weighted sums of the diagonal within 5 standard errors, and their spread as theory says") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(80, -1, 3);
  const Basis a = test::matrix_with_spectrum(spectrum, 6);
  Vector<double> first_half = Vector<double>::Zero(80), random = test::normals(80, 7).cwiseAbs();
  first_half.head(40).setOnes();
  const auto t = weighted_traces(test::operator_of(a), {Vector<double>::Ones(80), first_half, random}, {.probes = 400});
  CHECK_NEAR(t[0].mean, spectrum.sum(), 0, 5 * t[0].standard_error);
  CHECK_NEAR(t[1].mean, a.diagonal().head(40).sum(), 0, 5 * t[1].standard_error);
  CHECK_NEAR(t[2].mean, a.diagonal().dot(random), 0, 5 * t[2].standard_error);
  const double variance = 2 * (a.squaredNorm() - a.diagonal().squaredNorm());  // Hutchinson with signs
  CHECK_NEAR(t[0].standard_error, std::sqrt(variance / 400), 0.2, 0);
}

TEST_CASE("trace: deflation keeps the mean and cuts the error of a matrix with outliers") {
  Vector<double> spectrum = Vector<double>::LinSpaced(100, 0, 0.1);
  spectrum.tail(3) << 10, 20, 30;
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(spectrum, 8));
  const Eigenpairs pairs = largest_eigenpairs(op, {.count = 3, .steps_max = 60, .tolerance = 1e-10});
  const std::vector<Vector<double>> ones = {Vector<double>::Ones(100)};
  const TraceEstimate plain = weighted_traces(op, ones, {.probes = 30})[0];
  const TraceEstimate deflated = weighted_traces(op, ones, {.probes = 30}, &pairs)[0];
  CHECK_NEAR(deflated.mean, spectrum.sum(), 0, 5 * deflated.standard_error + 1e-9);
  CHECK(deflated.standard_error < 0.05 * plain.standard_error);
}

TEST_CASE("trace: the interval covers the truth about as often as it says [200 seeds, 16 probes]") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(50, -1, 2);
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(spectrum, 9));
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const TraceEstimate t = weighted_traces(op, {Vector<double>::Ones(50)}, {.probes = 16, .seed = seed})[0];
    covered += std::abs(t.mean - spectrum.sum()) <= 2.131 * t.standard_error;  // t quantile, 15 degrees, 95 %
  }
  CHECK(covered >= 178);  // 190 expected, 4 standard deviations below
  CHECK(covered <= 200);
}

}  // namespace
}  // namespace hone
