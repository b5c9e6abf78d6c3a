// Fits of laws to observations, by two mechanisms kept apart: laws that are affine in the log are
// solved once by weighted least squares, all others by Ceres with automatic derivatives, a Huber
// loss and several starts. Law::scale says whether residuals are of logs or of the values
// themselves. Failure to converge is a value of FitSummary, never an exception.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/matrix.hpp"
#include "theory/laws/laws.hpp"

namespace hone::theory {

/// One measured number to be explained. Rows of one (cell, seed) come from one model and are
/// resampled together.
struct Observation {
  Point point;
  double log_y = 0;      ///< ln of the measured value
  double log_sigma = 1;  ///< its standard deviation in ln units, > 0
  std::int64_t cell = 0;
  std::int64_t seed = 0;
  double y = std::numeric_limits<double>::quiet_NaN();      ///< the value; exp(log_y) when NaN
  double sigma = std::numeric_limits<double>::quiet_NaN();  ///< of y, > 0; y·log_sigma when NaN
};

/// An observation of a value that may be zero or negative; laws on the log scale then end as failed.
/// ensures log_y = ln y, NaN unless y > 0; log_sigma = sigma/|y|
Observation raw_observation(const Point& point, double y, double sigma, std::int64_t cell, std::int64_t seed);

/// A measured number and its standard deviation on the scale of a fit.
struct Target {
  double value = 0;
  double sigma = 1;
};
Target target_of(Scale scale, const Observation& o);

enum class Stop {
  solved,              ///< log-linear: n > p and the least singular value ≥ 1e-8 of the largest
  converged,           ///< |Δcost| ≤ 1e-12·cost, or a gradient or step below 1e-12, at the best start
  iterations_used_up,  ///< iterations = iterations_max at the best start; the best point seen
  too_few_rows,        ///< n ≤ p
  rank_deficient,      ///< log-linear: the least singular value < 1e-8 of the largest
  failed,              ///< a row is not finite, or no start has a finite cost
};

struct FitOptions {
  double huber_scale = 1.345;   ///< in log_sigma; 95 % efficient for normal errors (Huber 1981)
  int starts = 12;              ///< random starts within the bounds; ignored when `start` is given
  int iterations_max = 200;     ///< per start
  std::uint64_t seed = 0;       ///< of Domain::starts
  double condition_max = 30;    ///< of a collinear design, Belsley, Kuh & Welsch 1980
  std::vector<double> start{};  ///< a warm start: when not empty, the only start
  std::vector<double> held{};   ///< when not empty: values of parameters kept fixed, NaN for free ones
};

/// What a fit ended with. All vectors have one entry per parameter.
struct Solution {
  Stop stop = Stop::failed;
  std::vector<double> parameters;       ///< NaN unless is_usable
  std::vector<double> standard_errors;  ///< from covariance
  Matrix<double> covariance;            ///< s²(J'J)⁻¹, residuals in sigma; NaN for held parameters
  double s2 = 0;                        ///< Σ residual²/(n-p), p free parameters; NaN when n ≤ p
  double cost = 0;                      ///< ½ Σ rho(residual²)
  double r2 = 0;                        ///< weighted, of ln y (of y for laws on the raw scale)
  double rmse_log = 0;                  ///< unweighted, of ln y (of y for laws on the raw scale)
  int n = 0;
  int iterations = 0;
  double condition = 0;  ///< of the Jacobian, columns scaled to norm 1, without their part along a constant of the law
  bool collinear = false;            ///< condition > condition_max
  std::vector<bool> at_bound;        ///< at or beyond a bound of the law, within 1e-6 of its width
  std::vector<bool> not_identified;  ///< no row depends on it: held at 0 if log-linear, else at its start
  std::vector<bool> is_held;         ///< fixed by FitOptions::held

  bool is_usable() const { return stop == Stop::solved || stop == Stop::converged || stop == Stop::iterations_used_up; }
  /// Free parameters that the rows determine.
  int free_count() const;
};

/// A fit of one law.
struct FitSummary : Solution {
  LawKind kind = LawKind::ptq_exponential;
};

/// Weighted least squares of a log-linear law.
/// math    minimizes Σ ((ln y - ln prediction)/log_sigma)²; a regressor that does not vary is held
///         at 0
/// expects law(kind).form == log_linear; log_sigma > 0
/// errors  ContractError; Stop::solved, too_few_rows, rank_deficient or failed come back
/// cost    O(n p²), no iteration
FitSummary fit_linear(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options);

/// Nonlinear least squares within the law's bounds, Huber loss, Ceres with automatic derivatives.
/// math    minimizes ½ Σ rho(residual²), residual = (ln y - ln prediction)/log_sigma, or
///         (y - prediction)/sigma for laws on the raw scale
/// ensures the start of least cost; ties go to the earlier start; independent of thread count
/// errors  ContractError; Stop::converged, iterations_used_up, too_few_rows or failed come back
FitSummary fit_nonlinear(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options);

/// fit_linear for log-linear laws without held parameters, fit_nonlinear for all others.
FitSummary fit(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options);

struct HeldOut {
  double rmse_log = 0;  ///< of ln y (of y on the raw scale) over all rows predicted; NaN when none could be
  int cells = 0;        ///< cells left out in turn
  int failures = 0;     ///< cells whose fit was not usable, or whose prediction is not finite
};

/// Measured minus predicted, on the given scale, which need not be the law's own.
/// expects the fit is usable
double prediction_error(const FitSummary& fit, const Observation& o, Scale scale);

/// Error of each row, predicted by a fit to the rows of all other cells; NaN where that fit failed.
/// math    on the given scale, so that laws of different Law::scale can be compared
std::vector<double> held_out_rows(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options,
                                  Scale scale);

/// Summary of the errors of held_out_rows, cell by cell.
/// shapes  one error per row
HeldOut summarize_held_out(const std::vector<double>& errors, const std::vector<Observation>& rows);

/// Leave-one-cell-out cross-validation: each cell is predicted by a fit to all others.
HeldOut held_out_error(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options);

// What every way of fitting reports about its solution.

/// A solution with every number NaN and every flag down.
Solution empty_solution(std::size_t parameters, int n, Stop stop);

/// Fills covariance, errors, R², condition and flags from the solution.
/// shapes  targets n; jacobian (n,p) and residual (n) in units of sigma
/// ensures parameters that are held, or that no row depends on, are left out of the covariance (NaN
///         rows and columns)
void describe_solution(Solution& summary, const std::vector<Parameter>& bounds, const std::vector<Target>& targets,
                       const Matrix<double>& jacobian, const Vector<double>& residual, double condition_max);

}  // namespace hone::theory
