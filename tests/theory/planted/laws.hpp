// Every law with plausible parameters, the points of a grid on which it can be told from its
// neighbours, and noisy rows of it.
#pragma once

#include <cmath>
#include <vector>

#include "sim/base/rng.hpp"
#include "theory/fits/fit.hpp"

namespace hone::theory {

inline std::vector<double> planted_parameters(LawKind kind) {
  const std::vector<double> parts{2.67, 0.3, 2.21, 1.4, 0.96, 2.4};
  const auto joined = [](std::vector<double> left, const std::vector<double>& right) {
    left.insert(left.end(), right.begin(), right.end());
    return left;
  };
  switch (kind) {
    case LawKind::ptq_exponential: return {-3, 0.5, 0.35, 1.6};
    case LawKind::ptq_bit_power: return {-1, 0.5, 0.25, 5.5};
    case LawKind::ptq_step: return {-3, 0.5, 0.35};
    case LawKind::ptq_saturating: return {-2, 0.35, std::log(300.0), 0.8, 1.6};
    case LawKind::sharpness_power: return {1, 0.5, 0.3};
    case LawKind::sharpness_saturating: return {1, 0.3, std::log(300.0), 0.8};
    case LawKind::ptq_saturating_tokens: return {-2, 0.35, std::log(1e7), 0.8, 1.6};
    case LawKind::sharpness_saturating_tokens: return {1, 0.3, std::log(1e7), 0.8};
    case LawKind::chinchilla: return kumar_chinchilla_parameters();
    case LawKind::ptq_broken: return {-2, 0.3, std::log(200.0), 0.9, 0.2, 1.6};
    case LawKind::ptq_step_saturating: return {-2, 0.35, std::log(300.0), 0.8};
    case LawKind::ptq_step_broken: return {-2, 0.3, std::log(200.0), 0.9, 0.2};
    case LawKind::ptq_rate: return {-3, 0.5, 0.35};
    case LawKind::ptq_bit_difference: return {-9, 0.5, 2.5};
    case LawKind::ptq_calibration: return {1.5, 1.7};
    case LawKind::ptq_robust: return joined({-1.5, 0.5, 0.35, 1.5, 0.3, 0.4, 0.6}, parts);
    case LawKind::qat_group: return chen_parameters(ChenFit::w4a16);
    case LawKind::total_bits: return {3, 0.15};
    case LawKind::train_exponential:
    case LawKind::train_additive: return joined(kumar_chinchilla_parameters(), parts);
    case LawKind::train_logistic: return joined(kumar_chinchilla_parameters(), {1.6, 1.5, 1.4, 2.5, 0.9, 2.6});
    case LawKind::train_tail: return joined(kumar_chinchilla_parameters(), {2.5, 0.3, 2.1, 0.5, 0.9, 0.2});
    case LawKind::unified: return joined(joined(kumar_training_parameters(), kumar_ptq_parameters()), {0.3, 0.4, 0.6});
    case LawKind::capybara: return capybara_parameters();
    case LawKind::shannon: return {-4, 0.1, 0.5, -8, 0.35, 1, 0.3, 4};
  }
  return {};
}

namespace planted {

inline bool is_large_scale(LawKind kind) {
  return kind == LawKind::chinchilla || kind >= LawKind::train_exponential || kind == LawKind::ptq_robust;
}

/// Points of one (N, D): the bits, groups and formats that the law reads.
inline std::vector<Point> settings(LawKind kind, Point x) {
  std::vector<Point> all;
  const auto add = [&](double w, double a, double kv, double bits) {
    Point y = x;
    y.P_w = w, y.P_a = a, y.P_kv = kv, y.P = bits;
    all.push_back(y);
  };
  const bool is_training = kind >= LawKind::train_exponential && kind <= LawKind::unified;
  if (is_training || kind == LawKind::ptq_robust) {
    const bool is_after = kind == LawKind::unified || kind == LawKind::ptq_robust;
    for (const double after : is_after ? std::vector<double>{3, 4, 5} : std::vector<double>{INFINITY}) {
      add(INFINITY, INFINITY, INFINITY, after);
      for (const double b : {4.0, 5.0, 6.0, 8.0, 12.0}) {
        add(b, INFINITY, INFINITY, after);
        add(INFINITY, b, INFINITY, after);
        add(INFINITY, INFINITY, b, after);
        add(b + 1, b + 1, b + 1, after);
      }
    }
    return all;
  }
  if (kind == LawKind::capybara) {
    for (const auto& [e, m] : {std::pair{2, 1}, {4, 3}, {5, 2}, {2, 3}, {1, 2}, {3, 0}})
      for (const double g : {32.0, 512.0}) {
        x.exponent_bits = e, x.mantissa_bits = m, x.group = g;
        all.push_back(x);
      }
    return all;
  }
  if (kind == LawKind::qat_group) {
    for (const double g : {32.0, 64.0, 128.0, 256.0}) x.group = g, all.push_back(x);
    return all;
  }
  if (kind == LawKind::chinchilla || kind == LawKind::shannon) return {x};
  for (const double b : {3.0, 4.0, 5.0, 6.0}) add(16, INFINITY, INFINITY, b);
  return all;
}

}  // namespace planted

inline std::vector<Point> planted_points(LawKind kind) {
  const bool is_large = planted::is_large_scale(kind);
  const std::vector<double> sizes = is_large ? std::vector<double>{3e7, 1e8, 3e8} : std::vector<double>{3e4, 1e5, 3e5};
  const std::vector<double> tokens =
      is_large ? std::vector<double>{1.5e9, 4e9, 1e10, 2.6e10} : std::vector<double>{1e6, 3e6, 1e7, 3e7, 1e8, 3e8};
  std::vector<Point> points;
  for (const double n : sizes)
    for (const double d : tokens) {
      Point x;
      x.N = n, x.D = d;
      for (const Point& y : planted::settings(kind, x)) points.push_back(y);
    }
  return points;
}

/// Rows of a law with normal noise of ln y, or of y relative to it; one cell per (N, D).
inline std::vector<Observation> planted_rows(LawKind kind, const std::vector<double>& p, double noise,
                                             std::uint64_t seed) {
  std::vector<Observation> rows;
  std::int64_t cell = -1;
  for (const Point& x : planted_points(kind)) {
    if (rows.empty() || rows.back().point.N != x.N || rows.back().point.D != x.D) ++cell;
    const double y = predict(kind, p, x), z = normal(Stream{seed, Domain::test}, rows.size());
    const double sigma = std::max(noise, 1e-4);
    if (law(kind).scale == Scale::raw) {
      rows.push_back(raw_observation(x, y * (1 + noise * z) + noise * 1e-3 * z, sigma * (y + 1e-3), cell, 0));
    } else {
      Observation o;
      o.point = x, o.log_y = std::log(y) + noise * z, o.log_sigma = sigma, o.cell = cell;
      rows.push_back(o);
    }
  }
  return rows;
}

inline std::vector<LawKind> all_laws() {
  std::vector<LawKind> kinds;
  for (std::size_t i = 0; i < law_count; ++i) kinds.push_back(static_cast<LawKind>(i));
  return kinds;
}

}  // namespace hone::theory
