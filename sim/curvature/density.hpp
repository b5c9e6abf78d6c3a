// Spectral density by stochastic Lanczos quadrature (SLQ). Known eigenpairs are atoms of mass 1/n each; what they leave
// is measured by probes in their orthogonal complement. Nodes and weights are measured and stored. Every reading
// (density_reading.hpp) is computed from them; the width of a smoothing kernel is chosen only for a figure.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/curvature/certificate.hpp"
#include "sim/curvature/extremes.hpp"

namespace hone {

struct DensityOptions {
  int probes = 4;
  int steps = 40;          ///< quadrature nodes per probe
  std::uint64_t seed = 1;  ///< probe p draws from substream p of this seed
};

/// n = size, k atoms. Probe p gives the Gauss quadrature of one random unit vector v of the complement:
/// Σ_i weight(p,i) f(node(p,i)) ≈ v'f(A)v, exact when f is a polynomial of degree below 2·steps, and the mean over v of
/// v'f(A)v is tr f over the complement, divided by n-k.
struct SpectralDensity {
  Index size = 0;
  Vector<double> atoms;    ///< known eigenvalues, mass 1/n each
  Matrix<double> nodes;    ///< (probes, steps), ascending in a row; the last one is repeated after an early end
  Matrix<double> weights;  ///< (probes, steps), non-negative, each row sums to 1 and stands for the mass (n-k)/n
  Matrix<double> half_nodes, half_weights;  ///< the same from the leading half of each probe's tridiagonal matrix
  Vector<double> first_moment;              ///< v'Av per probe, from its first product and not from the quadrature
  Vector<double> second_moment;             ///< ‖PAv‖² per probe, likewise; P projects on the complement
  Vector<double> coupling;                  ///< ‖U'Av‖² per probe: 0 when the atoms belong to exact eigenvectors U
  std::int64_t products = 0;
};

/// What one probe has given so far: the tridiagonal matrix and the moments of its first product.
struct ProbeRecurrence {
  Vector<double> alpha, beta;
  double first_moment = 0, second_moment = 0, coupling = 0;
};

/// A measurement in progress. It is a value: saved after any product and advanced later by the same operator, options
/// and pairs, it ends with the same bits.
struct DensityState {
  std::vector<ProbeRecurrence> done;
  ProbeRecurrence current;  ///< its moments only; the recurrence itself lies in `lanczos`
  Lanczos lanczos;          ///< of probe done.size(); without basis before its first product
};

/// Adds at most `products` products.
/// returns  whether more are needed
/// expects  `known` (may be null) as in check_known
bool advance(DensityState& state, const LinearOperator& op, const DensityOptions& options, const Eigenpairs* known,
             int products);

/// The density of the probes that are done, at least one unless the atoms fill the space.
SpectralDensity density_of(const DensityState& state, Index size, const DensityOptions& options,
                           const Eigenpairs* known);

/// All probes, start to end.
/// math     v = Pz/‖Pz‖, z normal: uniform on the unit sphere of the complement, so that every moment is unbiased.
///          Lanczos on PAP; a Krylov space that ends early, β ≤ (16+√n)ε‖A‖, holds the exact measure of v and stops there.
/// cost     probes·steps products, density_bytes(options, n) of memory
/// source   Ubaru, Chen & Saad 2017; Golub & Meurant; Chen, Trogdon & Ubaru 2021 (arXiv:2105.06595)
SpectralDensity spectral_density(const LinearOperator& op, const DensityOptions& options,
                                 const Eigenpairs* known = nullptr);

/// The density that eigenvalues have when all of them are known: n atoms.
SpectralDensity exact_density(const Vector<double>& eigenvalues);

/// Peak memory of a measurement beside the operator's own: the basis, five vectors, the recurrences.
std::int64_t density_bytes(const DensityOptions& options, Index size);

/// Largest |node or atom| and largest minus smallest: ‖A‖ and range as far as this measurement saw them.
struct SpectralRange {
  double norm = 0, width = 0;
};
SpectralRange spectral_range(const SpectralDensity& density);

}  // namespace hone
