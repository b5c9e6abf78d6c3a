// Known spectra, as references for the instruments of curvature: random matrices in the limit of large sizes, and the
// Hessian of linear softmax exactly.
#pragma once

#include "sim/base/matrix.hpp"

namespace hone::theory {

/// Limit of the spectrum of symmetric matrices with independent entries of variance (radius/2)²/n.
/// source  Wigner 1955
struct Semicircle {
  double radius = 2;

  double density(double x) const;  ///< 2 √(r² - x²)/(pi r²) inside ± r
  double cdf(double x) const;      ///< ½ + x √(r² - x²)/(pi r²) + asin(x/r)/pi
  double moment(int k) const;      ///< (r/2)^k Catalan(k/2) for even k, 0 for odd
};

/// Limit of the spectrum of X'X/n, X (n,p) of independent entries of one variance, p/n = ratio.
/// source  Marchenko & Pastur 1967
struct MarchenkoPastur {
  double ratio = 1;
  double variance = 1;

  double lower() const;            ///< v (1 - √ratio)²
  double upper() const;            ///< v (1 + √ratio)²
  double atom() const;             ///< share of zeros: 1 - 1/ratio above ratio 1
  double density(double x) const;  ///< √((upper - x)(x - lower))/(2 pi v ratio x) between the edges, without the atom
  double cdf(double x) const;      ///< with the atom; by quadrature, to 1e-10
  double moment(int k) const;      ///< v^k Σ_{r<k} ratio^r/(r+1) C(k,r) C(k-1,r), Narayana's numbers
};

/// Eigenvalues of the Hessian of softmax regression z = W x, over W; it equals the Gauss-Newton matrix, for z is
/// linear in W, and does not read the labels.
/// math    H = 1/M Σ_m (diag p_m - p_m p_m') ⊗ x_m x_m'. Each factor has rank C - 1, so that M distinct inputs give rank
///         ≤ M (C - 1); two classes and orthogonal inputs give 2 p (1 - p) |x_m|²/M, one per input
/// shapes  inputs (M,I), probabilities (M,C) with rows of sum 1; result (M·C) ascending, all others of H being 0
/// expects probabilities ≥ 0
/// cost    the eigenvalues of a matrix of size M·C
/// source  differentiation of the cross-entropy twice
Vector<double> linear_softmax_spectrum(const Matrix<double>& inputs, const Matrix<double>& probabilities);

/// Sum of eigenvalues k^-b over k = 1 … count.
/// math    exactly up to 64; beyond, the integral over [64½, count + ½], relative error below 1e-4
/// expects count ≥ 1, exponent ≥ 0
double power_trace(double count, double exponent);

/// The b of eigenvalues k^-b whose participation is that of a matrix of trace tr H and Frobenius norm ‖H‖.
/// math    (Σ k^-b)²/Σ k^-2b = (tr H)²/‖H‖², which falls from count at b = 0 to 1; by bisection
/// expects trace, frobenius > 0, count ≥ 1
/// ensures between 0 and 20; NaN where the participation is above count or below 1, which no such spectrum has
double participation_exponent(double trace, double frobenius, double count);

}  // namespace hone::theory
