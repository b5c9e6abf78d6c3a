#include "theory/noise/damage.hpp"

#include <Eigen/Cholesky>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <cmath>

#include "sim/base/error.hpp"
#include "theory/noise/normal.hpp"

namespace hone::theory {

LossChange second_order_change(const Vector<double>& gradient, const Matrix<double>& hessian,
                               const Vector<double>& mean, const Matrix<double>& covariance) {
  const Index n = gradient.size();
  EXPECTS(hessian.rows() == n && hessian.cols() == n && mean.size() == n && covariance.rows() == n &&
              covariance.cols() == n,
          "second_order_change: gradient {}, hessian {}x{}, mean {}, covariance {}x{}", n, hessian.rows(),
          hessian.cols(), mean.size(), covariance.rows(), covariance.cols());
  const Vector<double> curved = hessian * mean;
  const Vector<double> slope = gradient + curved;
  const Matrix<double> hs = hessian * covariance;
  return {gradient.dot(mean) + 0.5 * hs.trace() + 0.5 * mean.dot(curved),
          slope.dot(covariance * slope) + 0.5 * hs.cwiseProduct(hs.transpose()).sum()};
}

double isotropic_rise(double trace, double variance) { return 0.5 * variance * trace; }

double top_share(const Vector<double>& eigenvalues, Index k) {
  EXPECTS(k >= 0 && k <= eigenvalues.size(), "top_share: k = {} of {}", k, eigenvalues.size());
  return eigenvalues.head(k).sum() / eigenvalues.sum();
}

double random_share(Index k, Index n) {
  EXPECTS(k >= 0 && k <= n && n > 0, "random_share: k = {} of {}", k, n);
  return static_cast<double>(k) / static_cast<double>(n);
}

double alignment_null(Index k, Index n) { return std::sqrt(random_share(k, n)); }

FeedbackProxy feedback_proxy(const Matrix<double>& hessian, double step, Index rows) {
  EXPECTS(hessian.rows() == hessian.cols(), "feedback_proxy: hessian {}x{}", hessian.rows(), hessian.cols());
  // Turned upside down, (U + I) D (U + I)' is a Cholesky factorization: D holds the squares of its diagonal.
  const Eigen::LLT<Matrix<double>> turned(hessian.reverse());
  EXPECTS(turned.info() == Eigen::Success, "feedback_proxy: hessian {}x{} is not positive definite; damp it",
          hessian.rows(), hessian.cols());
  const double noise = step * step / 12 * static_cast<double>(rows);
  const Matrix<double> factor = turned.matrixL();
  return {noise * hessian.trace(), noise * factor.diagonal().squaredNorm()};
}

double composed_noise(const std::vector<double>& nu) {
  double log_sum = 0;
  for (const double one : nu) {
    EXPECTS(one >= 0, "composed_noise: nu = {}, expected ≥ 0", one);
    log_sum += std::log1p(one);
  }
  return std::expm1(log_sum);
}

double two_class_rise(double logit_difference, double variance) {
  EXPECTS(variance >= 0, "two_class_rise: variance {}, expected ≥ 0", variance);
  const auto loss = [](double z) { return std::max(-z, 0.0) + std::log1p(std::exp(-std::abs(z))); };
  const double sd = std::sqrt(variance);
  // Antithetic pairs cancel the odd orders before the integral does.
  const auto rise = [&](double x) {
    return normal_density(x) *
           (loss(logit_difference + sd * x) + loss(logit_difference - sd * x) - 2 * loss(logit_difference));
  };
  return boost::math::quadrature::gauss_kronrod<double, 31>::integrate(rise, 0.0, 40.0, 15, 1e-12);
}

}  // namespace hone::theory
