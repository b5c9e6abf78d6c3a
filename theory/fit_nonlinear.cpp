#include <ceres/dynamic_autodiff_cost_function.h>
#include <ceres/loss_function.h>
#include <ceres/problem.h>
#include <ceres/solver.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "theory/fit.hpp"
#include "theory/fit_statistics.hpp"
#include "theory/law_forms.hpp"

namespace hone::theory {
namespace {

using Dual = ceres::Jet<double, parameters_max>;

/// (ln y - ln prediction) / log_sigma, in the calling convention of Ceres.
class Residual {
 public:
  Residual(LawKind kind, const Observation& o) : kind_(kind), o_(o) {}
  template <class T>
  bool operator()(const T* const* parameters, T* residual) const {
    residual[0] = (o_.log_y - log_value(kind_, parameters[0], o_.point)) / o_.log_sigma;
    return true;
  }

 private:
  LawKind kind_;
  Observation o_;
};

/// Uniform within the bounds; where the law has an additive constant it is set to its optimum
/// afterwards, so that starts differ only in what is nonlinear.
std::vector<double> random_start(LawKind kind, const std::vector<Observation>& rows, const Stream& s) {
  const auto& bounds = law(kind).parameters;
  std::vector<double> p(bounds.size());
  for (std::size_t j = 0; j < p.size(); ++j) p[j] = bounds[j].low + (bounds[j].high - bounds[j].low) * uniform(s, j);
  if (kind == LawKind::chinchilla) return p;
  double shift = 0, weight = 0;
  for (const Observation& o : rows) {
    const double w = 1 / (o.log_sigma * o.log_sigma);
    shift += w * (o.log_y - log_value(kind, p.data(), o.point));
    weight += w;
  }
  p[0] = std::clamp(p[0] + shift / weight, bounds[0].low, bounds[0].high);
  return p;
}

struct Attempt {
  std::vector<double> parameters;
  double cost = 0;
  Stop stop = Stop::failed;
  int iterations = 0;
};

Attempt solve_from(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options,
                   std::vector<double> p) {
  const auto& bounds = law(kind).parameters;
  const int size = static_cast<int>(p.size());
  ceres::Problem problem;
  for (const Observation& o : rows) {
    auto cost = std::make_unique<ceres::DynamicAutoDiffCostFunction<Residual, parameters_max>>(new Residual(kind, o));
    cost->AddParameterBlock(size);
    cost->SetNumResiduals(1);
    problem.AddResidualBlock(cost.release(), new ceres::HuberLoss(options.huber_scale), p.data());
  }
  for (int j = 0; j < size; ++j) {
    const Parameter& b = bounds[static_cast<std::size_t>(j)];
    double& value = p[static_cast<std::size_t>(j)];
    value = std::clamp(value, b.low, b.high);
    problem.SetParameterLowerBound(p.data(), j, b.low);
    problem.SetParameterUpperBound(p.data(), j, b.high);
  }
  ceres::Solver::Options solver;
  solver.linear_solver_type = ceres::DENSE_QR;
  solver.num_threads = 1;
  solver.max_num_iterations = options.iterations_max;
  solver.function_tolerance = solver.gradient_tolerance = solver.parameter_tolerance = 1e-12;
  solver.logging_type = ceres::SILENT;
  ceres::Solver::Summary summary;
  ceres::Solve(solver, &problem, &summary);
  Attempt attempt{p, summary.final_cost, Stop::failed, static_cast<int>(summary.iterations.size())};
  if (std::isfinite(summary.final_cost) && summary.IsSolutionUsable())
    attempt.stop = summary.termination_type == ceres::CONVERGENCE ? Stop::converged : Stop::iterations_used_up;
  return attempt;
}

}  // namespace

FitSummary fit_nonlinear(LawKind kind, const std::vector<Observation>& rows, const FitOptions& options) {
  const int n = static_cast<int>(rows.size());
  const std::size_t p = law(kind).parameters.size();
  EXPECTS(options.start.empty() || options.start.size() == p,
          "fit_nonlinear: start has {} values, {} has {} parameters", options.start.size(), law(kind).name, p);
  for (const Observation& o : rows) EXPECTS(o.log_sigma > 0, "fit_nonlinear: log_sigma {}, expected > 0", o.log_sigma);
  if (rows.size() <= p) return empty_summary(kind, n, Stop::too_few_rows);

  Attempt best;
  const int starts = options.start.empty() ? options.starts : 1;
  for (int i = 0; i < starts; ++i) {
    const Stream stream{options.seed, Domain::starts, static_cast<std::uint32_t>(i)};
    Attempt attempt =
        solve_from(kind, rows, options, options.start.empty() ? random_start(kind, rows, stream) : options.start);
    if (attempt.stop == Stop::failed) continue;
    if (best.stop == Stop::failed || attempt.cost < best.cost) best = std::move(attempt);
  }
  FitSummary summary = empty_summary(kind, n, best.stop);
  if (best.stop == Stop::failed) return summary;
  summary.parameters = best.parameters;
  summary.cost = best.cost;
  summary.iterations = best.iterations;

  Matrix<double> jacobian(n, static_cast<Index>(p));
  Vector<double> residual(n);
  Dual duals[parameters_max];
  for (std::size_t j = 0; j < p; ++j) duals[j] = Dual(best.parameters[j], static_cast<int>(j));
  for (Index i = 0; i < n; ++i) {
    const Observation& o = rows[static_cast<std::size_t>(i)];
    const Dual value = log_value(kind, duals, o.point);
    residual(i) = (o.log_y - value.a) / o.log_sigma;
    for (Index j = 0; j < jacobian.cols(); ++j) jacobian(i, j) = value.v(j) / o.log_sigma;
  }
  describe_solution(summary, rows, jacobian, residual, options.condition_max);
  return summary;
}

}  // namespace hone::theory
