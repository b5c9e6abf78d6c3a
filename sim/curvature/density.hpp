// Spectral density by stochastic Lanczos quadrature (SLQ): nodes and weights are what is measured and stored; the
// width of a drawing kernel is chosen only when a figure is made.
#pragma once

#include <cstdint>

#include "sim/curvature/lanczos.hpp"

namespace hone {

struct DensityOptions {
  int probes = 4;
  int steps = 40;          ///< quadrature nodes per probe
  std::uint64_t seed = 1;  ///< probe p draws from substream p of this seed
};

/// Per probe the Gauss quadrature of its spectral measure: Σ_i weight(p,i) f(node(p,i)) ≈ tr f(A)/n, exact for
/// v'f(A)v when f is a polynomial of degree below 2·steps.
struct SpectralDensity {
  Matrix<double> nodes;          ///< (probes, steps); ascending in a row
  Matrix<double> weights;        ///< (probes, steps), non-negative, each row sums to 1; zeros pad an early end
  Vector<double> first_moment;   ///< v'Av per probe, from the recurrence: certificate C3a
  Vector<double> second_moment;  ///< ‖Av‖² per probe
  std::int64_t products = 0;
};

/// cost    probes·steps products
/// source  Ubaru, Chen & Saad 2017; Golub & Meurant; identities in Chen, Trogdon & Ubaru 2021 (arXiv:2105.06595)
SpectralDensity spectral_density(const LinearOperator& op, const DensityOptions& options);

}  // namespace hone
