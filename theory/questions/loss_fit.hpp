// The Chinchilla law of a study's own losses, for questions that need to know what a size is worth.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "theory/precision/training_law.hpp"
#include "theory/questions/selection.hpp"
#include "theory/questions/verdict.hpp"

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

/// A law of the losses and its refits without each trajectory, for the error that the law brings into other numbers.
struct LawWithError {
  TrainingLaw law;
  std::vector<TrainingLaw> without_each;  ///< NaN throughout where a refit is not usable
};

/// That of the fit to these observations; refits start from it.
/// expects  the fit is usable
/// cost     one refit per trajectory
LawWithError law_with_error(const FitSummary& fit, const std::vector<Observation>& observations);

/// The law of the study's losses where it says what a size is worth; A, alpha and the control stand in the verdict.
std::optional<LawWithError> known_size_law(Verdict& verdict, const Table& table, const Thresholds& thresholds);

/// A number that depends on a law and on rows, with the error of both.
/// math    estimate by the law on all rows; squared errors of the jackknife over the trajectories of the rows, with the
///         law held, and of that over the trajectories of the law, with the rows held, added; Student's t with the
///         freedom of the rows. Trajectories that are in both count twice, so that the interval is too wide rather than
///         too short
/// expects  at least one row; callable from several threads
Interval interval_with_law(const LawWithError& law, const std::vector<RowKey>& keys,
                           const std::function<double(const TrainingLaw&, const std::vector<std::size_t>&)>& statistic,
                           const IntervalOptions& options);

}  // namespace hone::theory
