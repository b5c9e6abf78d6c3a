// Limits of stability of gradient methods on a quadratic of curvature h, which bound sharpness in training. Each method is
// a linear recurrence; it is stable while its characteristic roots z lie in the unit circle.
//   eta learning rate   b momentum   h eigenvalue of the Hessian, of P^-1 H under a frozen preconditioner P
#pragma once

namespace hone::theory {

enum class Momentum {
  none,      ///< w -= eta g
  heavy,     ///< u = b u + g, w -= eta u (Polyak; torch SGD)
  averaged,  ///< m = b m + (1 - b) g, w -= eta m: Adam with P frozen
  nesterov,  ///< heavy with g taken at w - eta b u
};

/// Largest h at which the method does not diverge.
/// math    none 2/eta; heavy (2 + 2b)/eta; averaged (2 + 2b)/((1 - b) eta); nesterov (2 + 2b)/((1 + 2b) eta): the h that
///         puts a root at z = -1
/// expects rate > 0, 0 ≤ momentum < 1; none reads no momentum
/// source  Cohen et al. 2021 (arXiv:2103.00065) appendix B, 2022 (arXiv:2207.14484) proposition 1
double stability_cap(Momentum kind, double rate, double momentum);

/// Largest |z|: the factor by which the distance to the minimum changes per update in the end.
/// math    none 1 - eta h; heavy z² - (1 + b - eta h) z + b; averaged the same with eta (1 - b); nesterov z² - (1 + b)(1
///         - eta h) z + b (1 - eta h)
/// expects as stability_cap
double characteristic_radius(Momentum kind, double rate, double momentum, double curvature);

}  // namespace hone::theory
