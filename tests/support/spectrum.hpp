// A symmetric matrix with its eigenvectors kept, so that a test knows every pair without a decomposition.
#pragma once

#include "sim/curvature/extremes.hpp"
#include "tests/support/operators.hpp"

namespace hone::test {

/// Q diag(spectrum) Q' with random orthogonal Q.
struct SpectralCase {
  Vector<double> spectrum;
  Basis q, a;
  LinearOperator op;

  SpectralCase(const Vector<double>& eigenvalues, std::uint32_t number) : spectrum(eigenvalues) {
    const Index n = spectrum.size();
    const Vector<double> draws = normals(n * n, number);
    q = Eigen::HouseholderQR<Basis>(Eigen::Map<const Basis>(draws.data(), n, n)).householderQ();
    a = q * spectrum.asDiagonal() * q.transpose();
    a = (0.5 * (a + a.transpose())).eval();
    op = operator_of(a);
  }

  /// The last `count` pairs, exact to rounding.
  Eigenpairs last(Index count) const {
    Eigenpairs pairs;
    pairs.values = spectrum.tail(count);
    pairs.vectors = q.rightCols(count);
    return pairs;
  }
};

/// An operator without a matrix: diag(values).
inline LinearOperator diagonal_operator(const Vector<double>& values) {
  return {values.size(), [values](const Vector<double>& v, Vector<double>& r) { r = values.cwiseProduct(v); }};
}

/// c·A.
inline LinearOperator times(double c, const LinearOperator& op) {
  return {op.size, [c, op](const Vector<double>& v, Vector<double>& r) {
            op.apply(v, r);
            r *= c;
          }};
}

/// Bulk in [0, 1] and outliers 5, 10, 20, ... at the end.
inline Vector<double> bulk_and_outliers(Index n, Index outliers) {
  Vector<double> spectrum = Vector<double>::LinSpaced(n, 0, 1);
  for (Index i = 0; i < outliers; ++i) spectrum[n - outliers + i] = 5 * std::pow(2, double(i));
  return spectrum;
}

}  // namespace hone::test
