// Symmetric matrices known by their products, as values: they are handed to the solvers, and composed from parts by
// free functions (restricted, scaled, shifted, projected, added). This file does not depend on a model.
#pragma once

#include <functional>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/matrix.hpp"

namespace hone {

using Basis = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;  ///< column-major: one vector is contiguous

/// A symmetric matrix A known by its products. One caller at a time.
struct LinearOperator {
  Index size = 0;
  /// result = A v; both of `size`, result is resized.
  std::function<void(const Vector<double>& v, Vector<double>& result)> apply;
  /// Optional: result = A V column by column, with the bits of `apply`, where many columns at once are cheaper.
  /// shapes  V, result (size, k)
  std::function<void(const Basis& v, Basis& result)> apply_many = {};
};

/// result = A V by apply_many, or by apply for each column where there is none.
/// shapes   V, result (size, k); result is resized
/// ensures  bits of column j equal those of apply on column j
void multiply(const LinearOperator& op, const Basis& v, Basis& result);

/// The principal block of `full` on the given positions: v is embedded with zeros, the product restricted.
/// errors  ContractError when a position is outside the operator
LinearOperator restrict_to(LinearOperator full, std::vector<Index> positions);

/// D A D with D = diag(d): the curvature seen in coordinates θ = D φ.
/// shapes  d (size)
LinearOperator scaled(LinearOperator op, Vector<double> d);

/// A + s I.
LinearOperator shifted(LinearOperator op, double s);

/// (I - UU') A (I - UU'): nothing of span U is left, even where U is not invariant under A.
/// shapes   U (size, k) orthonormal
/// cost     8·size·k flops more per product
LinearOperator projected(LinearOperator op, Basis u);

struct Term {
  double factor = 1;
  LinearOperator op;
};

/// Σ factor_i A_i: -H, or H - G, the part of the Hessian that Gauss-Newton leaves out.
/// expects  at least one term, all of one size
LinearOperator linear_combination(std::vector<Term> terms);

}  // namespace hone
