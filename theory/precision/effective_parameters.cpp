#include "theory/precision/effective_parameters.hpp"

#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "theory/fits/least_squares.hpp"
#include "theory/noise/normal.hpp"

namespace hone::theory {
namespace {

/// base^(-1/alpha), NaN for a base that no size reaches.
double size_of(double base, double alpha) {
  return base > 0 ? std::pow(base, -1 / alpha) : std::numeric_limits<double>::quiet_NaN();
}

double entropy_term(double p) { return p > 0 ? -p * std::log2(p) : 0; }

}  // namespace

double empirical_fraction(const TrainingLaw& law, double N, double loss, double loss_full) {
  EXPECTS(N > 0, "empirical_fraction: N = {}, expected > 0", N);
  return size_of((loss - loss_full) / law.A + std::pow(N, -law.alpha), law.alpha) / N;
}

double inference_parameters(const TrainingLaw& law, double D, double loss) {
  return size_of((loss - law.E - law.B * std::pow(D, -law.beta)) / law.A, law.alpha);
}

double gaussian_information(double relative_mse) {
  EXPECTS(relative_mse > 0, "gaussian_information: relative MSE {}, expected > 0", relative_mse);
  return std::max(0.0, -0.5 * std::log2(relative_mse));
}

double code_entropy(const std::vector<std::int64_t>& counts) {
  double total = 0;
  for (const std::int64_t count : counts) {
    EXPECTS(count >= 0, "code_entropy: count {}, expected ≥ 0", count);
    total += static_cast<double>(count);
  }
  EXPECTS(total > 0, "code_entropy: {} codes without a single weight", counts.size());
  double entropy = 0;
  for (const std::int64_t count : counts) entropy += entropy_term(static_cast<double>(count) / total);
  return entropy;
}

double gaussian_code_entropy(double sigma_over_step, std::int64_t code_max) {
  EXPECTS(sigma_over_step > 0, "gaussian_code_entropy: s/Delta = {}, expected > 0", sigma_over_step);
  EXPECTS(code_max >= 1, "gaussian_code_entropy: largest code {}, expected ≥ 1", code_max);
  const auto edge = [&](std::int64_t code) { return (static_cast<double>(code) - 0.5) / sigma_over_step; };
  double entropy = entropy_term(1 - 2 * normal_tail(edge(1)));
  for (std::int64_t code = 1; code < code_max; ++code)
    entropy += 2 * entropy_term(normal_tail(edge(code)) - normal_tail(edge(code + 1)));
  return entropy + 2 * entropy_term(normal_tail(edge(code_max)));
}

double retained_fraction(double information) { return -std::expm1(-2 * std::log(2.0) * information); }

InformationScale information_scale(const std::vector<double>& bits, const std::vector<double>& information) {
  EXPECTS(bits.size() == information.size() && bits.size() >= 2,
          "information_scale: {} bits, {} informations, expected the same number, at least 2", bits.size(),
          information.size());
  const auto n = static_cast<Index>(bits.size());
  Matrix<double> design(n, 2);
  Vector<double> target(n);
  for (Index i = 0; i < n; ++i) {
    design(i, 0) = 1;
    design(i, 1) = -bits[static_cast<std::size_t>(i)];
    target(i) = -2 * std::log(2.0) * information[static_cast<std::size_t>(i)];
  }
  const Vector<double> x = solve_least_squares(design, target);
  return {{1 / x(1), x(0)}, std::sqrt((target - design * x).squaredNorm() / static_cast<double>(n))};
}

}  // namespace hone::theory
