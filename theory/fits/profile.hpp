// Profile likelihood intervals: one parameter is moved, all others are refitted, and the interval ends where the cost has
// risen by a quantile of its sampling distribution. The interval is open where the rows do not bound the parameter.
#pragma once

#include <vector>

#include "theory/fits/joint.hpp"

namespace hone::theory {

struct ProfileInterval {
  double estimate = 0;
  double low = 0;   ///< the parameter's bound when the end is open
  double high = 0;  ///< the same
  bool is_low_open = false;
  bool is_high_open = false;
  /// The interval is finite on both sides: the rows identify the parameter.
  bool is_identified() const { return !is_low_open && !is_high_open; }
};

struct ProfileOptions {
  double level = 0.95;
  FitOptions fit{};  ///< of the refits; each starts from its neighbour's solution, starts are not drawn again
};

/// Interval of one parameter of a fitted problem.
/// math    ends where cost(theta) - cost_least = ½ chi²_1(level) s², chi²_1(0.95) = 3.84; for a
///         log-linear law with normal residuals that is estimate ± √3.84 standard errors
/// expects the fit is usable and has one entry per parameter of the problem
/// ensures an end is open when the cost stays below that level up to the bound of the parameter, or
///         when no refit is usable there; all NaN and open when s² is NaN or the parameter is held
/// cost    some 20 refits per end
ProfileInterval profile_interval(const JointProblem& problem, const Solution& fit, std::size_t parameter,
                                 const ProfileOptions& options);

/// Intervals of all parameters of a fit of one law.
std::vector<ProfileInterval> profile_intervals(const FitSummary& fit, const std::vector<Observation>& rows,
                                               const ProfileOptions& options);

}  // namespace hone::theory
