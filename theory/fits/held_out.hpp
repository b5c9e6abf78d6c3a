// Comparison of laws: AICc beside held-out error, choice nested inside cross-validation, tests outside the fitted range,
// and whether the rows can tell two forms apart.
#pragma once

#include <vector>

#include "theory/fits/fit.hpp"
#include "theory/fits/jackknife.hpp"

namespace hone::theory {

/// Small-sample Akaike criterion of a fit; less is better, among fits to the same rows.
/// math    n ln(Σ residual²/n) + 2 Σ ln(scale_i) + 2k + 2k(k+1)/(n-k-1), k = free parameters + 1,
///         scale_i = y_i log_sigma_i for logs and sigma_i for raw residuals, so that laws of both
///         scales are densities of y; approximate where the Huber loss weighed rows down
/// ensures NaN unless the fit is usable and n > k + 1; NaN for logs when some y ≤ 0
/// source  Hurvich & Tsai 1989
double aicc(const FitSummary& fit, const std::vector<Observation>& rows);

/// Rows to fit and rows to predict.
struct Split {
  std::vector<Observation> fitted;
  std::vector<Observation> predicted;
};

/// Fit D/N up to a limit, predict the rest.
Split split_by_overtraining(const std::vector<Observation>& rows, double tokens_per_parameter_max);

/// Fit low ≤ P ≤ high, predict fewer and more bits.
Split split_by_bits(const std::vector<Observation>& rows, double low, double high);

/// Fit N up to a limit, predict larger models.
Split split_by_size(const std::vector<Observation>& rows, double N_max);

/// Error outside the fitted range.
struct Extrapolation {
  double rmse = 0;  ///< on the given scale; NaN when the fit is not usable or a prediction is not finite
  double bias = 0;  ///< mean of measured - predicted: the direction in which the law fails
  int n = 0;        ///< rows predicted
};
Extrapolation extrapolate(LawKind kind, const Split& split, const FitOptions& options, Scale scale);

/// Cross-validation of the whole procedure "take the law of least held-out error".
struct NestedChoice {
  double rmse = 0;          ///< of the chosen laws over left-out cells: the honest error of choosing
  std::vector<int> chosen;  ///< how many outer cells took each law, in the order given
  int cells = 0;
  int failures = 0;  ///< outer cells without a usable law or with a prediction that is not finite
};

/// For each cell: choose by held-out error among the other cells, refit there, predict the cell. A
/// law that fails to predict more than a tenth of the rows is not chosen.
/// expects at least one law; ties go to the earlier
/// cost    laws·cells² fits
NestedChoice nested_choice(const std::vector<LawKind>& laws, const std::vector<Observation>& rows,
                           const FitOptions& options, Scale scale);

/// Paired comparison of two forms.
struct FormContrast {
  Interval difference;   ///< mean squared held-out error of `a` minus that of `b`, over the same rows
  bool is_equal = true;  ///< the interval holds 0, or is undefined: these rows cannot tell the forms apart
  int rows = 0;          ///< rows that both forms predicted
};

/// The same from the errors of held_out_rows of two forms, for forms that differ in more than their law.
/// shapes  one error per row each
FormContrast contrast_errors(const std::vector<double>& of_a, const std::vector<double>& of_b,
                             const std::vector<Observation>& rows, const IntervalOptions& interval);

/// Held-out errors of both forms cell by cell, with an interval over trajectories.
/// math    squares are averaged over rows; the forms are paired row by row, so that what makes a row
///         hard for both cancels
FormContrast contrast_forms(LawKind a, LawKind b, const std::vector<Observation>& rows, const FitOptions& options,
                            const IntervalOptions& interval, Scale scale);

}  // namespace hone::theory
