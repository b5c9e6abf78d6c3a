// What both fitting mechanisms report about a solution; internal to fit.cpp
// and fit_nonlinear.cpp.
#pragma once

#include "theory/fit.hpp"

namespace hone::theory {

/// A summary with every number NaN and every flag down.
FitSummary empty_summary(LawKind kind, int n, Stop stop);

/// Fills covariance, errors, R², condition and flags from the solution.
/// shapes  jacobian (n,p) and residual (n) in units of log_sigma
/// ensures parameters flagged not_identified are left out of the covariance (NaN rows and columns)
void describe_solution(FitSummary& summary, const std::vector<Observation>& rows, const Matrix<double>& jacobian,
                       const Vector<double>& residual, double condition_max);

}  // namespace hone::theory
