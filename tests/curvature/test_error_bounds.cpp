// The bounds of eigenvalues against spectra known in long double: no bound is ever below the error, at the level of
// rounding, in clusters and after loose solves, and none is wider than the residual says by more than the rounding.
#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include "sim/curvature/dense.hpp"
#include "sim/curvature/extremes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

using Wide = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic>;
using WideVector = Eigen::Matrix<long double, Eigen::Dynamic, 1>;

constexpr int kinds = 10;

/// One eigenvalue of a kind of spectrum; x is a standard normal number.
long double eigenvalue(int kind, Index i, Index n, long double x) {
  switch (kind) {
    case 0: return x;
    case 1: return (i < 3 ? 1 : 0.1L * x) + 1e-15L * x;                                     // one value three times
    case 2: return i < 4 ? 1 + 1e-10L * i : 0.1L * std::tanh(x);                            // a cluster
    case 3: return std::pow(10.0L, -16.0L * i / n);                                         // graded to rounding
    case 4: return i % 2 ? 1 : -1;                                                          // two values
    case 5: return i == 0 ? 1 : 0;                                                          // rank 1
    case 6: return 1 + 1e-13L * x;                                                          // a shifted rounding
    case 7: return (i + 1.0L) / n;                                                          // no gap stands out
    case 8: return (i < 2 ? 1 : 0.5L) + 1e-6L * x;                                          // two narrow clusters
    default: return i < n / 2 ? -std::pow(2.0L, -i) : 0.3L * std::pow(2.0L, -(i - n / 2));  // two graded ends
  }
}

/// A symmetric matrix of doubles near Q diag Q', and the eigenvalues of exactly these doubles.
struct KnownMatrix {
  Basis a;
  WideVector truth;

  KnownMatrix(int kind, Index n, std::uint32_t number, double scale) {
    const Vector<double> x = test::normals(n, number), draws = test::normals(n * n, number + 500000);
    WideVector spectrum(n);
    for (Index i = 0; i < n; ++i) spectrum[i] = scale * eigenvalue(kind, i, n, x[i]);
    const Wide g = Eigen::Map<const Basis>(draws.data(), n, n).cast<long double>();
    const Wide q = Eigen::HouseholderQR<Wide>(g).householderQ();
    a = Wide(q * spectrum.asDiagonal() * q.transpose()).cast<double>();
    for (Index j = 0; j < n; ++j)
      for (Index i = 0; i < j; ++i) a(i, j) = a(j, i);
    truth = Eigen::SelfAdjointEigenSolver<Wide>(a.cast<long double>(), Eigen::EigenvaluesOnly).eigenvalues();
  }

  double error(double value) const { return double((truth.array() - (long double)(value)).abs().minCoeff()); }
  double norm() const { return double(truth.cwiseAbs().maxCoeff()); }
};

Index size_of(std::uint32_t number) {
  constexpr Index sizes[] = {1, 2, 3, 5, 8, 12, 20, 30, 40, 60};
  return sizes[number / kinds % 10];
}

/// Ends, block, restarts, tolerance and search all vary with the case.
ExtremesOptions options_of(std::uint32_t number, Index n) {
  constexpr double tolerances[] = {1e-14, 1e-12, 1e-10, 1e-6, 1e-3, 0.1};
  ExtremesOptions o;
  o.count_largest = int(std::min<Index>(n, 1 + number / 100 % 4));
  o.count_smallest = int(std::min<Index>(n - o.count_largest, number / 7 % 3));
  o.block = int(std::min<Index>(n, 1 + number / 3 % 3));
  const Index least = std::min<Index>(n, o.count_largest + o.count_smallest + o.block + 2);
  o.steps_max = int(std::max<Index>(least, number / 11 % 2 ? n : n / 2));
  o.tolerance = tolerances[number / 13 % 6];
  o.probe_steps = number / 17 % 3 ? 40 : 5;
  o.seed = number + 1;
  return o;
}

double rounding(Index n, double norm) { return (16 + 4 * std::sqrt(double(n))) * 0x1p-52 * norm; }

TEST_CASE("error bounds: never below the error, whatever the spectrum, the tolerance and the restarts") {
  int sharper = 0, restarted = 0;
  for (std::uint32_t c = 0; c < 4000; ++c) {
    const Index n = size_of(c);
    const KnownMatrix m(int(c % kinds), n, c, 1);
    const Eigenpairs p = extreme_eigenpairs(test::operator_of(m.a), options_of(c, n));
    restarted += p.restarts > 0;
    for (Index i = 0; i < p.values.size(); ++i) {
      CHECK_MESSAGE(m.error(p.values[i]) <= p.error_bounds[i], "case ", c, ", pair ", i);
      CHECK(p.error_bounds[i] <= p.residuals[i] + 1.001 * rounding(n, m.norm()));
      sharper += p.error_bounds[i] < 0.01 * p.residuals[i];
    }
  }
  CHECK(sharper > 500);
  CHECK(restarted > 500);
}

/// Eigenvalues near 8, 4 and 2 above 57 within 1.
KnownMatrix with_outliers(std::uint32_t number) {
  const Vector<double> outliers = (Vector<double>(3) << 8, 4, 2).finished();
  KnownMatrix m(7, 60, number, 1);
  const Vector<double> x = test::normals(60 * 3, number + 500);
  const Basis u =
      Eigen::HouseholderQR<Basis>(Eigen::Map<const Basis>(x.data(), 60, 3)).householderQ() * Basis::Identity(60, 3);
  m.a += u * outliers.asDiagonal() * u.transpose();
  m.a = (0.5 * (m.a + m.a.transpose())).eval();
  m.truth = Eigen::SelfAdjointEigenSolver<Wide>(m.a.cast<long double>()).eigenvalues();
  return m;
}

TEST_CASE("error bounds: a certified gap takes a bound from the residual to its square, plus rounding") {
  for (std::uint32_t c = 0; c < 30; ++c) {
    const KnownMatrix m = with_outliers(9000 + c);
    const ExtremesOptions o{.count_largest = 2, .steps_max = 20, .tolerance = std::pow(10.0, -2 - double(c % 6))};
    const Eigenpairs p = extreme_eigenpairs(test::operator_of(m.a), o);
    const double gap = double(m.truth[58] - m.truth[57]);
    for (Index i = 0; i < 2; ++i) {
      const double r = p.residuals[i];
      CHECK(m.error(p.values[i]) <= p.error_bounds[i]);
      CHECK(p.error_bounds[i] <= 4 * r * r / gap + 2 * rounding(60, m.norm()));
    }
  }
}

TEST_CASE("error bounds: a search too short to see the rest of the spectrum certifies no gap") {
  for (std::uint32_t c = 0; c < 10; ++c) {
    const KnownMatrix m = with_outliers(9000 + c);
    const ExtremesOptions o{.count_largest = 2, .steps_max = 20, .probe_steps = 5, .tolerance = 1e-3};
    const Eigenpairs p = extreme_eigenpairs(test::operator_of(m.a), o);
    for (Index i = 0; i < 2; ++i) CHECK(p.error_bounds[i] >= p.residuals[i]);
  }
}

TEST_CASE("error bounds: they cover what a sum of as many terms as the matrix has rows may lose") {
  for (std::uint32_t c = 0; c < 20; ++c) {
    const KnownMatrix m = with_outliers(9000 + c);
    const double lost = 4 * std::sqrt(60.0) * 0x1p-52;
    const LinearOperator op{60,
                            [&](const Vector<double>& v, Vector<double>& result) { result = (1 - lost) * (m.a * v); }};
    const Eigenpairs p = extreme_eigenpairs(op, {.count_largest = 2, .steps_max = 40, .tolerance = 1e-13});
    for (Index i = 0; i < 2; ++i) CHECK(m.error(p.values[i]) <= p.error_bounds[i]);
  }
}

TEST_CASE("error bounds: they scale with the matrix") {
  for (const double scale : {1e-120, 1e-20, 1e20, 1e120})
    for (std::uint32_t c = 0; c < 40; ++c) {
      const KnownMatrix m(int(c % kinds), 20, 70000 + c, scale);
      const Eigenpairs p = extreme_eigenpairs(test::operator_of(m.a), options_of(c, 20));
      for (Index i = 0; i < p.values.size(); ++i) CHECK(m.error(p.values[i]) <= p.error_bounds[i]);
    }
}

TEST_CASE("error bounds: pairs of the whole matrix keep theirs too") {
  for (std::uint32_t c = 0; c < 1500; ++c) {
    const Index n = size_of(c);
    const KnownMatrix m(int(c % kinds), n, 80000 + c, 1);
    const LinearOperator op = test::operator_of(m.a);
    const DenseSpectrum dense = dense_spectrum(op, {.vectors = true});
    const ExtremesOptions o = options_of(c, n);
    const Eigenpairs p = ends_of(dense, op, o.count_largest, o.count_smallest, 0);
    for (Index i = 0; i < p.values.size(); ++i) {
      CHECK_MESSAGE(m.error(p.values[i]) <= p.error_bounds[i], "case ", c, ", pair ", i);
      CHECK(p.error_bounds[i] <= p.residuals[i] + 2.001 * rounding(n, m.norm()));
      CHECK(p.error_bounds[i] >= p.residuals[i] + 0.999 * rounding(n, p.norm));
    }
  }
}

TEST_CASE("error bounds: pairs of the whole matrix are within theirs of either triangle where the two differ") {
  constexpr Index n = 20;
  const double apart = 1e-6;
  Basis a = Basis::Ones(n, n);  // with the one eigenvalue n
  for (Index j = 0; j < n; ++j)
    for (Index i = 0; i < j; ++i) a(i, j) += apart;
  const LinearOperator op = test::operator_of(a);
  const DenseSpectrum dense = dense_spectrum(op, {.vectors = true});
  const Eigenpairs p = ends_of(dense, op, 1, 0, 0);
  CHECK(std::abs(p.values[0] - n) > 5 * apart);
  CHECK(std::abs(p.values[0] - n) <= p.error_bounds[0]);
}

}  // namespace
}  // namespace hone
