// The exact route for small operators: form the matrix, check its symmetry, compute every eigenvalue. It is the
// reference for the stochastic instruments, exact to rounding.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/curvature/certificate.hpp"
#include "sim/curvature/extremes.hpp"

namespace hone {

struct DenseOptions {
  bool vectors = false;           ///< also compute the eigenvectors
  Index size_max = 5000;          ///< above it OptionError: 0.4 GB and minutes at 5000, growing as n² and n³
  double symmetry_limit = 1e-12;  ///< C0a; 1e-5 for products in float
};

struct DenseSpectrum {
  Vector<double> values;       ///< (n) ascending
  Basis vectors;               ///< (n,n), column i belongs to value i; empty unless asked for
  Vector<double> diagonal;     ///< (n) of A: exact traces of blocks
  double trace = 0;            ///< Σ A_ii
  double frobenius_norm2 = 0;  ///< Σ A_ij²
  double asymmetry = 0;        ///< max |A - A'| / max |A|; 0 for A = 0
  double asymmetry_norm = 0;   ///< ‖A - A'‖_F: what the products' rounding leaves of a symmetric operator
  std::int64_t products = 0;
  std::vector<Certificate> certificates;  ///< C0a symmetry; Σλ = tr A and Σλ² = ‖A‖_F² to 1e-12
};

/// The matrix as its products give it, not symmetrized.
/// errors   OptionError when op.size > size_max
/// cost     n products
Basis dense_matrix(const LinearOperator& op, const DenseOptions& options);

/// All eigenvalues of (A + A')/2.
/// errors   OptionError when op.size > size_max
/// cost     n products, 4/3·n³ flops (9·n³ with vectors), dense_bytes(n) of memory
DenseSpectrum dense_spectrum(const LinearOperator& op, const DenseOptions& options);

/// The wanted ends of a spectrum that is known whole: the pairs in the order of Eigenpairs, residuals from fresh
/// products, C2a of each and C2c.
/// math     |θ - λ| ≤ ‖op y - θ y‖ + rounding + ‖A - A'‖_F, the last for products that are not symmetric by rounding
/// units    noise_floor: relative rounding of the products, 0 for float64
/// expects  dense.vectors; count_largest + count_smallest in 1 to n
/// cost     one product per pair
Eigenpairs ends_of(const DenseSpectrum& dense, const LinearOperator& op, Index count_largest, Index count_smallest,
                   double noise_floor);

/// Two matrices: A and the solver's copy, which becomes the vectors.
std::int64_t dense_bytes(Index size);

}  // namespace hone
