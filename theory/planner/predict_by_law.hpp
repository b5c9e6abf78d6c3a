// Route (b) of the planner: laws of the damage and of the losses, fitted over runs.
#pragma once

#include <string>
#include <vector>

#include "theory/fits/grouped.hpp"
#include "theory/fits/jackknife.hpp"
#include "theory/planner/predict.hpp"
#include "theory/precision/compute_optimal.hpp"
#include "theory/questions/thresholds.hpp"

namespace hone::theory {

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
LawRoute law_route(const Table& table, const Asked& asked, const Thresholds& thresholds);

/// How to spend a training budget, where runs were trained at low precision.
struct BudgetAnswer {
  double budget = 0;    ///< FLOPs at 16 bits
  std::string problem;  ///< why there is no answer; empty when there is one
  Interval bits;        ///< P*, by leaving out runs
  Allocation best;      ///< size, tokens and loss at the estimate of P*
};

/// math    P* maximises f(P)/P of the law of training precision that Q8 fits; N*, D* as optimal_allocation
/// expects budget > 0
BudgetAnswer best_training_bits(const Table& table, double budget, double level, const Thresholds& thresholds);

}  // namespace hone::theory
