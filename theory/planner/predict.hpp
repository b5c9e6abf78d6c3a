// The planner: how many bits a model may lose, answered in two separate ways: from the curvature of one measured
// checkpoint, with no fitted constant, and from laws fitted over runs.
// All numbers come from Table; rises are in nats per token.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "theory/fits/grouped.hpp"
#include "theory/fits/jackknife.hpp"
#include "theory/precision/compute_optimal.hpp"
#include "theory/questions/verdict.hpp"
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

/// A coordinate of the question outside what was fitted.
struct Outside {
  std::string what;
  double asked = 0, low = 0, high = 0;
  double factor = 0;  ///< asked over the nearest end, or its inverse: > 1
};

/// A law of the damage with its held-out error and what it answers.
struct LawAnswer {
  LawKind kind = LawKind::ptq_exponential;
  double held_out = 0;  ///< rmse of ln delta over left-out cells
  double fewest = 0;    ///< bits; NaN: none
};

/// One width, seen from the law.
struct LawStep {
  double P = 0;
  NewRun log_rise;  ///< of ln delta
  double rise = 0;  ///< the median of new runs
  double low = 0, high = 0;
};

/// What needs the law of losses too; intervals by leaving out runs, of logs where a number is positive.
struct LossStep {
  double P = 0;
  Interval loss;                ///< after quantizing, nats
  Interval critical_tokens;     ///< beyond which more tokens make the quantized model worse
  Interval effective_fraction;  ///< size of the full-precision model of equal loss, over N
};

/// Fewest bits of the full range 2 to 16 that reach a loss.
struct IsoLoss {
  static constexpr double never = 17;  ///< stands for "no bits reach it"
  double target = 0;
  std::vector<double> sizes, tokens;
  std::vector<Interval> bits;  ///< bits[i·tokens + j]
  Interval here;               ///< at the asked size and tokens
};

/// Route (b).
struct LawRoute {
  LawKind kind = LawKind::ptq_exponential;  ///< of least held-out error
  GroupedFit fit;
  std::string problem;  ///< why there is no answer; empty when there is one
  std::vector<LawAnswer> candidates;
  std::vector<Outside> outside;
  std::vector<LawStep> ladder;
  FewestBits fewest;
  std::string loss_problem;  ///< why there are no losses; empty when there are
  FitSummary training;       ///< LawKind::chinchilla
  std::vector<LossStep> losses;
  IsoLoss iso;
};

/// The damage of a run that was not made, at (N, D) and each of the bits.
/// math    ln delta = ln C + gD ln D - gN ln N - f(P), f of the candidate law of least held-out error,
///         fitted to the rows that Q1 judges by fit_grouped; L = E + A N^-alpha + B D^-beta of the trunk
/// ensures `outside` lists each of N, D, D/N and P that was not fitted; equal tables give equal bits
/// cost    runs + 12 nonlinear fits of five parameters
LawRoute law_route(const Table& table, const Asked& asked, const std::vector<Threshold>& thresholds);

/// How to spend a training budget, where runs were trained at low precision.
struct BudgetAnswer {
  double budget = 0;    ///< FLOPs at 16 bits
  std::string problem;  ///< why there is no answer; empty when there is one
  Interval bits;        ///< P*, by leaving out runs
  Allocation best;      ///< size, tokens and loss at the estimate of P*
};

/// math    P* maximizes f(P)/P of the law of training precision that Q8 fits; N*, D* as optimal_allocation
/// expects budget > 0
BudgetAnswer best_training_bits(const Table& table, double budget, double level,
                                const std::vector<Threshold>& thresholds);

}  // namespace hone::theory
