#include "theory/solvable/stability.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

void check(double rate, double momentum) {
  EXPECTS(rate > 0 && momentum >= 0 && momentum < 1, "stability: rate {}, momentum {}, expected > 0 and in [0, 1)",
          rate, momentum);
}

/// Largest modulus of the roots of z² - p z + q.
double larger_root(double p, double q) {
  const double discriminant = p * p / 4 - q;
  if (discriminant < 0) return std::sqrt(q);
  return std::abs(p) / 2 + std::sqrt(discriminant);
}

}  // namespace

double stability_cap(Momentum kind, double rate, double momentum) {
  check(rate, momentum);
  switch (kind) {
    case Momentum::none: return 2 / rate;
    case Momentum::heavy: return (2 + 2 * momentum) / rate;
    case Momentum::averaged: return (2 + 2 * momentum) / ((1 - momentum) * rate);
    case Momentum::nesterov: return (2 + 2 * momentum) / ((1 + 2 * momentum) * rate);
  }
  return 0;
}

double characteristic_radius(Momentum kind, double rate, double momentum, double curvature) {
  check(rate, momentum);
  const double move = rate * curvature;
  switch (kind) {
    case Momentum::none: return std::abs(1 - move);
    case Momentum::heavy: return larger_root(1 + momentum - move, momentum);
    case Momentum::averaged: return larger_root(1 + momentum - (1 - momentum) * move, momentum);
    case Momentum::nesterov: return larger_root((1 + momentum) * (1 - move), momentum * (1 - move));
  }
  return 0;
}

}  // namespace hone::theory
