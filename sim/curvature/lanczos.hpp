// The m-step Lanczos factorization in float64 with full reorthogonalization, twice:
//   A V = V T + β_m v_m e_m',   V (n,m) orthonormal, T tridiagonal with diagonal α and off-diagonal β.
#pragma once

#include "sim/curvature/operators.hpp"

namespace hone {

enum class LanczosStop {
  steps_done,          ///< m = steps asked for
  invariant_subspace,  ///< β_j ≤ 10 ε ‖T‖: the Krylov space is exhausted and T holds exact eigenvalues
};

/// A factorization that can be extended step by step.
struct Lanczos {
  Basis basis;           ///< (n, capacity); the first `steps` columns are V, the next is v_m
  Vector<double> alpha;  ///< first `steps` entries valid
  Vector<double> beta;   ///< beta[j] links v_j and v_{j+1}; beta[steps-1] is the last residual
  int steps = 0;
  LanczosStop stop = LanczosStop::steps_done;

  /// Eigenvalues θ (ascending) of T and the last components |β_m s_mi|, which estimate the residual of each Ritz pair.
  struct Ritz {
    Vector<double> values, residual_estimates;
    Vector<double> weights;  ///< squared first components: the Gauss quadrature of v₁'f(A)v₁, summing to 1
    Basis vectors;           ///< (m,m) eigenvectors of T, one per column
  };
  Ritz ritz() const;
};

/// Starts at start/‖start‖ with room for `capacity` steps.
/// errors  ContractError when start is zero or not finite
Lanczos start_lanczos(const Vector<double>& start, int capacity);

/// Extends the factorization to `steps` steps, or to an invariant subspace.
/// cost     one product per step and 8·n·j flops of reorthogonalization at step j
/// source   Parlett, The Symmetric Eigenvalue Problem, ch. 13; "twice is enough" (Giraud et al. 2005)
void extend(Lanczos& lanczos, const LinearOperator& op, int steps);

}  // namespace hone
