// The dense route: exact spectra, and the stochastic instruments against it.
#include "sim/curvature/dense.hpp"

#include "sim/base/error.hpp"
#include "sim/curvature/density_reading.hpp"
#include "sim/curvature/sketch.hpp"
#include "tests/support/near.hpp"
#include "tests/support/spectrum.hpp"

namespace hone {
namespace {

TEST_CASE("dense: eigenvalues, trace, norm and diagonal of a known matrix; vectors meet A y = λ y") {
  const test::SpectralCase c(test::bulk_and_outliers(70, 3), 1);
  const DenseSpectrum s = dense_spectrum(c.op, {.vectors = true});
  CHECK(test::relative_error(s.values, c.spectrum) <= 1e-13);
  CHECK_NEAR(s.trace, c.spectrum.sum(), 1e-13, 0);
  CHECK_NEAR(s.frobenius_norm2, c.spectrum.squaredNorm(), 1e-13, 0);
  CHECK((s.diagonal.array() == c.a.diagonal().array()).all());
  CHECK((c.a * s.vectors - s.vectors * s.values.asDiagonal()).norm() <= 1e-12 * c.a.norm());
  CHECK((s.vectors.transpose() * s.vectors - Basis::Identity(70, 70)).cwiseAbs().maxCoeff() <= 1e-13);
  CHECK(s.products == 70);
  CHECK(s.asymmetry == 0);
  CHECK(all_passed(s.certificates));
  CHECK(dense_spectrum(c.op, {}).vectors.size() == 0);
}

TEST_CASE("dense: an asymmetric operator is measured and fails C0a; NaN fails it too") {
  test::SpectralCase c(test::bulk_and_outliers(40, 0), 2);
  c.a(3, 7) += 1e-6;
  const DenseSpectrum s = dense_spectrum(test::operator_of(c.a), {});
  CHECK_NEAR(s.asymmetry, 1e-6 / c.a.cwiseAbs().maxCoeff(), 1e-6, 0);
  CHECK(s.certificates[0].id == "C0a");
  CHECK_FALSE(s.certificates[0].passed);
  CHECK(dense_spectrum(test::operator_of(c.a), {.symmetry_limit = 1e-5}).certificates[0].passed);
  c.a(3, 7) = std::nan("");
  CHECK_FALSE(dense_spectrum(test::operator_of(c.a), {}).certificates[0].passed);
}

TEST_CASE("dense: the eigenvalues are those of the symmetric part") {
  const test::SpectralCase c(test::bulk_and_outliers(20, 1), 6);
  Basis skewed = c.a;
  skewed(12, 3) += 0.5, skewed(3, 12) -= 0.5;
  CHECK(test::relative_error(dense_spectrum(test::operator_of(skewed), {}).values, c.spectrum) <= 1e-13);
}

TEST_CASE("dense: above the limit an OptionError names n and the limit before any product") {
  bool is_used = false;
  const LinearOperator op{5001, [&](const Vector<double>&, Vector<double>&) { is_used = true; }};
  std::string message;
  try {
    dense_spectrum(op, {});
  } catch (const OptionError& e) {
    message = e.what();
  }
  CHECK(message.find("5001") != std::string::npos);
  CHECK(message.find("size_max = 5000") != std::string::npos);
  CHECK_FALSE(is_used);
  CHECK(dense_bytes(5000) == 400'000'000);
}

TEST_CASE("dense: columns at once give the matrix of single products, at sizes around a full call") {
  for (Index n : {1, 31, 32, 33, 65}) {
    const test::SpectralCase c(Vector<double>::LinSpaced(n, -1, 2), 3);
    LinearOperator many = c.op;
    many.apply_many = [&](const Basis& v, Basis& result) { result = c.a * v; };
    CHECK(test::relative_error(dense_matrix(many, {}), c.a) <= 1e-14);
    CHECK(test::relative_error(dense_matrix(c.op, {}), c.a) <= 1e-14);
  }
}

TEST_CASE("dense: zero and scaled operators keep every certificate; eigenvalues scale to 1e-12") {
  CHECK(all_passed(dense_spectrum(test::diagonal_operator(Vector<double>::Zero(12)), {}).certificates));
  const test::SpectralCase c(test::bulk_and_outliers(50, 2), 4);
  for (double factor : {1e-8, 1e8}) {
    const DenseSpectrum s = dense_spectrum(test::times(factor, c.op), {});
    CHECK(test::relative_error(s.values, factor * c.spectrum) <= 1e-12);
    CHECK(all_passed(s.certificates));
  }
}

TEST_CASE("dense: density, traces and diagonal agree with the exact ones on one operator") {
  const test::SpectralCase c(test::bulk_and_outliers(150, 4), 5);
  const DenseSpectrum exact = dense_spectrum(c.op, {.vectors = true});
  Eigenpairs pairs;
  pairs.values = exact.values.tail(4);
  pairs.vectors = exact.vectors.rightCols(4);
  const SpectralDensity measured = spectral_density(c.op, {.probes = 10, .steps = 100}, &pairs);
  const Vector<double> x = Vector<double>::LinSpaced(60, -0.1, 41).array() + 1e-3;
  const CdfBand band = cdf(measured, x, 0.9999), truth = cdf(exact_density(exact.values), x);
  for (Index i = 0; i < x.size(); ++i) CHECK_NEAR(band.value[i], truth.value[i], 0, band.half_width[i] + 1e-12);
  CHECK(truth.max_half_width == 0);
  CHECK((truth.lower.array() == truth.upper.array()).all());
  const CertifiedTrace t = certified_trace(c.op, {}, &pairs);
  CHECK_NEAR(t.estimate.mean, exact.trace, 0, 4 * t.estimate.standard_error);
  CHECK_NEAR(t.check.mean, exact.trace, 0, 4 * t.check.standard_error);
}

}  // namespace
}  // namespace hone
