// The Chinchilla law of a study's own losses, for questions that need to know what a size is worth.
#pragma once

#include "theory/precision/training_law.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {

/// Losses of transformers on the main trunk, trained in full precision, as observations.
/// expects threshold loss_scatter
std::vector<Observation> loss_observations(const Table& table, const Thresholds& thresholds);

/// LawKind::chinchilla fitted to them.
FitSummary fit_losses(const Table& table, const Thresholds& thresholds);

/// The size term of the fit is determined by its rows: usable, no bound reached, A and alpha with a finite error.
bool determines_size(const FitSummary& fit);

/// The fit as a training law without precision.
/// expects  it is usable
TrainingLaw loss_law(const FitSummary& fit);

}  // namespace hone::theory
