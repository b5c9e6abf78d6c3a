// Small weighted statistics on columns of numbers: regressions, means, and where an interval lies.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <vector>

#include "theory/fits/jackknife.hpp"

namespace hone::theory {

/// √(Σ se² + scatter²), a standard error that is not finite counting as 0.
double combined_sigma(std::initializer_list<double> standard_errors, double scatter);

/// 0 ... n-1.
std::vector<std::size_t> all_indices(std::size_t n);

/// The interval is inside [low, high]; an interval that is not finite is neither inside nor outside.
bool is_inside(const Interval& interval, double low, double high);
/// The interval does not meet [low, high].
bool is_outside(const Interval& interval, double low, double high);

/// p-value of the statement that the number lies on that side of all bounds on which its estimate lies, inside or outside.
/// math    min(1, m 2 P(T > min_b |estimate - b|/se)), T Student's t with the freedom of the interval, m its family: the
///         interval excludes every bound just where p < 1 - the level at which the family holds together
/// ensures NaN where the interval has no standard error
double p_beyond(const Interval& interval, const std::vector<double>& bounds);

/// Coefficients of weighted least squares with a constant, constant first; NaN when rank-deficient.
/// shapes  columns[j][row], y[row], sigma[row]; `rows` selects with repeats
std::vector<double> regress(const std::vector<std::vector<double>>& columns, const std::vector<double>& y,
                            const std::vector<double>& sigma, const std::vector<std::size_t>& rows);

/// Weighted slope of y on x within groups, each group with its own constant; linear in y for fixed
/// x.
double slope_within(const std::vector<double>& x, const std::vector<double>& y, const std::vector<double>& sigma,
                    const std::vector<std::size_t>& group, const std::vector<std::size_t>& rows);

/// Weighted slope of y on x beside other columns within groups, where x carries independent errors of known variance. The
/// slope of least squares would be too near to 0 by the share of the errors in the spread of x.
/// math    Σ w r y / (Σ w r² - Σ w v), w = 1/sigma², v the variances, r what x leaves of its regression on the others
/// ensures NaN where the errors are as large as the spread; 0 for a variance that is not finite
/// source  method of moments, Fuller 1987, Measurement Error Models, section 2.2
double slope_with_errors(const std::vector<double>& x, const std::vector<double>& variance,
                         const std::vector<std::vector<double>>& others, const std::vector<double>& y,
                         const std::vector<double>& sigma, const std::vector<std::size_t>& group,
                         const std::vector<std::size_t>& rows);

/// Coefficients of weighted least squares on several columns within groups, each group with its own constant: NaN when
/// rank-deficient.
/// shapes  columns[j][row]; one coefficient per column
std::vector<double> regress_within(const std::vector<std::vector<double>>& columns, const std::vector<double>& y,
                                   const std::vector<double>& sigma, const std::vector<std::size_t>& group,
                                   const std::vector<std::size_t>& rows);

/// 1 - Σ w e²/Σ w (y - mean of its group)² of that regression; 0 for no column.
double r_squared_within(const std::vector<std::vector<double>>& columns, const std::vector<double>& coefficients,
                        const std::vector<double>& y, const std::vector<double>& sigma,
                        const std::vector<std::size_t>& group, const std::vector<std::size_t>& rows);

/// Σ w y / Σ w with w = 1/sigma²; NaN for no rows.
double weighted_mean(const std::vector<double>& y, const std::vector<double>& sigma,
                     const std::vector<std::size_t>& rows);

/// Interval of the weighted mean of y over the whole sample; all NaN for no rows.
Interval mean_interval(const std::vector<RowKey>& keys, const std::vector<double>& y, const std::vector<double>& sigma,
                       const IntervalOptions& options);

}  // namespace hone::theory
