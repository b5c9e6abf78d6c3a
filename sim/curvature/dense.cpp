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
  s.asymmetry_norm = (a - a.transpose()).norm();
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

Eigenpairs ends_of(const DenseSpectrum& dense, const LinearOperator& op, Index count_largest, Index count_smallest,
                   double noise_floor) {
  const Index n = op.size, k = count_largest + count_smallest;
  EXPECTS(dense.vectors.cols() == n && dense.values.size() == n, "dense pairs: {} vectors of {} values for size {}",
          dense.vectors.cols(), dense.values.size(), n);
  EXPECTS(count_largest >= 0 && count_smallest >= 0 && k >= 1 && k <= n, "dense pairs: {} + {} of {}", count_largest,
          count_smallest, n);
  Eigenpairs pairs;
  pairs.largest = count_largest;
  pairs.values.resize(k), pairs.residuals.resize(k), pairs.error_bounds.resize(k), pairs.angle_sines.setOnes(k);
  pairs.vectors.resize(n, k);
  pairs.norm = std::max(std::abs(dense.values[0]), std::abs(dense.values[n - 1]));
  pairs.ritz_min = dense.values[0];
  pairs.stop = ExtremesStop::whole_space;
  const double rounding = eigenvalue_rounding(noise_floor, n, pairs.norm) + dense.asymmetry_norm;
  Vector<double> product;
  for (Index i = 0; i < k; ++i) {
    const Index at = i < count_largest ? n - 1 - i : k - 1 - i;
    pairs.values[i] = dense.values[at];
    pairs.vectors.col(i) = dense.vectors.col(at);
    op.apply(pairs.vectors.col(i), product);
    pairs.residuals[i] = (product - pairs.values[i] * pairs.vectors.col(i)).norm();
    pairs.error_bounds[i] = pairs.residuals[i] + rounding;
    pairs.certificates.push_back(certify("C2a",
                                         fmt::format("backward error of pair {}, theta = {:.10g}", i, pairs.values[i]),
                                         relative_to(pairs.residuals[i], pairs.norm), residual_limit(noise_floor)));
  }
  pairs.products = dense.products + k;
  pairs.certificates.push_back(certify("C2c", "completeness: eigenvalues that were not computed", 0, 0));
  return pairs;
}

std::int64_t dense_bytes(Index size) { return 2 * 8 * std::int64_t(size) * std::int64_t(size); }

}  // namespace hone
