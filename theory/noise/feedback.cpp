#include "theory/noise/feedback.hpp"

#include <Eigen/Cholesky>

#include "sim/base/error.hpp"

namespace hone::theory {

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

}  // namespace hone::theory
