// Log-linear laws as regressions on rows of runs. Internal to the planner and the power analysis.
#pragma once

#include <vector>

#include "theory/fits/grouped.hpp"
#include "theory/laws/laws.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// N, D, P and nothing else.
Point point_of(double N, double D, double P);

/// What multiplies each parameter of a law but its constant in ln prediction.
/// expects law(kind).form == log_linear
std::vector<double> regressors(LawKind kind, const Point& x);

/// What ln prediction is with all parameters 0: a function of bits whose slope the law fixes.
double offset_of(LawKind kind, const Point& x);

/// Numbers the runs of rows in the order of their first rows.
std::vector<std::int64_t> run_numbers(const std::vector<std::string>& runs);

/// A row of fit_grouped for ln value at a point.
GroupedRow grouped_row(LawKind kind, const Point& x, double value, double se, std::int64_t run);

}  // namespace hone::theory
