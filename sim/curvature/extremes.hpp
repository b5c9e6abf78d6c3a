// The largest eigenvalues of a symmetric operator with their vectors, each with a residual that was computed again
// from the operator and not taken from the recurrence.
#pragma once

#include <cstdint>

#include "sim/curvature/lanczos.hpp"

namespace hone {

struct ExtremesOptions {
  int count = 10;           ///< k
  int steps_max = 120;      ///< Lanczos steps, also the memory: n·steps_max·8 bytes
  double tolerance = 1e-6;  ///< on |β s|/‖T‖ of each wanted pair; not below 10x the rounding of the products
  std::uint64_t seed = 1;   ///< of the random start vector
};

enum class ExtremesStop {
  converged,           ///< every wanted pair: |β_m s_mi| ≤ tolerance·‖T‖
  steps_exhausted,     ///< steps_max reached before that; the residuals say how far
  invariant_subspace,  ///< the Krylov space ended first: fewer pairs than asked for are possible
};

/// Pairs in descending order of λ.
struct Eigenpairs {
  Vector<double> values;     ///< λ₁ ≥ λ₂ ≥ …, nats per squared parameter unit
  Basis vectors;             ///< (n,k), orthonormal
  Vector<double> residuals;  ///< ‖A y - λ y‖₂, recomputed: |λ - nearest eigenvalue| ≤ residual
  double ritz_min = 0;       ///< smallest Ritz value: an upper bound of the smallest eigenvalue
  double orthogonality = 0;  ///< max |V'V - I| of the Krylov basis
  int steps = 0;
  std::int64_t products = 0;
  ExtremesStop stop = ExtremesStop::converged;
};

/// The k algebraically largest eigenpairs by single-vector Lanczos without restart.
/// expects  1 ≤ count ≤ n, steps_max ≥ count
/// cost     about steps + k products; the test for convergence runs every 10 steps
/// source   curvature of neural networks by Lanczos: Ghorbani et al. 2019; residual bound: Parlett th. 4.5.1
Eigenpairs largest_eigenpairs(const LinearOperator& op, const ExtremesOptions& options);

}  // namespace hone
