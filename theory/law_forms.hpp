// The one formula behind each law, for any scalar: double predicts, Ceres' dual numbers
// differentiate, unit vectors yield the design matrix of the log-linear laws.
#pragma once

#include <cmath>
#include <limits>

#include "theory/laws.hpp"

namespace hone::theory {

/// Most parameters any law has.
inline constexpr int parameters_max = 5;

/// ln(1 - exp(-(D/N/r)^g)), accurate for (D/N/r)^g far below and far above 1.
template <class T>
T log_saturation(const T& log_r, const T& g, const Point& x) {
  using std::exp, std::expm1, std::log;
  return log(-expm1(-exp(g * (std::log(x.D / x.N) - log_r))));
}

/// Log of the law's prediction.
/// shapes  p has as many entries as law(kind).parameters, in that order
template <class T>
T log_value(LawKind kind, const T* p, const Point& x) {
  using std::exp, std::log;
  const double log_n = std::log(x.N), log_d = std::log(x.D);
  switch (kind) {
    case LawKind::ptq_exponential: return p[0] + p[1] * log_d - p[2] * log_n - p[3] * x.P;
    case LawKind::ptq_bit_power: return p[0] + p[1] * log_d - p[2] * log_n - p[3] * std::log(x.P);
    case LawKind::ptq_step: return p[0] + p[1] * log_d - p[2] * log_n - 2 * std::log(std::exp2(x.P - 1) - 1);
    case LawKind::ptq_saturating: return p[0] - p[1] * log_n + log_saturation(p[2], p[3], x) - p[4] * x.P;
    case LawKind::sharpness_power: return p[0] + p[1] * log_d - p[2] * log_n;
    case LawKind::sharpness_saturating: return p[0] - p[1] * log_n + log_saturation(p[2], p[3], x);
    case LawKind::chinchilla: return log(exp(p[0] - p[1] * log_n) + exp(p[2] - p[3] * log_d) + p[4]);
  }
  return T(std::numeric_limits<double>::quiet_NaN());
}

}  // namespace hone::theory
