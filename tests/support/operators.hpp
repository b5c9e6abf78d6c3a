// Symmetric matrices with known spectra as operators, and dense matrices of operators.
#pragma once

#include <Eigen/QR>

#include "sim/curvature/lanczos.hpp"
#include "tests/support/draws.hpp"

namespace hone::test {

inline LinearOperator operator_of(const Basis& a) {
  return {a.rows(), [a](const Vector<double>& v, Vector<double>& result) { result = a * v; }};
}

/// Q diag(eigenvalues) Q' with a random orthogonal Q.
inline Basis matrix_with_spectrum(const Vector<double>& eigenvalues, std::uint32_t number) {
  const Index n = eigenvalues.size();
  const Vector<double> draws = normals(n * n, number);
  const Basis g = Eigen::Map<const Basis>(draws.data(), n, n);
  const Basis q = Eigen::HouseholderQR<Basis>(g).householderQ();
  const Basis a = q * eigenvalues.asDiagonal() * q.transpose();
  return 0.5 * (a + a.transpose());
}

/// The operator's matrix, column by column.
inline Basis dense(const LinearOperator& op) {
  Basis a(op.size, op.size);
  Vector<double> column;
  for (Index j = 0; j < op.size; ++j) {
    op.apply(Vector<double>::Unit(op.size, j), column);
    a.col(j) = column;
  }
  return a;
}

}  // namespace hone::test
