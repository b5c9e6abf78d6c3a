// Noise of equal predicted rise: steps into different eigendirections, each as long as its own curvature asks for, so
// that second order predicts one loss rise for all of them. What they really cost shows where second order ends.
#pragma once

#include <string_view>
#include <vector>

#include "sim/perturb/noise.hpp"

namespace hone {

/// A part of parameter space that directions are drawn from.
struct InjectionSpace {
  std::string_view name;  ///< top | next | random | complement | negative
  Subspace how = Subspace::top;
  Basis basis;  ///< (n, k) orthonormal; without columns where the spectrum has none
};

/// The five spaces of a spectrum.
/// math    top: the first half, rounded up, of the pairs at the upper end; next: the rest of them; random: as many random
///         directions as top has; complement: orthogonal to all pairs of the upper end; negative: the pairs at the lower
///         end whose value is below 0 by more than its error bound
std::vector<InjectionSpace> injection_spaces(const Eigenpairs& pairs);

/// A direction of norm 1 and its curvature.
struct InjectedDirection {
  Vector<double> direction;
  double curvature = 0;  ///< u'Hu, in nats per squared unit of the parameters

  /// Step along it whose second-order rise ½ε'Hε is ±rise, with the sign of its curvature.
  /// math    ε = u √(2·rise/|u'Hu|)
  /// expects curvature not 0
  Vector<double> step(double rise) const;
};

/// Directions of a space with their curvatures; none where it has no basis.
/// shapes  hessian (n)
/// cost    `draws` Hessian products
std::vector<InjectedDirection> injected_directions(const InjectionSpace& space, const LinearOperator& hessian,
                                                   const NoiseOptions& options);

}  // namespace hone
