// Worlds that a pilot makes likely: rows of a study that was not run yet, drawn from laws fitted to finished runs with
// their scatter between runs, checkpoints and rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "theory/fits/grouped.hpp"
#include "theory/questions/q6_interactions.hpp"
#include "theory/questions/thresholds.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// A transformer trunk of the main arm that a study will train and measure.
struct PlannedRun {
  std::string model;
  std::int64_t seed = 0;
  double N = 0;
  std::vector<double> tokens;        ///< of its checkpoints
  std::vector<double> bits;          ///< of weights after training
  int interactions = 0;              ///< pairs of weight and activation bits below 16 in its factorial
  bool interactions_at_end = false;  ///< at the last checkpoint only
};

/// What finished runs say about the numbers of a study; a fit that is not usable says nothing.
struct Pilot {
  GroupedFit damage;                        ///< ln delta by LawKind::ptq_exponential
  GroupedFit trace;                         ///< ln tr H by LawKind::sharpness_power
  GroupedFit predicted;                     ///< ln prediction by LawKind::ptq_exponential
  GroupedFit ratio;                         ///< ln of delta less its first-order term on ln prediction
  GroupedFit interaction;                   ///< of weights and activations relative to the sum, a constant each
  std::vector<PtqRow> rows;                 ///< whose standard errors and first orders the drawn rows take
  std::vector<Interaction> combinations{};  ///< one of each, its damage by the fit; those measured most often first
  std::vector<double> interaction_error{};  ///< standard errors of interactions
  std::vector<double> trace_error{};        ///< relative standard errors of traces
};

/// expects thresholds of the judges: rows are selected as they select them, past the warm-up
Pilot pilot_of(const Table& table, const Thresholds& thresholds);

/// Rows of one world on a design, equal for equal numbers of the world.
/// expects the fits of the pilot that they are drawn from are usable
std::vector<PtqRow> draw_damage(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world);
/// Rows whose prediction follows the pilot's, and whose damage follows their prediction.
std::vector<PtqRow> draw_predicted(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world);
std::vector<SharpnessRow> draw_traces(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world);

/// Relative interactions of weights and activations, at as many combinations of bits per checkpoint as the pilot had
/// usable ones.
/// expects threshold fit_scatter
std::vector<Interaction> draw_interactions(const Pilot& pilot, const std::vector<PlannedRun>& runs,
                                           const Thresholds& thresholds, std::uint64_t world);

}  // namespace hone::theory
