// The nonlinear solver behind fits of one law and joint fits; internal to the fits. Ceres stays in
// one file.
#pragma once

#include <vector>

#include "theory/fits/joint.hpp"

namespace hone::theory {

/// Response of a law (see theory/laws/formulas.hpp) and its derivatives by the law's parameters.
/// shapes  derivatives has one entry per parameter of the law
double response_gradient(LawKind kind, const double* parameters, const Point& point, double* derivatives);

struct Attempt {
  std::vector<double> parameters;
  double cost = 0;
  Stop stop = Stop::failed;
  int iterations = 0;
};

/// Minimizes the cost from one start, which is moved into the bounds first.
/// expects start has one entry per parameter; held is empty or has one entry per parameter
Attempt solve_from(const JointProblem& problem, const FitOptions& options, std::vector<double> start);

}  // namespace hone::theory
