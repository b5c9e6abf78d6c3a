// Tables of planted rows for the tests of the questions, and short ways to ask a verdict.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>

#include "sim/base/rng.hpp"
#include "theory/questions/judge.hpp"
#include "theory/solvable/synthetic_rows.hpp"

namespace hone::theory {

/// The number of a finding that must be there.
inline double number(const Verdict& v, const std::string& key) {
  const Finding* found = find_finding(v, key);
  REQUIRE_MESSAGE(found != nullptr, key);
  return found->estimate;
}

/// Whether the interval of a finding that must be there holds a value.
inline bool is_within(const Verdict& v, const std::string& key, double value) {
  const Finding* found = find_finding(v, key);
  REQUIRE_MESSAGE(found != nullptr, key);
  return found->low <= value && value <= found->high;
}

inline Table planted(const PlantedLaw& law, const SyntheticGrid& grid = {}) {
  return {planted_ptq(grid, law), planted_sharpness(grid, law), {}, {}};
}

inline Subject subject_of(double n, double d, int seed, const std::string& variant) {
  Subject s;
  s.run = "synthetic", s.variant = variant;
  s.seed = seed, s.N = n, s.D = d;
  return s;
}

/// A branch of every trunk checkpoint at its own D, with damage and prediction moved by the given amounts in ln units.
inline void add_branch(Table& table, const std::string& variant, Kind kind, double delta_shift, double predicted_shift,
                       double noise) {
  std::vector<PtqRow> branches;
  for (PtqRow r : table.ptq) {
    if (r.variant != "trunk") continue;
    const double z = normal(Stream{21, Domain::test}, branches.size());
    r.variant = variant;
    r.kind = kind;
    r.delta *= std::exp(delta_shift + noise * z);
    r.gradient *= std::exp(delta_shift);
    r.predicted *= std::exp(predicted_shift);
    branches.push_back(r);
  }
  table.ptq.insert(table.ptq.end(), branches.begin(), branches.end());
}

inline void add_cooled(Table& table, double delta_shift, double predicted_shift, double noise) {
  add_branch(table, "cooled", Kind::cooldown, delta_shift, predicted_shift, noise);
}

/// What a verdict says of a control; false when it says nothing.
inline bool control(const Verdict& v, Control which) {
  for (const ControlState& c : v.controls)
    if (c.control == which) return c.was_run;
  return false;
}

/// Loss of a planted Chinchilla law at an effective share of the parameters.
inline double planted_loss(double n, double d, double share) {
  return 1.5 + 30 * std::pow(n * share, -0.35) + 60 * std::pow(d, -0.3);
}

/// Full-precision losses of that law with noise in ln units.
inline void add_losses(Table& table, const SyntheticGrid& grid, double noise) {
  for (const double n : grid.N)
    for (const double d : grid.D)
      for (int seed = 0; seed < grid.seeds; ++seed) {
        LossRow r;
        static_cast<Subject&>(r) = subject_of(n, d, seed, "trunk");
        r.loss = planted_loss(n, d, 1) * std::exp(noise * normal(Stream{61, Domain::test}, table.losses.size()));
        r.loss_se = 1e-3;
        table.losses.push_back(r);
      }
}

/// A factorial in which quantizing both costs (1 + interaction) times the sum, with row noise.
inline Table factorial(double interaction, double noise) {
  Table table;
  std::uint64_t draw = 0;
  for (const double d : {1e6, 1e7, 1e8})
    for (int seed = 0; seed < 3; ++seed)
      for (const double w : {3.0, 4.0, 16.0})
        for (const double a : {3.0, 4.0, 16.0}) {
          const auto damage = [](double bits) { return bits < 16 ? std::exp(-bits) : 0; };
          const bool is_joint = w < 16 && a < 16;
          FactorialRow r;
          static_cast<Subject&>(r) = subject_of(1e5, d, seed, "trunk");
          r.w_bits = w;
          r.a_bits = a;
          r.delta = (damage(w) + damage(a)) * (is_joint ? 1 + interaction : 1) *
                    (1 + noise * normal(Stream{31, Domain::test}, draw++));
          r.delta_se = 0.01 * r.delta;
          table.factorial.push_back(r);
        }
  return table;
}

/// Noise rows with the given ratio of measured to predicted damage and of the residual's share to
/// its null; every checkpoint is of another seed.
inline Table noise_rows(double ratio, double share, double scatter) {
  Table table;
  double sign = 1;
  int seed = 0;
  for (const double d : {1e6, 3e6, 1e7, 1e8}) {
    sign = -sign;
    ++seed;
    for (const char* subspace : {"top", "random", "complement"})
      for (const double energy : {0.1, 1.0}) {
        NoiseRow r;
        static_cast<Subject&>(r) = subject_of(1e5, d, seed, "trunk");
        r.subspace = subspace;
        r.energy = energy;
        r.predicted = energy;
        r.delta = ratio * energy;
        r.delta_se = 0.01 * energy;
        r.null_share = 0.05;
        r.residual_share = 0.05 * share * std::exp(scatter * sign);
        table.noise.push_back(r);
      }
  }
  return table;
}

}  // namespace hone::theory
