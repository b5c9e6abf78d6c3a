// Small dense least squares behind fits and regressions: a handful of columns, any number of rows.
// One file holds Eigen's decompositions, which are slow to compile.
#pragma once

#include "sim/base/matrix.hpp"

namespace hone::theory {

/// Below this ratio of least to largest singular value a design counts as rank-deficient.
inline constexpr double rank_tolerance = 1e-8;

/// Ratio of the largest to the least singular value: 1 without columns, +inf when singular.
/// expects at least as many rows as columns
double condition_number(const Matrix<double>& a);

/// argmin |a x - b|, by QR with column pivoting.
/// expects full column rank (condition_number(a) < 1/rank_tolerance)
Vector<double> solve_least_squares(const Matrix<double>& a, const Vector<double>& b);

/// (a'a)⁻¹ from the QR factors of a, without forming a'a; all NaN when condition_number(a) ≥
/// 1/rank_tolerance.
Matrix<double> gram_inverse(const Matrix<double>& a);

}  // namespace hone::theory
