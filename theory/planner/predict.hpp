// The planner: how many bits a model may lose, answered in two separate ways: from the curvature of one measured
// checkpoint, with no fitted constant (here), and from laws fitted over runs (predict_by_law.hpp).
// All numbers come from Table; rises are in nats per token.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "theory/rows/rows.hpp"

namespace hone::theory {

/// A question to the planner.
struct Asked {
  double N = 0;            ///< quantizable parameters; 0: the largest measured model
  double D = 0;            ///< training tokens; 0: the most that a model of that size was measured at
  double rise_max = 0.05;  ///< nats that quantizing may cost
  double loss_max = std::numeric_limits<double>::quiet_NaN();  ///< nats after quantizing; NaN: not asked
  std::vector<double> bits{2, 3, 4, 5, 6, 7, 8};               ///< rising
  double level = 0.95;                                         ///< of all intervals
};

/// The question with size and tokens filled in.
/// errors  OptionError when the table holds no damage of weights at all
Asked resolved(const Table& table, Asked asked);

/// Fewest bits within the budget, among those asked; NaN: not even the most are enough.
struct FewestBits {
  double estimate = 0;
  double low = 0;   ///< if the rise lies at the lower end of its interval
  double high = 0;  ///< if it lies at the upper end: enough with the confidence of that end
};

/// Fewest bits from which on, up to the most of a rising ladder, a number of every step is within the budget.
/// ensures NaN when the most bits are not within it, or their number is NaN
template <class Step>
double fewest_within(const std::vector<Step>& ladder, double Step::*value, double budget) {
  double fewest = std::numeric_limits<double>::quiet_NaN();
  for (auto step = ladder.rbegin(); step != ladder.rend() && (*step).*value <= budget; ++step) fewest = step->P;
  return fewest;
}

/// One width, seen from curvature.
struct CurvatureStep {
  double P = 0;
  double second_order = 0;    ///< (1/24) Σ_c Delta_c² tr(H_cc)
  double standard_error = 0;  ///< over probes of the trace, not over windows of text
  double gradient = 0;        ///< g'e of the real rounding; NaN where it was not measured
  double rise = 0;            ///< second_order + g'e, or second_order alone where g'e is not known
  double low = 0, high = 0;
  double measured = 0, measured_se = 0;  ///< NaN where it was not measured
  bool is_rescaled = false;              ///< not in the run's ladder: from a measured width by the grid's step
};

/// Route (a).
struct CurvatureRoute {
  Subject at;  ///< the checkpoint, nearest to the question
  double loss = 0;
  std::vector<CurvatureStep> ladder;  ///< empty: no checkpoint has a prediction
  FewestBits fewest;
  std::string grid;  ///< whose steps the recorded ones follow; empty: none, so that nothing is rescaled
};

/// The damage that the checkpoint nearest to (N, D) promises by its own curvature.
/// math    second_order scales with Delta², so that a width that was not measured follows from one
///         that was, where the recorded mean squared steps follow a known grid to 1e-6
/// ensures intervals hold the error of the prediction, not orders beyond the second
CurvatureRoute curvature_route(const Table& table, const Asked& asked);

}  // namespace hone::theory
