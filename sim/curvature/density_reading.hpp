// Readings of a measured density: distribution function with bands over probes, masses in logarithmic bins,
// trace and Frobenius norm, distances between two halves of the measurement, and the certificates C3a-C3c.
#pragma once

#include "sim/base/mean.hpp"
#include "sim/curvature/density.hpp"

namespace hone {

/// Share of eigenvalues ≤ x with its uncertainty, at each x of a grid.
struct CdfBand {
  Vector<double> x;
  Vector<double> value;         ///< in [0, 1]
  Vector<double> half_width;    ///< t interval over probes, pointwise; +inf for one probe
  Vector<double> lower, upper;  ///< bounds of the quadrature error alone, averaged over probes
  double max_half_width = 0;    ///< over the grid
};

/// math     F(x) = #{atoms ≤ x}/n + (n-k)/n · mean_p Σ_{θ_pi ≤ x} w_pi, mean ± t·SE over probes. Whatever the measure
///          of a probe, its distribution function lies between the partial sums one node below and one node above:
///          lower ≤ (mean of the probes' exact functions) ≤ upper.
/// expects  0 < coverage < 1
/// source   Chebyshev-Markov-Stieltjes: Szegő, Orthogonal Polynomials, section 3.41
CdfBand cdf(const SpectralDensity& density, const Vector<double>& x, double coverage = 0.95);

/// tr A and ‖A‖_F² from the moments of the probes, free of further products; +inf error for one probe.
/// math     Σ_k λ_k + (n-k)·mean v'Av;  Σ_k λ_k² + (n-k)·mean ‖PAv‖², which leaves out 2‖PAU‖_F² of inexact pairs
MeanEstimate trace_of(const SpectralDensity& density);
MeanEstimate frobenius_norm2_of(const SpectralDensity& density);

/// Point masses on the line, in any order.
struct PointMasses {
  Vector<double> positions, masses;
};

/// The 1-Wasserstein distance ∫|F - G| dx.
/// expects  neither empty, masses non-negative, totals equal to 1e-9 relative
double wasserstein_distance(const PointMasses& a, const PointMasses& b);

/// W1 between the densities of the first and the second half of the probes, in the units of A; NaN for one probe.
double half_sample_distance(const SpectralDensity& density);

/// W1 between the densities of all steps and of half the steps, from the same probes.
double half_steps_distance(const SpectralDensity& density);

/// C3a: the sums of w, wθ and wθ² against 1, v'Av and ‖PAv‖², worst probe, relative to ‖A‖; limit 1e-12.
/// C3b: both W1 distances over the range, limit 0.01, and the coupling ‖PAU‖_F over the range by the same limit, since
///      no eigenvalue moves by more when the coupling is dropped. One probe has no halves: NaN, not passed.
/// C3c: trace and ‖A‖_F² by quadrature against those of the moments, relative to Σ|θ| and ‖A‖_F²; limit 1e-10.
/// ensures  every number is unchanged when A is multiplied by a constant, up to rounding
std::vector<Certificate> certify_density(const SpectralDensity& density);

}  // namespace hone
