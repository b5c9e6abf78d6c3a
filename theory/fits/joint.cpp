#include "theory/fits/joint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "theory/fits/fit_solver.hpp"
#include "theory/fits/fit_statistics.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {
namespace {

/// d(ln prediction)/d(parameter 0) where that is the same number everywhere, else 0.
double constant_sign(LawKind kind) {
  const Law& l = law(kind);
  if (kind == LawKind::shannon) return -1;
  const bool is_constant = l.form == Form::log_linear || kind == LawKind::ptq_saturating ||
                           kind == LawKind::sharpness_saturating || kind == LawKind::ptq_broken ||
                           kind == LawKind::ptq_step_saturating || kind == LawKind::ptq_step_broken;
  return is_constant ? 1 : 0;
}

std::vector<double> values_of(const JointPart& part, const std::vector<double>& p) {
  std::vector<double> own;
  for (const std::size_t g : part.place) own.push_back(p[g]);
  return own;
}

bool has_finite_responses(const JointProblem& problem, const std::vector<double>& p) {
  for (const JointPart& part : problem.parts) {
    const std::vector<double> own = values_of(part, p);
    for (const Observation& o : part.rows)
      if (!std::isfinite(response(part.kind, own.data(), o.point))) return false;
  }
  return true;
}

/// Moves additive constants to their optimum, so that starts differ only in what is nonlinear.
void shift_constants(const JointProblem& problem, std::vector<double>& p) {
  std::vector<double> shift(p.size(), 0), weight(p.size(), 0);
  for (const JointPart& part : problem.parts) {
    const double sign = constant_sign(part.kind);
    if (sign == 0) continue;
    const std::vector<double> own = values_of(part, p);
    for (const Observation& o : part.rows) {
      const double w = 1 / (o.log_sigma * o.log_sigma);
      shift[part.place[0]] += sign * w * (o.log_y - response(part.kind, own.data(), o.point));
      weight[part.place[0]] += w;
    }
  }
  for (std::size_t g = 0; g < p.size(); ++g)
    if (weight[g] > 0)
      p[g] = std::clamp(p[g] + shift[g] / weight[g], problem.parameters[g].low, problem.parameters[g].high);
}

/// Uniform within the bounds, drawn again up to 50 times where a law is not defined (N_eff ≤ 0).
std::vector<double> random_start(const JointProblem& problem, const FitOptions& options, const Stream& s) {
  const std::size_t size = problem.parameters.size();
  std::vector<double> p(size);
  for (std::uint64_t draw = 0; draw < 50; ++draw) {
    for (std::size_t g = 0; g < size; ++g) {
      const Parameter& b = problem.parameters[g];
      p[g] = b.low + (b.high - b.low) * uniform(s, draw * size + g);
      if (!options.held.empty() && !std::isnan(options.held[g])) p[g] = options.held[g];
    }
    if (has_finite_responses(problem, p)) break;
  }
  shift_constants(problem, p);
  return p;
}

/// Jacobian and residuals at the solution, in units of sigma.
void describe(const JointProblem& problem, const FitOptions& options, Solution& summary) {
  Matrix<double> jacobian = Matrix<double>::Zero(summary.n, static_cast<Index>(summary.parameters.size()));
  Vector<double> residual(summary.n);
  std::vector<Target> targets;
  Index i = 0;
  double derivatives[parameters_max];
  for (const JointPart& part : problem.parts) {
    const std::vector<double> own = values_of(part, summary.parameters);
    for (const Observation& o : part.rows) {
      targets.push_back(target_of(law(part.kind).scale, o));
      const double at = response_gradient(part.kind, own.data(), o.point, derivatives);
      residual(i) = (targets.back().value - at) / targets.back().sigma;
      for (std::size_t j = 0; j < part.place.size(); ++j)
        jacobian(i, static_cast<Index>(part.place[j])) += derivatives[j] / targets.back().sigma;
      ++i;
    }
  }
  describe_solution(summary, problem.parameters, targets, jacobian, residual, options.condition_max);
}

/// Checks what callers promise and counts rows.
int checked_rows(const JointProblem& problem, const FitOptions& options) {
  const std::size_t p = problem.parameters.size();
  EXPECTS(options.start.empty() || options.start.size() == p, "fit: start has {} values, {} parameters wanted",
          options.start.size(), p);
  EXPECTS(options.held.empty() || options.held.size() == p, "fit: held has {} values, {} parameters wanted",
          options.held.size(), p);
  int n = 0;
  for (const JointPart& part : problem.parts) {
    EXPECTS(part.place.size() == law(part.kind).parameters.size(), "fit: {} places for the parameters of {}",
            part.place.size(), law(part.kind).name);
    for (const std::size_t g : part.place) EXPECTS(g < p, "fit: place {} of {} parameters", g, p);
    for (const Observation& o : part.rows) {
      const double sigma = target_of(law(part.kind).scale, o).sigma;
      EXPECTS(sigma > 0, "fit: sigma {} of a row of {}, expected > 0", sigma, law(part.kind).name);
      ++n;
    }
  }
  return n;
}

}  // namespace

JointProblem one_law(LawKind kind, const std::vector<Observation>& rows) {
  JointProblem problem{law(kind).parameters, {{kind, rows, {}}}};
  for (std::size_t j = 0; j < problem.parameters.size(); ++j) problem.parts[0].place.push_back(j);
  return problem;
}

JointProblem by_group(LawKind kind, const std::vector<Observation>& rows, const GroupOf& group_of,
                      const std::vector<std::string>& shared) {
  const auto& own = law(kind).parameters;
  for (const std::string& name : shared)
    EXPECTS(std::any_of(own.begin(), own.end(), [&](const Parameter& p) { return p.name == name; }),
            "by_group: {} has no parameter {}", law(kind).name, name);
  std::map<std::int64_t, std::vector<Observation>> groups;
  for (const Observation& o : rows) groups[group_of(o)].push_back(o);
  JointProblem problem;
  std::map<std::string, std::size_t> place;
  for (auto& [group, list] : groups) {
    JointPart part{kind, std::move(list), {}};
    for (const Parameter& p : own) {
      const bool is_shared = std::find(shared.begin(), shared.end(), p.name) != shared.end();
      Parameter named = p;
      if (!is_shared) named.name = fmt::format("{}[{}]", p.name, group);
      const auto [at, is_new] = place.emplace(named.name, problem.parameters.size());
      if (is_new) problem.parameters.push_back(named);
      part.place.push_back(at->second);
    }
    problem.parts.push_back(std::move(part));
  }
  return problem;
}

std::size_t place_of(const JointProblem& problem, const std::string& name) {
  std::size_t g = 0;
  while (g < problem.parameters.size() && problem.parameters[g].name != name) ++g;
  EXPECTS(g < problem.parameters.size(), "place_of: no parameter is called {}", name);
  return g;
}

JointProblem tied(const JointProblem& problem, const std::string& first, const std::string& second) {
  const std::size_t kept = place_of(problem, first), gone = place_of(problem, second);
  EXPECTS(kept != gone, "tied: {} given twice, expected two parameters", first);
  JointProblem result = problem;
  result.parameters.erase(result.parameters.begin() + static_cast<std::ptrdiff_t>(gone));
  for (JointPart& part : result.parts)
    for (std::size_t& g : part.place) {
      if (g == gone) g = kept;
      if (g > gone) --g;
    }
  return result;
}

Solution fit_joint(const JointProblem& problem, const FitOptions& options) {
  const int n = checked_rows(problem, options);
  const std::size_t p = problem.parameters.size();
  Solution summary = empty_solution(p, n, Stop::too_few_rows);
  for (std::size_t g = 0; g < options.held.size(); ++g) summary.is_held[g] = !std::isnan(options.held[g]);
  if (n <= summary.free_count()) return summary;

  Attempt best;
  const int starts = options.start.empty() ? options.starts : 1;
  for (int i = 0; i < starts; ++i) {
    const Stream stream{options.seed, Domain::starts, static_cast<std::uint32_t>(i)};
    Attempt attempt =
        solve_from(problem, options, options.start.empty() ? random_start(problem, options, stream) : options.start);
    if (attempt.stop == Stop::failed) continue;
    if (best.stop == Stop::failed || attempt.cost < best.cost) best = std::move(attempt);
  }
  summary.stop = best.stop;
  if (best.stop == Stop::failed) return summary;
  summary.parameters = best.parameters;
  summary.cost = best.cost;
  summary.iterations = best.iterations;
  describe(problem, options, summary);
  return summary;
}

FitSummary fit_nonlinear(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  return {fit_joint(one_law(kind, rows), options), kind};
}

}  // namespace hone::theory
