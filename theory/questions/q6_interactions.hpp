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

/// One cell of the factorial with all cells below it, as shares of the sum of its single damages.
/// math    I = Σ_S (-1)^(k-|S|) delta(S) over the subsets S of its k sites: what no smaller set of sites explains
struct Interaction : Subject {
  Bits bits{16, 16, 16};
  double damage = 0;       ///< I/Σ delta of single sites
  double size = 0;         ///< the same of ln(N_eff/N), relative to |Σ|; NaN without a law
  double product = 0;      ///< I/Σ delta if the single sites' N_eff/N multiplied; NaN without a law
  double independent = 0;  ///< I/Σ delta of independent Gaussian noise, (1 + nu) = Π (1 + nu_x)
  double sigma = 1;        ///< of damage
};

/// Interactions of given sites with all else unquantized, over transformers of the main arm trained in full precision.
/// expects thresholds ptq_min_snr, q6_balance, q6_channel_length, fit_scatter
/// ensures checkpoints without a factorial are no evidence and not counted as dropped
std::vector<Interaction> interactions_of(const std::vector<FactorialRow>& rows, const Sites& sites,
                                         const TrainingLaw* law, const Thresholds& thresholds, Dropped& dropped);

/// Mean of one of the numbers over rows, with the weights of their damage; rows where it is NaN are left out.
Interval interaction_interval(const std::vector<Interaction>& rows, double Interaction::*number,
                              const Thresholds& thresholds);

}  // namespace hone::theory
