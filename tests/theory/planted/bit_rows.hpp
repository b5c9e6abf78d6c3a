// Planted rows of damage as a power of the bits removed, at few and at many tokens, and of other modes of rounding.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "sim/base/rng.hpp"
#include "tests/theory/planted/along_text.hpp"

namespace hone::theory {

/// Trunks and tuned branches of one size; damage = e^eta (16 - P)^delta.
struct PlantedPower {
  double few = 15, many = 15;              ///< delta at the first and at the last checkpoint
  double tuned_few = 15, tuned_many = 15;  ///< of branches of 10 k and of 400 k tokens that leave the last checkpoint
  double eta_few = -44, eta_many = -43;    ///< ln eta; branches have that of many
  double eight_few = 1, eight_many = 1;    ///< factors on the damage at 8 bits
  double noise = 0.003;                    ///< of each damage in ln units
  int seeds = 4;
  bool is_tuned = true;
  std::uint64_t world = 0;
};

inline void add_power(Table& table, const PlantedPower& p) {
  std::uint64_t draw = 0;
  const auto add = [&](const Subject& subject, double eta, double delta, double at_eight) {
    for (const double bits : {3.0, 4.0, 5.0, 6.0, 8.0}) {
      PtqRow r;
      static_cast<Subject&>(r) = subject;
      r.P = bits, r.loss = 3, r.mean_step2 = 1e-3;
      r.predicted = std::exp(eta + delta * std::log(16 - bits)) * (bits == 8 ? at_eight : 1);
      r.delta = r.predicted * std::exp(p.noise * normal(Stream{p.world * 1000 + 75, Domain::test}, draw++));
      r.quadratic = r.predicted;
      r.delta_se = r.remainder_se = 0.01 * r.predicted;
      table.ptq.push_back(r);
    }
  };
  for (int seed = 1; seed <= p.seeds; ++seed) {
    Subject s = trunk_of_run(13e3, 1e5, seed);
    s.branched_at = s.D;
    add(s, p.eta_few, p.few, p.eight_few);
    s.D = s.branched_at = 1.6e6;
    add(s, p.eta_many, p.many, p.eight_many);
    if (!p.is_tuned) continue;
    s.kind = Kind::tuned, s.branch_data = "essays";
    s.variant = "tuned_short", s.D = 1.6e6 + 1e4;
    add(s, p.eta_many, p.tuned_few, 1);
    s.variant = "tuned_long", s.D = 1.6e6 + 4e5;
    add(s, p.eta_many, p.tuned_many, 1);
  }
}

/// An arm with another mode of rounding beside every row of the main trunk.
struct PlantedRounding {
  double ratio = 2;  ///< of its damage over that of nearest even
  double tilt = 0;   ///< by which its exponent of the bits removed is larger
  double noise = 0.02;
  std::uint64_t world = 0;
};

inline void add_rounding(Table& table, const PlantedRounding& p) {
  std::vector<PtqRow> arm;
  for (PtqRow r : table.ptq) {
    if (r.variant != "trunk" || r.arm != "main") continue;
    const double z = normal(Stream{p.world * 1000 + 76, Domain::test}, arm.size());
    r.arm = r.rounding = "stochastic", r.run += " stochastic";
    const double ratio = p.ratio * std::pow(16 - r.P, p.tilt);
    r.delta = (r.delta - r.gradient) * ratio * std::exp(p.noise * z), r.gradient = 0;
    r.predicted *= 2, r.quadratic *= ratio;
    arm.push_back(r);
  }
  table.ptq.insert(table.ptq.end(), arm.begin(), arm.end());
}

}  // namespace hone::theory
