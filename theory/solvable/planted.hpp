// Planted campaigns: observations of a known law on the grid of a real study, with noise of the size and the correlations
// of real runs. Intervals are tested on them (tests/theory/planted/worlds.cpp).
#pragma once

#include <cstdint>
#include <vector>

#include "theory/fits/fit.hpp"
#include "theory/solvable/synthetic_rows.hpp"

namespace hone::theory {

/// Standard deviations in ln units of what makes runs differ, independent of each other.
/// source  defaults: `hone run` of experiments/studies/quick.toml and of the demo's 13 k model with three
///         seeds. Between seeds ln prediction has sd 0.1 to 0.27 and ln delta 0.12 to 0.65 at 3 bits,
///         more at each further bit
struct CampaignNoise {
  double trajectory = 0.12;  ///< shared by all rows of one (N, seed)
  double drift = 0.05;       ///< change of that offset per e-fold of tokens
  double checkpoint = 0.10;  ///< shared by the rows of one (N, D, seed)
  double row = 0.10;         ///< of a row at 3 bits or fewer
  double row_per_bit = 1.7;  ///< factor on `row` for each bit above 3
  double size = 0;           ///< shared by all rows of one N: departure of that size from the law
};

/// Five sizes of 13 k to 221 k, seven token counts of 0.25 to 13 M, 3 to 6 bits, three seeds.
SyntheticGrid reference_grid();

/// Each N with each D and each number of bits after training.
std::vector<Point> points_of(const SyntheticGrid& grid);

/// A law's value at each point for each seed 0 … seeds-1, times the exponential of the noise.
/// math    ln y = ln law + a_N + b_(N,seed) + c_(N,seed) (ln D - mean ln D) + k_(N,D,seed) + r_row
/// ensures one cell per (N, D); log_sigma is the row's own noise with 0.1 added in quadrature, as
///         judges add fit_scatter; equal arguments give equal bits
/// errors  ContractError where the law is not positive
std::vector<Observation> planted_campaign(LawKind kind, const std::vector<double>& parameters,
                                          const std::vector<Point>& points, int seeds, const CampaignNoise& noise,
                                          std::uint64_t seed);

}  // namespace hone::theory
