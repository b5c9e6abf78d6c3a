// Power of a study before it runs: the interval width and the likely outcome of each question if the findings of a pilot
// study are true. Synthetic studies ("worlds") are drawn from laws fitted to the pilot, with the scatter of the pilot
// between runs, checkpoints and rows, on the design of the study.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "theory/planner/worlds.hpp"
#include "theory/questions/thresholds.hpp"

namespace hone::theory {

/// What to expect of one question.
struct Power {
  std::string id;         ///< Q1, Q2, Q3, Q6
  std::string number;     ///< whose interval it is
  std::string threshold;  ///< in words
  double truth = 0;       ///< the pilot's estimate
  double half_width = 0;  ///< median over worlds, of intervals at the study's level
  double margin = 0;      ///< half-width above which the rule cannot decide at this truth; NaN without a rule
  double supported = 0, refuted = 0, inconclusive = 0;  ///< shares of worlds
  int worlds = 0;
  std::string problem;  ///< why nothing is known; empty otherwise
};

struct PowerOptions {
  int worlds = 60;
  std::function<void(const std::string& what)> progress{};  ///< called at every world
};

/// Draws worlds and sends each through the selection, weights, fit and interval of its judge.
/// math    outcomes follow the rules (rules.hpp) of Q1 and Q2 (growth exponent), Q3 (slope) and Q6
///         (interaction at each combination of bits), each at its own level: Holm's correction over the verdicts of
///         the study, which comes after, is left out, as are the tests of Q1 and Q2 for other forms and for bends: in worlds
///         drawn from a power law they would seldom fire
/// ensures equal arguments give equal bits
/// cost    worlds·(runs + 1) log-linear fits per question
std::vector<Power> expected_power(const Pilot& pilot, const std::vector<PlannedRun>& runs, const Thresholds& thresholds,
                                  const PowerOptions& options);

}  // namespace hone::theory
