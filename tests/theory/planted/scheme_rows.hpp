// Planted rows of schemes of quantization.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "sim/base/rng.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Damage of a scheme: level · gain · 4^(4 - bits) · (D/1e6)^exponent to second order, times ratio as measured.
struct PlantedScheme {
  double gain = 1, exponent = 0.5, ratio = 1;
};

struct PlantedSchemes {
  std::map<std::string, PlantedScheme> schemes;
  double level = 1e-3;
  double noise = 0.02;  ///< in ln units, of every row
  int seeds = 3;
  std::uint64_t stream = 92;
  std::vector<double> tokens = {1e6, 3e6, 1e7}, bits = {3, 4};
};

/// One size; the first order of every row is three times its second order and stands in its damage.
inline Table planted_schemes(const PlantedSchemes& p) {
  Table table;
  std::uint64_t draw = 0;
  for (int seed = 1; seed <= p.seeds; ++seed)
    for (const double d : p.tokens)
      for (const auto& [name, s] : p.schemes)
        for (const double bits : p.bits) {
          SchemeRow r;
          r.run = fmt::format("s{}", seed), r.variant = "trunk";
          r.seed = seed, r.N = 3e4, r.D = d;
          r.scheme = name, r.P = bits;
          r.quadratic_other = p.level * s.gain * std::pow(4, 4 - bits) * std::pow(d / 1e6, s.exponent);
          r.quadratic = 2 * r.quadratic_other;
          r.gradient = 3 * r.quadratic_other;
          r.delta = r.gradient +
                    r.quadratic_other * s.ratio * std::exp(p.noise * normal(Stream{p.stream, Domain::test}, draw++));
          r.remainder_se = 0.01 * r.quadratic_other, r.delta_se = 0.1 * r.quadratic_other;
          r.bits_per_weight = bits + (name == "rtn" ? 0 : 0.01);
          table.schemes.push_back(r);
        }
  return table;
}

}  // namespace hone::theory
