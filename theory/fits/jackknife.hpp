// Intervals by leaving out one trajectory at a time. A trajectory is one model size trained from one seed. All its
// checkpoints, variants and bits share initial weights and order of the data, and therefore their random errors; they are
// not independent evidence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "theory/fits/fit.hpp"

namespace hone::theory {

/// Where a row belongs: its cell of the design (model size, tokens, variant) and its trajectory (N,
/// seed), whatever the schedule.
struct RowKey {
  std::int64_t cell = 0;
  double N = 0;
  std::int64_t seed = 0;
};

/// Cells and trajectories of observations.
std::vector<RowKey> keys_of(const std::vector<Observation>& rows);

/// Several numbers computed from a sample of rows, given by rising index; NaN marks one as undefined.
/// expects callable from several threads at once where IntervalOptions::threads > 1
using Statistic = std::function<std::vector<double>(const std::vector<std::size_t>& rows)>;

struct IntervalOptions {
  double level = 0.95;
  int threads = 1;  ///< over left-out trajectories; the result does not depend on it
  int family = 1;   ///< intervals that hold together, for which `level` is raised already
};

/// An estimate and its interval.
/// units   those of the number that was estimated
struct Interval {
  double estimate = 0;
  double low = 0;
  double high = 0;
  int failures = 0;  ///< trajectories without which the number was not finite
  double standard_error = std::numeric_limits<double>::quiet_NaN();  ///< behind the interval; NaN: not known
  double freedom = std::numeric_limits<double>::quiet_NaN();         ///< of its Student's t
  int family = 1;  ///< how many such intervals hold together at the level of the study (Bonferroni)
};

/// estimate ± t standard errors of Student's t.
/// ensures low and high are NaN where a number is not finite or freedom is not positive
Interval interval_around(double estimate, double standard_error, double freedom, const IntervalOptions& options);

/// exp of an interval of a logarithm, bound by bound. It has no standard error: it is not symmetric.
Interval exponential(const Interval& of_log);

/// Delete-one-trajectory jackknife with Student's t.
/// math    estimate on all rows; se² = (G-1)/G Σ_g (estimate_(g) - estimate)² over the G
///         trajectories, estimate_(g) without trajectory g; low, high = estimate ± t_{G-1} se.
///         For a least squares coefficient this is the cluster-robust variance CV3, which leverage of
///         few clusters biases upwards instead of downwards (as resampling and CV1 are)
/// expects at least one row; 0 < level < 1; the statistic has the same length each time
/// ensures low and high are NaN for a single trajectory, or where a number was not finite without
///         one; equal bits for any thread count
/// cost    G+1 statistics
/// source  Tukey 1958; Efron & Stein 1981 (bias upwards); MacKinnon, Nielsen & Webb 2023 (J.
///         Econometrics 232:272, Eq 14 and section 8: CV3 with t_{G-1} for few clusters). Coverage
///         measured on planted worlds: outputs/published/planted/README.md
std::vector<Interval> jackknife(const std::vector<RowKey>& keys, const Statistic& statistic,
                                const IntervalOptions& options);

/// A fit and the interval of each parameter.
struct FitIntervals {
  FitSummary fit;
  std::vector<Interval> parameters;  ///< empty unless the fit is usable
};

/// Fits a law and jackknifes its parameters. Refits of nonlinear laws start from the whole fit: an
/// interval is about one minimum, and does not jump to another.
/// ensures a parameter that the rows without some trajectory no longer identify has no interval
/// cost    G+1 fits
FitIntervals fit_intervals(LawKind kind, const std::vector<Observation>& rows, const FitOptions& fitting,
                           const IntervalOptions& options);

}  // namespace hone::theory
