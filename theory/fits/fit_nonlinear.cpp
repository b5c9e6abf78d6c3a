#include <ceres/cost_function.h>
#include <ceres/jet.h>
#include <ceres/problem.h>
#include <ceres/solver.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "sim/base/error.hpp"
#include "theory/fits/fit_solver.hpp"
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

}  // namespace

double response_gradient(LawKind kind, const double* parameters, const Point& point, double* derivatives) {
  const int size = static_cast<int>(law(kind).parameters.size());
  constexpr int few = 6, some = 11;  // laws of damage or sharpness alone; of training bits
  if (size <= few) return differentiate<few>(kind, parameters, size, point, derivatives);
  if (size <= some) return differentiate<some>(kind, parameters, size, point, derivatives);
  return differentiate<parameters_max>(kind, parameters, size, point, derivatives);
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

}  // namespace hone::theory
