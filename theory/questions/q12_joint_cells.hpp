// Models trained with sites lowered alone and together, and what three theories say of their effective size.
#pragma once

#include <vector>

#include "theory/questions/loss_fit.hpp"
#include "theory/questions/q6_interactions.hpp"

namespace hone::theory {

/// A model trained with some sites at few bits, beside the models of the same size, tokens, seed and recipe that were
/// trained with each subset of these sites lowered.
struct LoweredModel : Subject {
  Bits bits = unquantized;
  Sites sites;               ///< those below 16 bits
  std::vector<double> rise;  ///< loss minus that of full precision, by mask over `sites`; [0] is 0, NaN: not trained
  /// Damage of independent noise in all sites over the sum of each: (Π(1 + nu_x) - 1)/Σ nu_x; NaN below 2 bits.
  double noise_together = NAN;
};

/// What was left out.
struct UnpairedModels {
  int without_full = 0;    ///< lowered models without full precision at equal size, tokens, seed and recipe
  int without_single = 0;  ///< joint ones of which a site was not lowered alone
};

/// Transformer trunks lowered by straight-through estimates, in any arm, beside main trunks in full precision of equal
/// size, tokens, seed and recipe.
/// expects threshold q6_channel_length
/// ensures every site of a joint model was lowered alone too
std::vector<LoweredModel> lowered_models(const std::vector<LossRow>& losses, const Thresholds& thresholds,
                                         UnpairedModels& unpaired);

/// LoweredModel::noise_together of these bits, 16 and more not lowered.
double noise_together(const Bits& bits, int channel_length);

/// Effective sizes of a lowered model by a law of the losses, in logarithms. NaN where no size gives a loss.
/// math    ln f(S) = ln(N_eff/N) = -(1/alpha) ln(1 + rise(S) N^alpha/A) of the sites S lowered (Kumar et al. Eq 30)
struct SizesOfModel {
  double own = 0;          ///< ln f of all its sites together
  double product = 0;      ///< Σ ln f of single sites: Kumar et al. Eq 4
  double interaction = 0;  ///< own - product
  double third = 0;        ///< Σ_S (-1)^(3-|S|) ln f(S): what no pair explains; NaN unless all pairs were trained
  double additive = 0;     ///< interaction if the rises of single sites added up
  double independent = 0;  ///< if their sum grew as independent noise does, by noise_together
  double beyond_additive = 0, beyond_independent = 0;  ///< interaction minus these
};

/// expects at least one site
SizesOfModel sizes_of(const LoweredModel& model, const TrainingLaw& law);

}  // namespace hone::theory
