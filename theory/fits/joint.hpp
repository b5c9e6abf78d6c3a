// Joint fits: several laws, or one law in several groups of rows, with some parameters shared. A law fitted to each
// model, or to each precision, is the case without shared parameters.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "theory/fits/fit.hpp"

namespace hone::theory {

/// One law with its rows; parameter j of the law is parameter place[j] of the problem.
struct JointPart {
  LawKind kind = LawKind::ptq_exponential;
  std::vector<Observation> rows;
  std::vector<std::size_t> place;
};

struct JointProblem {
  std::vector<Parameter> parameters;
  std::vector<JointPart> parts;
};

/// A problem with one part and the law's own parameters.
JointProblem one_law(LawKind kind, const std::vector<Observation>& rows);

/// The group that a row belongs to, such as its model or its bits.
using GroupOf = std::function<std::int64_t(const Observation&)>;

/// One law in each group of rows; the parameters of the given names are shared by all groups.
/// ensures groups in rising order; a group's own parameter is called name[group]
/// expects every shared name is a parameter of the law
JointProblem by_group(LawKind kind, const std::vector<Observation>& rows, const GroupOf& group_of,
                      const std::vector<std::string>& shared);

/// Makes two parameters one: the second takes the place of, and the bounds of, the first.
/// expects both names exist and differ
JointProblem tied(const JointProblem& problem, const std::string& first, const std::string& second);

/// Place of a parameter by its name.
/// errors  ContractError when there is none
std::size_t place_of(const JointProblem& problem, const std::string& name);

/// Nonlinear least squares over all parts, by the mechanism of fit_nonlinear.
/// math    minimizes ½ Σ rho(residual²) over the rows of all parts; Law::scale of each part says
///         whether its residuals are of logs
/// shapes  options.start and options.held, when given, have one entry per parameter of the problem
/// ensures the start of least cost, ties to the earlier; independent of thread count
/// errors  ContractError; Stop::converged, iterations_used_up, too_few_rows or failed come back
/// cost    starts·iterations·rows law evaluations
Solution fit_joint(const JointProblem& problem, const FitOptions& options);

}  // namespace hone::theory
