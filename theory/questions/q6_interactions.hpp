// Interactions of precision sites in the factorial of weight, activation and KV bits.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "theory/precision/training_law.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {

/// Two or three of the sites weights, activations, KV, by index.
struct Sites {
  std::string name;  ///< "WxA"
  std::vector<std::size_t> of;
  /// "W3A4KV8"
  std::string label(const std::array<double, 3>& bits) const;
};

using Bits = std::array<double, 3>;  ///< of weights, activations, KV; 16 = not quantized
constexpr Bits unquantized{16, 16, 16};

/// The bits of those sites whose place in `sites` the mask holds, 16 elsewhere.
Bits masked(const Bits& bits, const Sites& sites, unsigned mask);

/// Σ_S (-1)^(k-|S|) value(S) over the non-empty subsets S of k sites, S a mask.
template <class Value>
double alternating_sum(std::size_t k, Value&& value) {
  double sum = 0;
  for (unsigned mask = 1; mask < (1u << k); ++mask)
    sum += ((k - static_cast<std::size_t>(__builtin_popcount(mask))) % 2 == 0 ? 1 : -1) * value(mask);
  return sum;
}

/// One cell of the factorial with all cells below it, as shares of the sum of its single damages; of the least of them
/// where one site dominates the sum.
/// math    I = Σ_S (-1)^(k-|S|) delta(S) over the subsets S of its k sites: what no smaller set of sites explains
struct Interaction : Subject {
  Bits bits{16, 16, 16};
  double damage = 0;          ///< I over that sum
  double size = 0;            ///< the same of ln(N_eff/N), relative to |Σ|; NaN without a law
  double product = 0;         ///< I over that sum if the single sites' N_eff/N multiplied; NaN without a law
  double beyond_product = 0;  ///< damage - product
  double independent = 0;     ///< I over that sum of independent Gaussian noise, (1 + nu) = Π (1 + nu_x)
  double sigma = 1;           ///< of damage
};

/// The interactions of a factorial. A pair whose smaller damage has less than q6_balance of the sum stands apart:
/// relative to the sum it is near 0 whatever happens, so that it would count as additive. Relative to the smaller damage it
/// says what a user asks, what quantizing the better site still costs beside the worse one, but with the noise of the
/// larger damage, and mostly with a wide interval. In the family of the rule it would widen all the others.
struct Interactions {
  std::vector<Interaction> balanced;
  std::vector<Interaction> dominated;  ///< relative to the smaller damage, where that is above the noise
  std::map<Bits, int> unbalanced;      ///< pairs in which one site dominates, whatever their noise
};

/// Interactions of given sites with all else unquantized, over transformers of the main arm trained in full precision.
/// expects thresholds ptq_min_snr, q6_balance, q6_channel_length, fit_scatter
/// ensures checkpoints without a factorial are no evidence and not counted as dropped
Interactions interactions_of(const std::vector<FactorialRow>& rows, const Sites& sites, const TrainingLaw* law,
                             const Thresholds& thresholds, Dropped& dropped);

/// Mean of one of the numbers over rows, with the weights of their damage; rows where it is NaN are left out.
Interval interaction_interval(const std::vector<Interaction>& rows, double Interaction::*number,
                              const IntervalOptions& options);

/// All checkpoints at one combination of bits.
struct Combination {
  Bits bits{16, 16, 16};
  std::string label;        ///< "W3A4"
  bool decides = false;     ///< from ptq_bits_min bits and trajectories_min trajectories on
  Interval damage;          ///< holds together with those of all combinations that decide
  double product = 0;       ///< mean of Interaction::product
  Interval beyond_product;  ///< of the damage minus it, likewise
  double independent = 0;   ///< the same for all rows of a combination
  std::vector<Interaction> rows;
};

/// Rows by their bits, with intervals that hold together at the study's level (Bonferroni).
/// expects thresholds level, ptq_bits_min, trajectories_min
std::vector<Combination> combinations_of(const Sites& sites, const std::vector<Interaction>& rows,
                                         const Thresholds& thresholds);

}  // namespace hone::theory
