// What all fitting mechanisms report about a solution: errors, condition and flags. Internal to the
// fits.
#pragma once

#include "theory/fits/fit.hpp"

namespace hone::theory {

/// A solution with every number NaN and every flag down.
Solution empty_solution(std::size_t parameters, int n, Stop stop);

/// Fills covariance, errors, R², condition and flags from the solution.
/// shapes  targets n; jacobian (n,p) and residual (n) in units of sigma
/// ensures parameters that are held, or that no row depends on, are left out of the covariance (NaN
///         rows and columns)
void describe_solution(Solution& summary, const std::vector<Parameter>& bounds, const std::vector<Target>& targets,
                       const Matrix<double>& jacobian, const Vector<double>& residual, double condition_max);

}  // namespace hone::theory
