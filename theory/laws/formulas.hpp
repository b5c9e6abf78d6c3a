// The one formula behind each law, for any scalar: double predicts, dual numbers differentiate,
// unit vectors yield the design matrix of the log-linear laws.
#pragma once

#include <array>
#include <cmath>
#include <limits>

#include "theory/laws/laws.hpp"

namespace hone::theory {

/// Most parameters any law has.
inline constexpr int parameters_max = 18;

/// ln(1 - exp(-(t/r)^g)) at t tokens, or tokens per parameter; accurate for (t/r)^g far below and far above 1.
template <class T>
T log_saturation(const T& log_r, const T& g, double t) {
  using std::exp, std::expm1, std::log;
  return log(-expm1(-exp(g * (std::log(t) - log_r))));
}

/// ln(1 + e^u) without overflow.
template <class T>
T soft_plus(const T& u) {
  using std::exp, std::log1p;
  return u > 0 ? u + log1p(exp(-u)) : log1p(exp(u));
}

/// ln(M/Delta) of a grid, for a range symmetric about zero with largest magnitude M; NaN for the grids of LLM-QAT, whose
/// step is not a multiple of M.
inline double log_steps(const Point& x) {
  switch (x.grid) {
    case Grid::restricted:
    case Grid::full:
    case Grid::no_clip: return std::log(std::exp2(x.P - 1) - 1);
    case Grid::midrise:
    case Grid::asymmetric:
    case Grid::float_min: return std::log((std::exp2(x.P) - 1) / 2);
    case Grid::signed_absmax: return (x.P - 1) * std::log(2.0);
    case Grid::llm_qat:
    case Grid::llm_qat_asymmetric: break;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// Share of the parameters that training at P bits leaves to one part; 1 at infinite P.
/// math    exponential and additive 1 - e^(-P/gamma + second), logistic 1/(1 + e^(-P/gamma + second)),
///         tail 1 - (1 + second P/gamma)^(-1/second)
template <class T>
T part_fraction(LawKind kind, double bits, const T& gamma, const T& second) {
  using std::exp, std::expm1, std::log1p;
  if (std::isinf(bits)) return T(1);
  const T ratio = bits / gamma;
  if (kind == LawKind::train_logistic) return 1.0 / (1.0 + exp(second - ratio));
  if (kind != LawKind::train_tail) return 1.0 - exp(second - ratio);
  const T z = second * ratio;
  const T decay = z > 1e-4 ? T(log1p(z) / second) : T(ratio * (1.0 - z * (0.5 - z * (1.0 / 3 - z / 4.0))));
  return -expm1(-decay);
}

/// ln(N_eff/N) over weights, activations and KV cache; NaN where N_eff ≤ 0.
/// shapes  parts holds a scale and a second parameter of each of the three
template <class T>
T log_fraction(LawKind kind, const T* parts, const Point& x) {
  using std::log;
  const std::array<double, 3> bits{x.P_w, x.P_a, x.P_kv};
  T sum(0), logs(0);
  for (std::size_t i = 0; i < 3; ++i) {
    const T f = part_fraction(kind, bits[i], parts[2 * i], parts[2 * i + 1]);
    if (kind == LawKind::train_additive) sum += 1.0 - f;
    if (kind != LawKind::train_additive && !(f > 0)) return T(std::numeric_limits<double>::quiet_NaN());
    logs += kind == LawKind::train_additive ? T(0) : T(log(f));
  }
  if (kind != LawKind::train_additive) return logs;
  return sum < 1 ? T(log(1.0 - sum)) : T(std::numeric_limits<double>::quiet_NaN());
}

/// A N_eff^-alpha + B D^-beta + E.
/// shapes  p = ln A, alpha, ln B, beta, E
template <class T>
T loss_value(const T* p, const T& log_n, double log_d) {
  using std::exp;
  return exp(p[0] - p[1] * log_n) + exp(p[2] - p[3] * log_d) + p[4];
}

/// Kumar et al. Eq 9 with a given N_eff.
/// shapes  p = ln C, gD, gN, kappa; robustness = C_w, C_a, C_kv
template <class T>
T damage_value(const T* p, const T* robustness, const T& log_n, const Point& x) {
  using std::exp, std::expm1;
  T damage = exp(p[0] + p[1] * std::log(x.D) - p[2] * log_n - p[3] * x.P);
  const std::array<double, 3> bits{x.P_w, x.P_a, x.P_kv};
  for (std::size_t i = 0; i < 3; ++i) {
    if (std::isinf(bits[i])) continue;
    if (!(bits[i] > x.P)) return T(0);
    damage *= -expm1(-robustness[i] * (bits[i] - x.P));
  }
  return damage;
}

/// Smooth break from slope g1 to g2 at D/N = r, without the bits.
/// shapes  p = ln C, gN, ln r, g1, g2
template <class T>
T log_broken(const T* p, const Point& x) {
  constexpr double width = 0.25;  // of the bend, in ln(D/N)
  const T u = std::log(x.D / x.N) - p[2];
  return p[0] - p[1] * std::log(x.N) + p[3] * u + (p[4] - p[3]) * width * soft_plus(T(u / width));
}

/// Sun et al. 2501.02423.
/// shapes  p = ln n, a, ln d, b, eps, ln g, delta, nu
template <class T>
T capybara_value(const T* p, const Point& x) {
  using std::exp;
  const double log_n = std::log(x.N), log_d = std::log(x.D);
  const T precision = p[3] * log_d - p[1] * log_n + std::log(std::log2(x.group)) - p[5] -
                      p[6] * std::log(x.exponent_bits + 0.5) - p[7] * std::log(x.mantissa_bits + 0.5);
  return loss_value(p, T(log_n), log_d) + exp(precision);
}

/// Log of the loss of Ouyang et al. 2605.23901.
/// shapes  p = ln a, alpha, beta, ln c, gamma, ln d, delta, ln e
template <class T>
T log_shannon(const T* p, const Point& x) {
  using std::exp, std::log, std::log1p;
  const double log_n = std::log(x.N), log_d = std::log(x.D);
  const T noise = exp(p[3] + p[4] * (log_d + log_n)) + exp(p[5] + p[6] * log_d) + exp(p[7]);
  const T bits = log1p(exp(p[2] * log_d) / noise) / std::log(2.0);
  return -(p[0] + p[1] * log_n + log(bits));
}

/// The law's prediction itself, for laws whose prediction may be zero and for sums.
template <class T>
T sum_value(LawKind kind, const T* p, const Point& x) {
  const double log_n = std::log(x.N), log_d = std::log(x.D);
  switch (kind) {
    case LawKind::chinchilla: return loss_value(p, T(log_n), log_d);
    case LawKind::train_exponential:
    case LawKind::train_additive:
    case LawKind::train_logistic:
    case LawKind::train_tail: return loss_value(p, T(log_n + log_fraction(kind, p + 5, x)), log_d);
    case LawKind::ptq_robust: return damage_value(p, p + 4, T(log_n + log_fraction(kind, p + 7, x)), x);
    case LawKind::unified: {
      const T n_eff = log_n + log_fraction(kind, p + 5, x);
      return loss_value(p, n_eff, log_d) + damage_value(p + 11, p + 15, n_eff, x);
    }
    case LawKind::capybara: return capybara_value(p, x);
    default: return T(std::numeric_limits<double>::quiet_NaN());
  }
}

/// Log of the law's prediction.
/// shapes  p has as many entries as law(kind).parameters, in that order
template <class T>
T log_value(LawKind kind, const T* p, const Point& x) {
  using std::log;
  const double log_n = std::log(x.N), log_d = std::log(x.D);
  switch (kind) {
    case LawKind::ptq_exponential: return p[0] + p[1] * log_d - p[2] * log_n - p[3] * x.P;
    case LawKind::ptq_bit_power: return p[0] + p[1] * log_d - p[2] * log_n - p[3] * std::log(x.P);
    case LawKind::ptq_step: return p[0] + p[1] * log_d - p[2] * log_n - 2 * log_steps(x);
    case LawKind::ptq_saturating: return p[0] - p[1] * log_n + log_saturation(p[2], p[3], x.D / x.N) - p[4] * x.P;
    case LawKind::ptq_saturating_tokens: return p[0] - p[1] * log_n + log_saturation(p[2], p[3], x.D) - p[4] * x.P;
    case LawKind::sharpness_power: return p[0] + p[1] * log_d - p[2] * log_n;
    case LawKind::sharpness_saturating: return p[0] - p[1] * log_n + log_saturation(p[2], p[3], x.D / x.N);
    case LawKind::sharpness_saturating_tokens: return p[0] - p[1] * log_n + log_saturation(p[2], p[3], x.D);
    case LawKind::ptq_broken: return log_broken(p, x) - p[5] * x.P;
    case LawKind::ptq_step_saturating:
      return p[0] - p[1] * log_n + log_saturation(p[2], p[3], x.D / x.N) - 2 * log_steps(x);
    case LawKind::ptq_step_broken: return log_broken(p, x) - 2 * log_steps(x);
    case LawKind::ptq_rate: return p[0] + p[1] * log_d - p[2] * log_n - 2 * std::log(2.0) * x.P;
    case LawKind::ptq_bit_difference: return p[0] + p[1] * (log_d - log_n) + p[2] * std::log(x.P_w - x.P);
    case LawKind::ptq_calibration: return p[0] - p[1] * x.P;
    case LawKind::qat_group: return p[0] + p[1] * log_d - p[2] * log_n + p[3] * std::log(std::log2(x.group));
    case LawKind::total_bits: return p[0] - p[1] * (log_n + std::log(bits_per_weight(x)));
    case LawKind::shannon: return log_shannon(p, x);
    default: return log(sum_value(kind, p, x));
  }
}

/// The law's prediction.
template <class T>
T value(LawKind kind, const T* p, const Point& x) {
  using std::exp;
  return law(kind).scale == Scale::raw ? sum_value(kind, p, x) : T(exp(log_value(kind, p, x)));
}

/// What fits compare with observations: the prediction or its log, as Law::scale says.
template <class T>
T response(LawKind kind, const T* p, const Point& x) {
  return law(kind).scale == Scale::raw ? sum_value(kind, p, x) : log_value(kind, p, x);
}

}  // namespace hone::theory
