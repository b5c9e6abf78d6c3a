#include "theory/fits/least_squares.hpp"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <limits>

namespace hone::theory {
namespace {

using Qr = Eigen::ColPivHouseholderQR<Eigen::MatrixXd>;

Eigen::MatrixXd upper_factor(const Qr& qr, Index p) {
  Eigen::MatrixXd r = qr.matrixQR().topRows(p);
  for (Index j = 0; j < p; ++j)
    for (Index i = j + 1; i < p; ++i) r(i, j) = 0;
  return r;
}

double condition_of(const Eigen::MatrixXd& r) {
  if (!r.allFinite()) return std::numeric_limits<double>::infinity();
  const Eigen::VectorXd values = Eigen::JacobiSVD<Eigen::MatrixXd, Eigen::NoQRPreconditioner>(r).singularValues();
  const double least = values(values.size() - 1);
  return least > 0 ? values(0) / least : std::numeric_limits<double>::infinity();
}

}  // namespace

double condition_number(const Matrix<double>& a) {
  if (a.cols() == 0) return 1;
  if (!a.allFinite()) return std::numeric_limits<double>::infinity();  // pivoting cannot order NaN
  return condition_of(upper_factor(Qr(a), a.cols()));
}

Vector<double> solve_least_squares(const Matrix<double>& a, const Vector<double>& b) {
  if (a.cols() == 0) return {};
  if (!a.allFinite()) return Vector<double>::Constant(a.cols(), std::numeric_limits<double>::quiet_NaN());
  return Qr(a).solve(b);
}

Matrix<double> gram_inverse(const Matrix<double>& a) {
  const Index p = a.cols();
  if (p == 0) return Matrix<double>(0, 0);
  if (!a.allFinite()) return Matrix<double>::Constant(p, p, std::numeric_limits<double>::quiet_NaN());
  const Qr qr(a);
  const Eigen::MatrixXd r = upper_factor(qr, p);
  if (!(condition_of(r) < 1 / rank_tolerance))
    return Matrix<double>::Constant(p, p, std::numeric_limits<double>::quiet_NaN());
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Zero(p, p);  // of the triangular factor
  for (Index j = 0; j < p; ++j)
    for (Index i = j; i >= 0; --i) {
      double sum = i == j ? 1 : 0;
      for (Index k = i + 1; k <= j; ++k) sum -= r(i, k) * inverse(k, j);
      inverse(i, j) = sum / r(i, i);
    }
  const Eigen::MatrixXd permuted = qr.colsPermutation() * inverse;
  return permuted * permuted.transpose();
}

}  // namespace hone::theory
