#include "theory/fits/profile.hpp"

#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "theory/fits/joint.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Least cost at a value of one parameter, each refit starting where the last usable one ended.
class Profile {
 public:
  Profile(const JointProblem& problem, const Solution& fit, std::size_t parameter, const FitOptions& options)
      : problem_(problem), options_(options), parameter_(parameter), at_(fit.parameters) {
    if (options_.held.empty()) options_.held.assign(at_.size(), nan);
    for (std::size_t g = 0; g < at_.size(); ++g)
      if (fit.is_held[g] || fit.not_identified[g]) options_.held[g] = at_[g];
  }

  /// NaN when the refit is not usable.
  double cost_at(double value) {
    FitOptions refit = options_;
    refit.held[parameter_] = value;
    std::vector<double> start = at_;
    start[parameter_] = value;
    const Attempt attempt = solve_from(problem_, refit, start);
    if (attempt.stop == Stop::failed) return nan;
    at_ = attempt.parameters;
    return attempt.cost;
  }

 private:
  const JointProblem& problem_;
  FitOptions options_;
  std::size_t parameter_;
  std::vector<double> at_;
};

struct End {
  double value = 0;
  bool is_open = false;
};

/// Walks from the estimate in growing steps until the cost passes `limit`, then halves the gap.
End find_end(Profile profile, double estimate, double step, double bound, double limit) {
  constexpr int walks_max = 40, halvings = 24;
  double inside = estimate, outside = nan;
  for (int i = 0; i < walks_max && std::isnan(outside); ++i) {
    double next = inside + step;
    const bool is_last = (step > 0) == (next >= bound);
    if (is_last) next = bound;
    const double cost = profile.cost_at(next);
    if (std::isnan(cost)) return {bound, true};
    if (cost > limit) outside = next;
    if (!(cost > limit) && is_last) return {bound, true};
    if (!(cost > limit)) inside = next;
    step *= 1.6;
  }
  if (std::isnan(outside)) return {bound, true};
  for (int i = 0; i < halvings; ++i) {
    const double middle = 0.5 * (inside + outside);
    const double cost = profile.cost_at(middle);
    (cost > limit || std::isnan(cost) ? outside : inside) = middle;
  }
  return {0.5 * (inside + outside), false};
}

}  // namespace

ProfileInterval profile_interval(const JointProblem& problem, const Solution& fit, std::size_t parameter,
                                 const ProfileOptions& options) {
  EXPECTS(fit.is_usable(), "profile_interval: the fit did not end usable");
  EXPECTS(fit.parameters.size() == problem.parameters.size() && parameter < fit.parameters.size(),
          "profile_interval: parameter {} of a fit with {}, problem with {}", parameter, fit.parameters.size(),
          problem.parameters.size());
  EXPECTS(options.level > 0 && options.level < 1, "profile_interval: level {}, expected within 0..1", options.level);
  const Parameter& bounds = problem.parameters[parameter];
  const double estimate = fit.parameters[parameter];
  if (!std::isfinite(fit.s2) || fit.is_held[parameter]) return {estimate, nan, nan, true, true};
  if (fit.not_identified[parameter]) return {estimate, bounds.low, bounds.high, true, true};

  const double quantile = boost::math::quantile(boost::math::chi_squared(1), options.level);
  const double error = fit.standard_errors[parameter], width = bounds.high - bounds.low;
  const double step = error > 0 && error < 0.1 * width ? error : 0.01 * width;
  const Profile profile(problem, fit, parameter, options.fit);
  // The cost by the profile's own loss: a linear fit counts squares, a profile what options.fit says.
  const double limit = Profile(profile).cost_at(estimate) + 0.5 * quantile * fit.s2;
  const End low = find_end(profile, estimate, -step, bounds.low, limit);
  const End high = find_end(profile, estimate, step, bounds.high, limit);
  return {estimate, low.value, high.value, low.is_open, high.is_open};
}

std::vector<ProfileInterval> profile_intervals(const FitSummary& fit, const std::vector<Observation>& rows,
                                               const ProfileOptions& options) {
  const JointProblem problem = one_law(fit.kind, rows);
  std::vector<ProfileInterval> intervals;
  for (std::size_t j = 0; j < problem.parameters.size(); ++j)
    intervals.push_back(profile_interval(problem, fit, j, options));
  return intervals;
}

}  // namespace hone::theory
