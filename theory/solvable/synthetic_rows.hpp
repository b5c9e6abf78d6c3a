// Rows of models whose answer is known, in the form of recorded rows, so that tests can show every fit and every judge
// with each outcome. Models with closed forms are in the other headers of this folder.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Grid of a synthetic study: every N with every D, seed and number of bits.
struct SyntheticGrid {
  std::vector<double> N{3e4, 1e5, 3e5};
  std::vector<double> D{1e6, 3e6, 1e7, 3e7, 1e8};
  std::vector<double> P{3, 4, 5, 6};
  int seeds = 3;
  std::uint64_t seed = 0;  ///< of Domain::synthetic
};

/// Exponents and noise of a planted law: delta follows LawKind::ptq_exponential with log-normal scatter, plus a
/// first-order term of mean 0, which can make it negative.
struct PlantedLaw {
  double log_c = -6;
  double gamma_d = 0.5;
  double gamma_n = 0.35;
  double gamma_post = 0.6;
  double curvature_share = 0.6;  ///< of gamma_d that comes from the trace, the rest from Delta²
  double run_noise = 0.05;       ///< ln units, shared by all rows of a (cell, seed)
  double row_noise = 0.02;       ///< first-order term g'e of each row, relative to its prediction
  double higher_noise = 0.02;    ///< ln units, of each row's damage around its prediction beside g'e
  double relative_se = 0.02;     ///< standard errors of the damage as reported, over the prediction; at 3 bits
  double se_per_bit = 1;         ///< factor on that of the damage for each bit above 3
  double row_per_bit = 1;        ///< factor on row_noise for each bit above 3
  double trajectory_noise = 0;   ///< ln units, shared by all rows of one (N, seed)
  double drift = 0;              ///< change of that offset per e-fold of tokens
};

/// Rows of a planted law; the prediction follows the same law without the noise of rows and without error, so that delta rises with it at
/// slope 1.
/// math    delta = predicted exp(higher_noise z) + g'e
std::vector<PtqRow> planted_ptq(const SyntheticGrid& grid, const PlantedLaw& planted);

/// Trace rows of a planted power law with the curvature share of gamma_d; lambda_max saturates at
/// D/N = 10.
std::vector<SharpnessRow> planted_sharpness(const SyntheticGrid& grid, const PlantedLaw& planted);

/// Rows of the null model: quadratic loss of fixed H and fixed Delta, rounding errors drawn anew at
/// each D.
/// math    delta = ½ Σ h_i e_i², e_i uniform in ±Delta/2, h_i = 1/i; d E delta/dD = 0 exactly,
///         predicted = Delta²/24 Σ h_i
std::vector<PtqRow> quadratic_null(const SyntheticGrid& grid);

/// N_eff/N that one site leaves at given bits of training.
/// math    1 - exp(-P/2.8 + 0.4); 1 from 16 bits on
double planted_fraction(double bits);

/// N_eff/N of weights, activations and KV at given bits, of three theories: the product of the sites' own, that of rises
/// of the loss that add up (alpha 0.35), and the product times exp(excess) wherever two sites or more are lowered.
/// math    Π f; (1 + Σ (f^-alpha - 1))^(-1/alpha)
double fraction_of_product(const std::array<double, 3>& bits);
double fraction_of_sum(const std::array<double, 3>& bits);
double fraction_beyond_product(const std::array<double, 3>& bits, double excess);

/// Losses of models trained in full precision on the main trunk, and of others with sites at few bits.
struct PlantedTraining {
  std::vector<std::array<double, 3>> bits;  ///< of those others: weights, activations, KV
  std::function<double(const std::array<double, 3>&)> fraction = fraction_of_product;  ///< N_eff/N
  std::vector<double> lowered_N{};  ///< sizes that are trained at few bits too; empty: all
  double run_noise = 1e-3;          ///< ln units, shared by all bits of a (N, D, seed)
  double row_noise = 1e-4;          ///< ln units, of each row
};

/// Rows of them.
/// math    L = 1.5 + 30 (N f)^-0.35 + 60 D^-0.3
std::vector<LossRow> planted_training(const SyntheticGrid& grid, const PlantedTraining& planted);

}  // namespace hone::theory
