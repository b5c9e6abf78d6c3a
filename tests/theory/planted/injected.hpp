// Rows of noise of equal predicted rise whose true cost is planted.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "sim/base/rng.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Noise whose rise is the predicted one times 1 + bend · rise / end(D).
struct Injected {
  double offset = 0;                    ///< of ln (measured over predicted) in the top directions
  double end = 0.05, end_exponent = 0;  ///< rise at which the top directions are 10 % off at 1e6 tokens; of D
  double noise = 0.02;
  std::vector<double> sizes{3e4, 1e5};
  int seeds = 3;
  std::uint64_t seed = 0;  ///< of the noise
};

inline Table injected(const Injected& p) {
  Table table;
  std::uint64_t draw = 0;
  for (const double n : p.sizes)
    for (int seed = 1; seed <= p.seeds; ++seed)
      for (const double d : {1e6, 3e6, 1e7})
        for (const char* space : {"top", "next", "random", "complement", "negative"})
          for (const double rise : {1e-4, 1e-3, 1e-2, 3e-2, 0.1}) {
            InjectionRow r;
            r.N = n, r.D = d, r.seed = seed, r.variant = "trunk";
            r.run = fmt::format("n{} s{}", n, seed);
            r.subspace = space, r.rise = rise, r.energy = rise;
            r.predicted = r.subspace == "negative" ? -rise : rise;
            const double end = p.end * std::pow(d / 1e6, p.end_exponent);
            const double off = r.subspace == "top" ? std::exp(p.offset) * (1 + 0.1 * rise / end) : 1;
            r.delta = r.predicted * off * std::exp(p.noise * normal(Stream{91 + 1000 * p.seed, Domain::test}, draw++));
            r.delta_se = 0.01 * rise;
            table.injection.push_back(r);
          }
  return table;
}

}  // namespace hone::theory
