#include <ceres/cost_function.h>
#include <ceres/jet.h>
#include <ceres/loss_function.h>
#include <ceres/problem.h>
#include <ceres/solver.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "theory/fit_solver.hpp"
#include "theory/law_forms.hpp"

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

/// (measured - response) / sigma of one row, with derivatives by the solver's block.
class RowCost : public ceres::CostFunction {
 public:
  RowCost(const JointPart& part, const Observation& o, const Layout& layout)
      : part_(part), point_(o.point), target_(target_of(law(part.kind).scale, o)), layout_(layout) {
    set_num_residuals(1);
    mutable_parameter_block_sizes()->push_back(layout.free);
  }

  bool Evaluate(double const* const* blocks, double* residual, double** jacobians) const override {
    double p[parameters_max], derivatives[parameters_max];
    for (std::size_t j = 0; j < part_.place.size(); ++j) {
      const int at = layout_.block_place[part_.place[j]];
      p[j] = at >= 0 ? blocks[0][at] : layout_.values[part_.place[j]];
    }
    const double inverse = 1 / target_.sigma;
    if (jacobians == nullptr || jacobians[0] == nullptr) {
      residual[0] = (target_.value - response(part_.kind, p, point_)) * inverse;
      return std::isfinite(residual[0]);
    }
    residual[0] = (target_.value - response_gradient(part_.kind, p, point_, derivatives)) * inverse;
    std::fill_n(jacobians[0], layout_.free, 0.0);
    for (std::size_t j = 0; j < part_.place.size(); ++j) {
      const int at = layout_.block_place[part_.place[j]];
      if (at < 0) continue;
      jacobians[0][at] -= derivatives[j] * inverse;
      if (!std::isfinite(derivatives[j])) return false;
    }
    return std::isfinite(residual[0]);
  }

 private:
  const JointPart& part_;
  Point point_;
  Target target_;
  const Layout& layout_;
};

/// The cost of an attempt in which every parameter is held.
Attempt without_free(const JointProblem& problem, const FitOptions& options, const Layout& layout) {
  const ceres::HuberLoss loss(options.huber_scale);
  Attempt attempt{layout.values, 0, Stop::converged, 0};
  for (const JointPart& part : problem.parts)
    for (const Observation& o : part.rows) {
      double residual = 0, rho[3];
      RowCost(part, o, layout).Evaluate(nullptr, &residual, nullptr);
      loss.Evaluate(residual * residual, rho);
      attempt.cost += 0.5 * rho[0];
    }
  if (!std::isfinite(attempt.cost)) attempt.stop = Stop::failed;
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

}  // namespace

double response_gradient(LawKind kind, const double* parameters, const Point& point, double* derivatives) {
  const int size = static_cast<int>(law(kind).parameters.size());
  constexpr int few = 5;  // most laws have no more parameters
  return size <= few ? differentiate<few>(kind, parameters, size, point, derivatives)
                     : differentiate<parameters_max>(kind, parameters, size, point, derivatives);
}

std::vector<double> gradient(LawKind kind, const std::vector<double>& parameters, const Point& point) {
  EXPECTS(parameters.size() == law(kind).parameters.size(), "gradient: {} has {} parameters, {} given", law(kind).name,
          law(kind).parameters.size(), parameters.size());
  std::vector<double> result(parameters.size());
  const double at = response_gradient(kind, parameters.data(), point, result.data());
  if (law(kind).scale == Scale::log)
    for (double& d : result) d *= std::exp(at);
  return result;
}

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
  if (layout.free == 0) return without_free(problem, options, layout);

  move_values(true);
  ceres::Problem solving;
  for (const JointPart& part : problem.parts)
    for (const Observation& o : part.rows)
      solving.AddResidualBlock(new RowCost(part, o, layout), new ceres::HuberLoss(options.huber_scale), block.data());
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

}  // namespace hone::theory
