// Fits of the loss at the precision of training, and the optimal bits that follow.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "theory/precision/compute_optimal.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {

/// Losses of trunks trained at low precision and of their full-precision peers.
struct PrecisionRows {
  std::vector<LossRow> rows;
  std::vector<Observation> observations;  ///< of ln L; bits of 16 and more are infinite
  std::array<bool, 3> is_lowered{};       ///< parts that some row trained with fewer bits: weights, activations, KV
  std::set<double> bits;                  ///< fewest bits of each low-precision row
  int low = 0;                            ///< rows at low precision
  bool is_lowered_alone(std::size_t part) const;  ///< some row lowers this part without the others
};

/// Transformer trunks: those trained at low precision by straight-through estimates in any arm, and full precision on
/// the main trunk with the same data and schedule.
/// expects threshold loss_scatter
PrecisionRows precision_rows(const Table& table, const Thresholds& thresholds);

/// Compute of one run in units of a 16-bit one.
/// math    (6/16) N D P, P the mean bits of the parts that the study lowers
/// source  Kumar et al. 2411.04330 Eq 5
double training_cost(const PrecisionRows& all, const Observation& o);

/// A training law fitted to rows; parts that no row lowers are held, parts only lowered together share their
/// parameters. Starts from the Chinchilla law of the full-precision rows.
class TrainingFit {
 public:
  TrainingFit(LawKind kind, const PrecisionRows& rows, const std::vector<Observation>& fitted);

  bool is_usable() const { return !parameters_.empty(); }
  LawKind kind() const { return kind_; }
  /// Parameters of the law.
  /// expects  is_usable
  const std::vector<double>& parameters() const { return parameters_; }
  /// The same law fitted to other rows, from this solution.
  TrainingFit refit(const std::vector<Observation>& rows) const;
  /// Scales and offsets fitted to `low`, the Chinchilla law to `full` alone: rows at low precision that follow another
  /// law cannot bend it. Parts that no row of `low` lowers are left out: the optimum is that of the others.
  TrainingFit refit_apart(const std::vector<Observation>& full, const std::vector<Observation>& low) const;
  /// Bits of most N_eff/P: where compute is spent best.
  /// math    the interior maximum of most bits of f(P)/P within 1 to 32, f = N_eff/N with P bits in every part that the
  ///         study lowers; NaN when there is none
  double optimal_bits() const;
  /// The fit as numbers.
  /// expects  kind train_exponential; parts that no row lowers cost nothing
  TrainingLaw law() const;

 private:
  TrainingFit(LawKind kind, const std::array<bool, 3>& is_lowered, const std::array<std::size_t, 3>& leader)
      : kind_(kind), is_lowered_(is_lowered), leader_(leader) {}
  enum class Free { all, parts };
  void solve(const std::vector<Observation>& rows, const std::vector<std::vector<double>>& starts, Free free);

  LawKind kind_;
  std::array<bool, 3> is_lowered_{};
  std::array<std::size_t, 3> leader_{};  ///< the part whose parameters each part uses
  std::vector<double> parameters_;
};

}  // namespace hone::theory
