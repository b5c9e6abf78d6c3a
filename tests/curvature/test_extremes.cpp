#include "sim/curvature/extremes.hpp"

#include <Spectra/SymEigsSolver.h>

#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

Vector<double> power_spectrum(Index n) {
  Vector<double> spectrum(n);
  for (Index i = 0; i < n; ++i) spectrum[i] = (i % 3 == 0 ? -0.2 : 1.0) * std::pow(double(i + 1), -1.2);
  return spectrum;
}

TEST_CASE("eigenpairs: values of a known spectrum, residuals and orthonormal vectors [n = 120, k = 6]") {
  const Vector<double> spectrum = power_spectrum(120);
  const Basis a = test::matrix_with_spectrum(spectrum, 1);
  const Eigenpairs p = largest_eigenpairs(test::operator_of(a), {.count = 6, .steps_max = 100, .tolerance = 1e-12});
  Vector<double> sorted = spectrum;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  CHECK(p.stop == ExtremesStop::converged);
  for (Index i = 0; i < 6; ++i) {
    CHECK_NEAR(p.values[i], sorted[i], 1e-11, 0);
    const Vector<double> y = p.vectors.col(i);
    CHECK_NEAR(p.residuals[i], (a * y - p.values[i] * y).norm(), 1e-6, 1e-15);
    CHECK(p.residuals[i] <= 1e-11);
  }
  CHECK((p.vectors.transpose() * p.vectors - Basis::Identity(6, 6)).norm() <= 1e-12);
  CHECK_NEAR(p.ritz_min, sorted[119], 1e-8, 0);
  CHECK(p.products == p.steps + 6);
}

/// Spectra's view of a dense matrix.
struct SpectraOperator {
  using Scalar = double;
  const Basis& a;
  Eigen::Index rows() const { return a.rows(); }
  Eigen::Index cols() const { return a.cols(); }
  void perform_op(const double* x, double* y) const {
    Eigen::Map<Eigen::VectorXd>(y, a.rows()) = a * Eigen::Map<const Eigen::VectorXd>(x, a.cols());
  }
};

TEST_CASE("eigenpairs: agree with Spectra, an independent solver [random, n = 200, k = 8]") {
  const Vector<double> draws = test::normals(200 * 200, 2);
  const Basis g = Eigen::Map<const Basis>(draws.data(), 200, 200);
  const Basis a = g + g.transpose();
  SpectraOperator op{a};
  Spectra::SymEigsSolver<SpectraOperator> solver(op, 8, 60);
  solver.init();
  solver.compute(Spectra::SortRule::LargestAlge, 1000, 1e-12);
  REQUIRE(solver.info() == Spectra::CompInfo::Successful);
  const Eigenpairs p = largest_eigenpairs(test::operator_of(a), {.count = 8, .steps_max = 190, .tolerance = 1e-11});
  for (Index i = 0; i < 8; ++i) CHECK_NEAR(p.values[i], solver.eigenvalues()[i], 1e-10, 0);
}

TEST_CASE("eigenpairs: too few steps end with steps_exhausted and residuals that bound the error") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(300, 0, 1);
  const Eigenpairs p = largest_eigenpairs(test::operator_of(test::matrix_with_spectrum(spectrum, 3)),
                                          {.count = 5, .steps_max = 12, .tolerance = 1e-12});
  CHECK(p.stop == ExtremesStop::steps_exhausted);
  CHECK(p.steps == 12);
  for (Index i = 0; i < 5; ++i) {
    CHECK(p.residuals[i] > 1e-6);
    CHECK((spectrum.array() - p.values[i]).abs().minCoeff() <= p.residuals[i] * (1 + 1e-9));
  }
}

TEST_CASE("eigenpairs: a low-rank matrix ends with invariant_subspace and the pairs there are") {
  Vector<double> spectrum = Vector<double>::Zero(50);
  spectrum[0] = 3, spectrum[1] = 1;
  const Eigenpairs p =
      largest_eigenpairs(test::operator_of(test::matrix_with_spectrum(spectrum, 4)), {.count = 2, .steps_max = 40});
  CHECK(p.stop == ExtremesStop::invariant_subspace);
  CHECK_NEAR(p.values[0], 3, 1e-12, 0);
  CHECK_NEAR(p.values[1], 1, 1e-12, 0);
}

TEST_CASE("eigenpairs: seeds change the start and not the answer; equal seeds give equal bits") {
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(power_spectrum(80), 5));
  const ExtremesOptions options{.count = 3, .steps_max = 70, .tolerance = 1e-12, .seed = 1};
  ExtremesOptions other = options;
  other.seed = 2;
  const Eigenpairs a = largest_eigenpairs(op, options), b = largest_eigenpairs(op, options);
  const Eigenpairs c = largest_eigenpairs(op, other);
  CHECK((a.vectors.array() == b.vectors.array()).all());
  CHECK((a.vectors.array() != c.vectors.array()).any());
  CHECK(test::relative_error(c.values, a.values) <= 1e-11);
}

}  // namespace
}  // namespace hone
