#include "sim/curvature/dense.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace hone {
namespace {

/// max |A - A'| / max |A|, and A ← (A + A')/2 on the way.
double symmetrize(Basis& a) {
  const double scale = a.cwiseAbs().maxCoeff();
  double worst = 0;
  for (Index j = 0; j < a.cols(); ++j)
    for (Index i = 0; i < j; ++i) {
      const double difference = std::abs(a(i, j) - a(j, i));
      if (difference > worst || std::isnan(difference)) worst = difference;
      a(i, j) = a(j, i) = 0.5 * (a(i, j) + a(j, i));
    }
  return worst == 0 ? 0 : worst / scale;
}

double relative_defect(double a, double b, double scale) { return a == b ? 0 : std::abs(a - b) / scale; }

}  // namespace

Basis dense_matrix(const LinearOperator& op, const DenseOptions& o) {
  const Index n = op.size;
  if (n > o.size_max)
    throw OptionError(
        fmt::format("dense spectrum: n = {} parameters exceed size_max = {} ({} MB needed); use "
                    "spectral_density, or raise size_max",
                    n, o.size_max, dense_bytes(n) >> 20));
  EXPECTS(n >= 1, "dense spectrum: size {}", n);
  constexpr Index columns = 32;  // per call: what a multi-column product gains is had by then
  Basis a(n, n), axes, products;
  for (Index first = 0; first < n; first += columns) {
    const Index count = std::min(columns, n - first);
    axes.setZero(n, count);
    axes.middleRows(first, count).setIdentity();
    multiply(op, axes, products);
    a.middleCols(first, count) = products;
  }
  return a;
}

DenseSpectrum dense_spectrum(const LinearOperator& op, const DenseOptions& o) {
  Basis a = dense_matrix(op, o);
  DenseSpectrum s;
  s.products = op.size;
  s.diagonal = a.diagonal();
  s.trace = s.diagonal.sum();
  s.frobenius_norm2 = a.squaredNorm();
  s.asymmetry = symmetrize(a);
  Eigen::SelfAdjointEigenSolver<Basis> solver(a, o.vectors ? Eigen::ComputeEigenvectors : Eigen::EigenvaluesOnly);
  s.values = solver.eigenvalues();
  if (o.vectors) s.vectors = solver.eigenvectors();
  s.certificates = {
      certify("C0a", "max |A - A'| / max |A| over all entries", s.asymmetry, o.symmetry_limit),
      certify("C3c", "|sum of eigenvalues - trace| / sum |eigenvalue|",
              relative_defect(s.values.sum(), s.trace, s.values.cwiseAbs().sum()), 1e-12),
      certify("C3c", "|sum of squared eigenvalues - squared Frobenius norm|, relative",
              relative_defect(s.values.squaredNorm(), s.frobenius_norm2, s.frobenius_norm2),
              std::max(1e-12, s.asymmetry)),
  };
  return s;
}

std::int64_t dense_bytes(Index size) { return 2 * 8 * std::int64_t(size) * std::int64_t(size); }

}  // namespace hone
