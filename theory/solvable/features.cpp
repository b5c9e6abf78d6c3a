#include "theory/solvable/features.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <limits>
#include <numbers>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

void check(const PowerFeatures& f) {
  EXPECTS(f.signal > 1 && f.spectrum > 0, "PowerFeatures: signal {}, spectrum {}, expected > 1 and > 0", f.signal,
          f.spectrum);
}

/// Root of a function that falls through 0 between low and high, to 1e-13 relative.
template <class F>
double root_between(const F& f, double low, double high) {
  const auto close = [](double a, double b) { return std::abs(b - a) <= 1e-13 * std::abs(b); };
  const auto [a, b] = boost::math::tools::bisect(f, low, high, close);
  return (a + b) / 2;
}

/// kappa of Σ lambda/(lambda + kappa) = count.
double implicit_ridge(const Vector<double>& lambda, const Vector<double>& signal, Index count) {
  EXPECTS(count >= 1 && count < lambda.size() && signal.size() == lambda.size() && lambda.minCoeff() > 0,
          "features: {} of {} with {} signals, expected 1 ≤ count < features, one signal each, every lambda > 0", count,
          lambda.size(), signal.size());
  const auto surplus = [&](double log_kappa) {
    return (lambda.array() / (lambda.array() + std::exp(log_kappa))).sum() - static_cast<double>(count);
  };
  // Σ lambda/(lambda + kappa) is at least K lambda_min/(lambda_min + kappa) and below Σ lambda/kappa.
  const double low = std::log(lambda.minCoeff()) - 37, high = std::log(lambda.sum());
  const auto close = [](double a, double b) { return b - a <= 1e-13; };
  const auto [a, b] = boost::math::tools::bisect(surplus, low, high, close);
  return std::exp((a + b) / 2);
}

/// S of OnePassSgd::stationary_risk, infinite from the rate on at which a single direction diverges.
double stationary_share(const Vector<double>& eigenvalues, double rate, Index batch) {
  const double b = static_cast<double>(batch);
  double sum = 0;
  for (const double l : eigenvalues) {
    const double room = 2 - rate * l * (1 + 1 / b);
    if (room <= 0) return std::numeric_limits<double>::infinity();
    sum += rate * l / (b * room);
  }
  return sum;
}

}  // namespace

double PowerFeatures::flow_risk(double time) const {
  check(*this);
  constexpr int head = 20000;
  double sum = 0;
  for (int k = head; k >= 1; --k) sum += std::pow(k, -signal) * std::exp(-2 * time * std::pow(k, -spectrum));
  const double from = head + 0.5, s = time_exponent();
  if (time == 0) return sum + std::pow(from, 1 - signal) / (signal - 1);
  return sum + std::pow(2 * time, -s) / spectrum * boost::math::tgamma_lower(s, 2 * time * std::pow(from, -spectrum));
}

double PowerFeatures::flow_asymptote(double time) const {
  check(*this);
  const double s = time_exponent();
  return std::pow(2 * time, -s) / spectrum * std::tgamma(s);
}

double PowerFeatures::size_exponent() const { return std::min(signal - 1, spectrum); }

double PowerFeatures::data_exponent() const { return std::min(signal - 1, 2 * spectrum); }

double random_feature_floor(const Vector<double>& lambda, const Vector<double>& signal, Index count) {
  const double kappa = implicit_ridge(lambda, signal, count);
  return (signal.array() * kappa / (lambda.array() + kappa)).sum();
}

double sample_risk(const Vector<double>& lambda, const Vector<double>& signal, Index samples, double noise) {
  const double kappa = implicit_ridge(lambda, signal, samples);
  const double bias = (signal.array() * (kappa / (lambda.array() + kappa)).square()).sum();
  const double g = (lambda.array() / (lambda.array() + kappa)).square().sum() / static_cast<double>(samples);
  return (bias + noise * g) / (1 - g);
}

FeatureRegression random_features(const Vector<double>& lambda, const Vector<double>& target,
                                  const Matrix<double>& combinations) {
  EXPECTS(target.size() == lambda.size() && combinations.rows() == lambda.size() && combinations.cols() >= 1,
          "random_features: {} features, {} targets, combinations {}x{}", lambda.size(), target.size(),
          combinations.rows(), combinations.cols());
  const Matrix<double> weighted = lambda.asDiagonal() * combinations;
  const Eigen::SelfAdjointEigenSolver<Matrix<double>> covariance(combinations.transpose() * weighted);
  // In the eigenbasis: best weights are the cross-covariances over the eigenvalues.
  const Vector<double> cross = covariance.eigenvectors().transpose() * (weighted.transpose() * target);
  FeatureRegression problem;
  problem.eigenvalues = covariance.eigenvalues();
  problem.error2 = cross.cwiseQuotient(problem.eigenvalues).cwiseAbs2();
  problem.floor = lambda.dot(target.cwiseAbs2()) - cross.cwiseAbs2().cwiseQuotient(problem.eigenvalues).sum();
  return problem;
}

Vector<double> OnePassSgd::risks(Index steps) const {
  EXPECTS(rate > 0 && batch >= 1 && steps >= 0, "OnePassSgd: rate {}, batch {}, steps {}", rate, batch, steps);
  const auto& l = problem.eigenvalues.array();
  const double b = static_cast<double>(batch);
  const Eigen::ArrayXd kept = (1 - rate * l).square() + (rate * l).square() / b, spread = rate * rate / b * l;
  Eigen::ArrayXd u = problem.error2.array();
  Vector<double> result(steps + 1);
  for (Index t = 0; t <= steps; ++t) {
    result[t] = (l * u).sum() + problem.floor;
    u = kept * u + spread * (result[t] + noise);
  }
  return result;
}

double OnePassSgd::stationary_risk() const {
  const double share = stationary_share(problem.eigenvalues, rate, batch);
  if (share >= 1) return std::numeric_limits<double>::infinity();
  return problem.floor + share / (1 - share) * (problem.floor + noise);
}

double one_pass_cap(const Vector<double>& eigenvalues, Index batch) {
  EXPECTS(batch >= 1 && eigenvalues.size() >= 1 && eigenvalues.minCoeff() >= 0 && eigenvalues.maxCoeff() > 0,
          "one_pass_cap: batch {}, {} eigenvalues, expected ≥ 1 and none negative", batch, eigenvalues.size());
  const auto room = [&](double rate) { return 1 - std::min(stationary_share(eigenvalues, rate, batch), 1e3); };
  return root_between(room, 0.0, 2 / eigenvalues.maxCoeff());
}

NoisyFeatures noisy_features(const Vector<double>& lambda, const Vector<double>& signal, const Vector<double>& noise) {
  EXPECTS(
      signal.size() == lambda.size() && noise.size() == lambda.size() && lambda.minCoeff() > 0 && noise.minCoeff() >= 0,
      "noisy_features: {} features, {} signals, {} noises, expected as many of each, lambda > 0, noise ≥ 0",
      lambda.size(), signal.size(), noise.size());
  const Eigen::ArrayXd kept = lambda.array() / (lambda + noise).array();
  return {(signal.array() * (1 - kept)).sum(), kept.sum()};
}

double additive_effective_size(double spectrum, double noise) {
  EXPECTS(spectrum > 1 && noise > 0, "additive_effective_size: spectrum {}, noise {}, expected > 1 and > 0", spectrum,
          noise);
  const double angle = std::numbers::pi / spectrum;
  return angle / std::sin(angle) * std::pow(noise, -1 / spectrum) - 0.5;
}

}  // namespace hone::theory
