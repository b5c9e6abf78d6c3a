// Worlds put to a judge many times. Internal to the tables of worlds.hpp.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/theory/planted/worlds.hpp"
#include "theory/questions/judge.hpp"
#include "theory/solvable/planted.hpp"

namespace hone::theory {

using Judge = Verdict (*)(const Table&, const Thresholds&);

/// A world, the question put to it, and what an honest judge would say.
struct World {
  std::string name;
  std::string question;
  Judge judge;
  Outcome wanted;
  double planted = NAN;  ///< of the number that decides; NaN where the world has none
  std::function<Table(std::uint64_t seed)> draw;
};

/// The law of one campaign, with noise as planted_campaign has it, most of that of rows in their first-order term.
inline PlantedLaw law_of(double gamma_d) {
  return {.gamma_d = gamma_d,
          .run_noise = 0.10,
          .row_noise = 0.10,
          .higher_noise = 0.15,
          .row_per_bit = 1.7,
          .trajectory_noise = 0.12,
          .drift = 0.05};
}

/// With the noise that the reference study turned out to have: first-order terms of 0.14 to 1.5 of the prediction from 3
/// to 6 bits, standard errors of 0.02 to 0.19 of it.
inline PlantedLaw rough_law_of(double gamma_d) {
  PlantedLaw law = law_of(gamma_d);
  law.row_noise = 0.14, law.row_per_bit = 2.2, law.relative_se = 0.022, law.se_per_bit = 2.05;
  return law;
}

inline SyntheticGrid grid_of(std::uint64_t seed) {
  SyntheticGrid grid = reference_grid();
  grid.seed = seed;
  return grid;
}

/// Two sizes, one seed, three token counts.
inline SyntheticGrid small_grid(std::uint64_t seed) {
  return {.N = {13e3, 55e3}, .D = {2.5e5, 5e5, 1e6}, .P = {3, 4}, .seeds = 1, .seed = seed};
}

/// A law with four times the noise.
inline PlantedLaw noisy_law(double gamma_d) {
  PlantedLaw law = rough_law_of(gamma_d);
  law.run_noise *= 4, law.row_noise *= 4, law.higher_noise *= 4, law.trajectory_noise *= 4, law.drift *= 4;
  return law;
}

/// Of what happens along a text, and of tuned branches.
std::vector<World> text_worlds();

/// Of the bits removed and the mode of rounding.
std::vector<World> bit_worlds();
/// Of solvable models.
std::vector<World> solvable_worlds();

/// Outcomes of every world, and how often the interval held where a value is planted.
VerdictTables tables_of(const std::vector<std::vector<World>>& lists, const WorldOptions& options);

}  // namespace hone::theory
