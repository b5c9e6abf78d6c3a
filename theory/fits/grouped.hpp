// Least squares for rows in groups of runs, and predictions for a run that was not made. Rows of one run share an error,
// rows of one checkpoint share one more, and a new run has new errors.
//   y = b0 + Σ b_j x_j + run + checkpoint + row + known error
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "theory/fits/fit.hpp"

namespace hone::theory {

/// One measured number with its regressors, without the constant.
struct GroupedRow {
  std::vector<double> x;
  double y = 0;
  double se = 0;  ///< known standard error of y, beside all scatter
  std::int64_t run = 0;
  std::int64_t checkpoint = 0;  ///< within the run
};

/// Standard deviation of one source of scatter, and how many degrees of freedom it rests on.
struct Component {
  double sd = 0;
  double freedom = 0;  ///< 0: the rows cannot tell it, and sd is 0
};

struct Scatter {
  Component run;         ///< shared by all rows of a run: seeds, and what the law misses of a size
  Component checkpoint;  ///< shared by the rows of one checkpoint
  Component row;         ///< of each row
};

struct GroupedFit {
  Stop stop = Stop::failed;
  std::vector<double> coefficients;  ///< constant first
  Matrix<double> covariance;         ///< of the coefficients
  std::vector<bool> not_identified;  ///< regressors that do not vary: held at 0
  Scatter scatter;
  int n = 0, runs = 0, checkpoints = 0;

  bool is_usable() const { return stop == Stop::solved; }
  double value(const std::vector<double>& x) const;
};

/// Restricted maximum likelihood of the three scatters, generalized least squares for the rest.
/// math    V = diag(se² + row²) + checkpoint² within checkpoints + run² within runs; minimizes
///         ln|V| + ln|X'V⁻¹X| + r'V⁻¹r over the scatters by turns, each within [1e-5, 10]; a
///         regressor is charged to the level at which it varies most, freedom = units - units above
///         - regressors charged (the constant to runs)
/// expects rows of equal width, se ≥ 0; `known` gives the scatters instead, which are then not fitted
/// ensures equal rows give equal bits
/// errors  Stop::solved, too_few_rows, rank_deficient or failed (a row is not finite)
/// cost    n p² per evaluation, some 150 evaluations
/// source  Patterson & Thompson 1971
GroupedFit fit_grouped(const std::vector<GroupedRow>& rows, const std::optional<Scatter>& known = {});

/// What a fit says at one place: the law there, and a run there that was not made.
struct NewRun {
  double estimate = 0;
  double law_low = 0, law_high = 0;  ///< of the law's value: parameters only
  double low = 0, high = 0;          ///< of a row of a new run: parameters and all three scatters
  double freedom = 0;                ///< of Student's t in both intervals
};

/// math    variance = x'Cx + run² + checkpoint² + row²; freedom by Satterthwaite's rule from those of
///         the scatters, the parameters counting with the runs
/// expects the fit is usable; a scatter between runs with freedom 0 counts as 0: [low, high] then holds
///         for these runs only
/// source  Satterthwaite 1946
NewRun predict_new_run(const GroupedFit& fit, const std::vector<double>& x, double level);

}  // namespace hone::theory
