#include "theory/fits/joint.hpp"

#include <ceres/cost_function.h>
#include <ceres/jet.h>
#include <ceres/problem.h>
#include <ceres/solver.h>
#include <fmt/format.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {
namespace {

/// Which parameters of the problem the solver moves: problem index to place in the solver's block,
/// -1 for held ones.
struct Layout {
  std::vector<int> block_place;
  std::vector<double> values;  // of all parameters; those of held ones are used
  int free = 0;
};

Layout make_layout(const FitOptions& options, const std::vector<double>& start) {
  Layout layout{std::vector<int>(start.size(), -1), start, 0};
  for (std::size_t g = 0; g < start.size(); ++g) {
    const bool is_held = !options.held.empty() && !std::isnan(options.held[g]);
    if (is_held) layout.values[g] = options.held[g];
    if (!is_held) layout.block_place[g] = layout.free++;
  }
  return layout;
}

/// Response and derivatives in one pass of dual numbers.
template <int width>
double differentiate(LawKind kind, const double* parameters, int size, const Point& point, double* derivatives) {
  ceres::Jet<double, width> duals[width];
  for (int j = 0; j < size; ++j) duals[j] = ceres::Jet<double, width>(parameters[j], j);
  const ceres::Jet<double, width> out = response(kind, duals, point);
  for (int j = 0; j < size; ++j) derivatives[j] = out.v[j];
  return out.a;
}

/// Response of a law (see formulas.hpp) and its derivatives by the law's parameters.
/// shapes  derivatives has one entry per parameter of the law
double response_gradient(LawKind kind, const double* parameters, const Point& point, double* derivatives) {
  const int size = static_cast<int>(law(kind).parameters.size());
  constexpr int few = 6, some = 11;  // laws of damage or sharpness alone; of training bits
  if (size <= few) return differentiate<few>(kind, parameters, size, point, derivatives);
  if (size <= some) return differentiate<some>(kind, parameters, size, point, derivatives);
  return differentiate<parameters_max>(kind, parameters, size, point, derivatives);
}

/// The residuals of all rows as one block, with derivatives by the solver's block of free parameters.
/// math    u(r) of r = (measured - response)/sigma, such that u² is Huber's rho(r²): u = r up to the scale h, beyond it
///         sign(r) √(2h|r| - h²) with slope h/|u|. One block of all rows spares the solver a call, an allocation and a
///         correction per row
class RowsCost : public ceres::CostFunction {
 public:
  RowsCost(const JointProblem& problem, const FitOptions& options, const Layout& layout)
      : layout_(layout), huber_(options.huber_scale) {
    for (const JointPart& part : problem.parts)
      for (const Observation& o : part.rows) rows_.push_back({&part, &o.point, target_of(law(part.kind).scale, o)});
    set_num_residuals(static_cast<int>(rows_.size()));
    mutable_parameter_block_sizes()->push_back(layout.free);
  }

  bool Evaluate(double const* const* blocks, double* residuals, double** jacobians) const override {
    double* jacobian = jacobians == nullptr ? nullptr : jacobians[0];
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      double* derivatives = jacobian == nullptr ? nullptr : jacobian + i * static_cast<std::size_t>(layout_.free);
      if (!evaluate_row(rows_[i], blocks[0], residuals[i], derivatives)) return false;
    }
    return true;
  }

 private:
  struct Row {
    const JointPart* part;
    const Point* point;
    Target target;
  };

  bool evaluate_row(const Row& row, const double* block, double& residual, double* jacobian) const {
    const std::vector<std::size_t>& place = row.part->place;
    double p[parameters_max], derivatives[parameters_max];
    for (std::size_t j = 0; j < place.size(); ++j) {
      const int at = layout_.block_place[place[j]];
      p[j] = at >= 0 ? block[at] : layout_.values[place[j]];
    }
    const double value = jacobian == nullptr ? response(row.part->kind, p, *row.point)
                                             : response_gradient(row.part->kind, p, *row.point, derivatives);
    const double r = (row.target.value - value) / row.target.sigma;
    const bool is_far = std::abs(r) > huber_;
    residual = is_far ? std::copysign(std::sqrt(huber_ * (2 * std::abs(r) - huber_)), r) : r;
    if (!std::isfinite(residual)) return false;
    if (jacobian == nullptr) return true;
    const double slope = (is_far ? huber_ / std::abs(residual) : 1) / row.target.sigma;
    std::fill_n(jacobian, layout_.free, 0.0);
    for (std::size_t j = 0; j < place.size(); ++j) {
      const int at = layout_.block_place[place[j]];
      if (at < 0) continue;
      jacobian[at] -= derivatives[j] * slope;
      if (!std::isfinite(derivatives[j])) return false;
    }
    return true;
  }

  std::vector<Row> rows_;
  const Layout& layout_;
  double huber_;
};

struct Attempt {
  std::vector<double> parameters;
  double cost = 0;
  Stop stop = Stop::failed;
  int iterations = 0;
};

/// The cost of an attempt in which every parameter is held.
Attempt without_free(const RowsCost& rows, const Layout& layout) {
  std::vector<double> residuals(static_cast<std::size_t>(rows.num_residuals()));
  const double* no_block = nullptr;
  Attempt attempt{layout.values, 0, Stop::converged, 0};
  if (!rows.Evaluate(&no_block, residuals.data(), nullptr)) attempt.stop = Stop::failed;
  for (const double u : residuals) attempt.cost += 0.5 * u * u;
  return attempt;
}

void set_options(ceres::Solver::Options& solver, const FitOptions& options) {
  solver.linear_solver_type = ceres::DENSE_QR;
  solver.num_threads = 1;
  solver.max_num_iterations = options.iterations_max;
  solver.function_tolerance = solver.gradient_tolerance = solver.parameter_tolerance = 1e-12;
  solver.logging_type = ceres::SILENT;
}

/// How a fit ended is a value of it; Ceres would say so on standard error too, whatever its logging type.
void silence_ceres() {
  [[maybe_unused]] static const bool is_done = [] {
    FLAGS_minloglevel = google::GLOG_FATAL;
    return true;
  }();
}

/// Minimizes the cost from one start, which is moved into the bounds first.
/// expects start has one entry per parameter; held is empty or has one entry per parameter
Attempt solve_from(const JointProblem& problem, const FitOptions& options, std::vector<double> start) {
  silence_ceres();
  for (std::size_t g = 0; g < start.size(); ++g)
    start[g] = std::clamp(start[g], problem.parameters[g].low, problem.parameters[g].high);
  const Layout layout = make_layout(options, start);
  std::vector<double> block(static_cast<std::size_t>(layout.free));
  const auto move_values = [&](bool into_block) {
    for (std::size_t g = 0; g < start.size(); ++g) {
      if (layout.block_place[g] < 0) start[g] = layout.values[g];
      if (layout.block_place[g] < 0) continue;
      double& inside = block[static_cast<std::size_t>(layout.block_place[g])];
      if (into_block) inside = start[g];
      if (!into_block) start[g] = inside;
    }
  };
  auto rows = std::make_unique<RowsCost>(problem, options, layout);
  if (layout.free == 0) return without_free(*rows, layout);

  move_values(true);
  ceres::Problem solving;
  solving.AddResidualBlock(rows.release(), nullptr, block.data());
  for (std::size_t g = 0; g < start.size(); ++g) {
    if (layout.block_place[g] < 0) continue;
    solving.SetParameterLowerBound(block.data(), layout.block_place[g], problem.parameters[g].low);
    solving.SetParameterUpperBound(block.data(), layout.block_place[g], problem.parameters[g].high);
  }
  ceres::Solver::Options solver;
  set_options(solver, options);
  ceres::Solver::Summary summary;
  ceres::Solve(solver, &solving, &summary);
  move_values(false);
  Attempt attempt{start, summary.final_cost, Stop::failed, static_cast<int>(summary.iterations.size())};
  if (std::isfinite(summary.final_cost) && summary.IsSolutionUsable())
    attempt.stop = summary.termination_type == ceres::CONVERGENCE ? Stop::converged : Stop::iterations_used_up;
  return attempt;
}

/// d(ln prediction)/d(parameter 0) where that is the same number everywhere, else 0.
double constant_sign(LawKind kind) {
  const Law& l = law(kind);
  if (kind == LawKind::shannon) return -1;
  const bool is_constant = l.form == Form::log_linear || kind == LawKind::ptq_saturating ||
                           kind == LawKind::sharpness_saturating || kind == LawKind::ptq_saturating_tokens ||
                           kind == LawKind::sharpness_saturating_tokens || kind == LawKind::ptq_broken ||
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

std::vector<double> gradient(LawKind kind, const std::vector<double>& parameters, const Point& point) {
  EXPECTS(parameters.size() == law(kind).parameters.size(), "gradient: {} has {} parameters, {} given", law(kind).name,
          law(kind).parameters.size(), parameters.size());
  std::vector<double> result(parameters.size());
  const double at = response_gradient(kind, parameters.data(), point, result.data());
  if (law(kind).scale == Scale::log)
    for (double& d : result) d *= std::exp(at);
  return result;
}

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
