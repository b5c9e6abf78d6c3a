// Planted rows of what happens along a text: a quantized cache, schedules of bits, and tasks in the text; and of tuned
// branches.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/rng.hpp"
#include "theory/solvable/synthetic_rows.hpp"

namespace hone::theory {

inline Subject trunk_of_run(double n, double d, int seed) {
  Subject s;
  s.run = fmt::format("n{} s{}", n, seed), s.variant = "trunk";
  s.seed = seed, s.N = n, s.D = d;
  return s;
}

/// A cache whose damage per token goes as a power of the position, up to 16 training windows of 64 tokens.
struct PlantedCache {
  double token = 0.3, kivi = 0.3;  ///< exponents of two policies
  double noise = 0.05;             ///< of each octave in ln units
  double tilt = 0;                 ///< by which the exponents of seeds differ
  int seeds = 4;
  std::uint64_t world = 0;
};

inline void add_cache(Table& table, const PlantedCache& p) {
  std::uint64_t draw = 0;
  for (int seed = 1; seed <= p.seeds; ++seed)
    for (const auto& [policy, exponent] : {std::pair{"token3", p.token}, {"kivi2", p.kivi}, {"token16", 0.0}}) {
      const double own = exponent + p.tilt * normal(Stream{p.world * 1000 + 71, Domain::test, 1}, std::uint64_t(seed));
      const auto damage = [&, policy = policy](double at) {
        if (std::string(policy) == "token16") return 0.0;
        return 1e-3 * std::pow(at, own) * std::exp(p.noise * normal(Stream{p.world * 1000 + 71, Domain::test}, draw++));
      };
      for (int octave = 0; octave <= 10; ++octave) {
        const double last = std::exp2(octave), first = octave == 0 ? 0 : last / 2;
        CacheRow r;
        static_cast<Subject&>(r) = trunk_of_run(3e4, 1e6, seed);
        r.policy = policy, r.first = first, r.last = last, r.contexts = last / 64;
        r.delta = first < 8 ? 0.2 : damage(std::sqrt(first * last));  // the beginnings follow no law
        r.delta_se = 0.05 * r.delta;
        if (std::string(policy) == "token16") r.delta = r.delta_se = 0;
        table.cache.push_back(r);
      }
      for (const double distance : {16.0, 32.0, 64.0, 128.0, 256.0, 512.0}) {
        CopyRow r;
        static_cast<Subject&>(r) = trunk_of_run(3e4, 1e6, seed);
        r.policy = policy, r.distance = distance, r.accuracy = 0.9;
        r.delta = 2 * damage(distance), r.delta_se = 0.05 * r.delta, r.accuracy_delta = -r.delta;
        table.copies.push_back(r);
      }
    }
}

/// Schedules at 3 and at 4 bits.
struct PlantedSchedules {
  double saved = 0.3;  ///< share of the damage that falling bits save
  double noise = 0.02;
  int seeds = 4;
  std::uint64_t world = 0;
};

inline void add_schedules(Table& table, const PlantedSchedules& p) {
  std::uint64_t draw = 0;
  for (int seed = 1; seed <= p.seeds; ++seed)
    for (const double bits : {3.0, 4.0}) {
      const double damage = std::exp(-bits) * (1 + 0.1 * seed);
      for (const auto& [name, saved] : {std::pair{"stored", 1.0},
                                        {"uniform", 0.0},
                                        {"step_down", p.saved},
                                        {"reversed", -p.saved},
                                        {"linear", p.saved / 2},
                                        {"surprise", 2 * p.saved}}) {
        ScheduleRow r;
        static_cast<Subject&>(r) = trunk_of_run(3e4, 1e6, seed);
        const bool is_own = std::string(name) == "uniform" || std::string(name) == "stored";
        const double noise = is_own ? 0 : p.noise * normal(Stream{p.world * 1000 + 72, Domain::test}, draw++);
        r.schedule = name, r.average_bits = bits;
        r.to_uniform = is_own ? 0 : damage * (noise - saved);
        r.delta = damage + r.to_uniform;
        r.delta_se = r.to_uniform_se = 0.02 * damage;
        table.schedules.push_back(r);
      }
    }
}

/// Tasks whose accuracy is e^(-loss) while training goes on, and lower by `shortfall` after rounding.
struct PlantedTasks {
  double copy = 0.1, addition = 0.1;
  double noise = 0.005;
  int seeds = 4;
  std::uint64_t world = 0;
};

inline void add_tasks(Table& table, const PlantedTasks& p) {
  std::uint64_t draw = 0;
  for (int seed = 1; seed <= p.seeds; ++seed)
    for (const auto& [task, shortfall] : {std::pair{"copy", p.copy}, {"addition", p.addition}})
      for (int i = 0; i < 12; ++i)
        for (const double bits : {3.0, 4.0}) {
          TaskRow r;
          static_cast<Subject&>(r) = trunk_of_run(3e4, 1e5 * std::pow(1.5, i), seed);
          r.task = task, r.P = bits;
          const auto accuracy = [](double loss) { return std::exp(-loss); };
          r.loss = 2 * std::pow(0.8, i), r.accuracy = accuracy(r.loss);
          r.delta = bits == 3 ? 0.3 : 0.1;
          const double noise = p.noise * normal(Stream{p.world * 1000 + 73, Domain::test}, draw++);
          r.accuracy_delta = accuracy(r.loss + r.delta) - r.accuracy - shortfall + noise;
          table.tasks.push_back(r);
        }
}

/// Branches that leave every checkpoint of some trunks and change ln damage and ln prediction, with noise of their own.
struct PlantedTuning {
  double damage = 0, predicted = 0;
  double noise = 0.02;
  std::uint64_t world = 0;
};

inline Table tuned_branches(const SyntheticGrid& grid, const PlantedLaw& law, const PlantedTuning& p) {
  Table table{planted_ptq(grid, law), planted_sharpness(grid, law), {}, {}};
  const auto begin = [](Subject& s) { s.run = fmt::format("n{} s{}", s.N, s.seed), s.branched_at = s.D; };
  const auto tune = [](Subject& s) { s.variant = "tuned", s.kind = Kind::tuned, s.D *= 1.2; };
  std::vector<PtqRow> branches;
  for (PtqRow& r : table.ptq) {
    begin(r);
    PtqRow after = r;
    tune(after);
    const double rest =
        (r.delta - r.gradient) *
        std::exp(p.damage + p.noise * normal(Stream{p.world * 1000 + 74, Domain::test}, branches.size()));
    after.predicted *= std::exp(p.predicted), after.gradient *= std::exp(p.predicted);
    after.delta = rest + after.gradient;
    branches.push_back(after);
  }
  std::vector<SharpnessRow> sharper;
  for (SharpnessRow& r : table.sharpness) {
    begin(r);
    sharper.push_back(r);
    tune(sharper.back());
    sharper.back().trace *= 2;
  }
  table.ptq.insert(table.ptq.end(), branches.begin(), branches.end());
  table.sharpness.insert(table.sharpness.end(), sharper.begin(), sharper.end());
  return table;
}

}  // namespace hone::theory
