// The two losses, summed over rows; the caller divides by the number of rows of the whole set.
//   softmax cross-entropy  l = -ln p[target], p = softmax(z), in nats     shapes  z, p (M,V)
//   mean squared error     l = Σ_o (z - y)²/O                             shapes  z, y (M,O)
#pragma once

#include <cmath>

#include "sim/base/matrix.hpp"

namespace hone {

/// Writes p = softmax(z) and the row losses; returns their sum in double, in row order.
/// ensures  no overflow for any finite z; a NaN or +inf in z gives a loss that is not finite
///          (-inf is probability 0)
template <class S, class Target>
double softmax_xent_forward(MatView<S> p, S* row_loss, ConstMatView<S> z, const Target* targets) {
  using std::log;
  double total = 0;
  for (Index m = 0; m < z.rows(); ++m) {
    const S top = z.row(m).maxCoeff();
    p.row(m).array() = (z.row(m).array() - top).exp();  // F1
    const S sum = p.row(m).sum();                       // F2
    p.row(m).array() *= S(1) / sum;
    row_loss[m] = log(sum) + top - z(m, targets[m]);  // F3
    total += static_cast<double>(row_loss[m]);
  }
  return total;
}

/// dz = weight·(p - onehot(target)).
template <class S, class Target>
void softmax_xent_backward(MatView<S> dz, ConstMatView<S> p, const Target* targets, S weight) {
  dz = p * weight;
  for (Index m = 0; m < p.rows(); ++m) dz(m, targets[m]) -= weight;
}

/// The loss Hessian applied to a tangent: tdz = weight·p·(tz - Σ p tz). It is tbackward, and the middle of a
/// Gauss-Newton product.
template <class S>
void softmax_xent_tbackward(MatView<S> tdz, ConstMatView<S> tz, ConstMatView<S> p, S weight) {
  for (Index m = 0; m < p.rows(); ++m) {
    const S mean = (p.row(m).array() * tz.row(m).array()).sum();
    tdz.row(m).array() = p.row(m).array() * (tz.row(m).array() - mean) * weight;
  }
}

/// Row losses Σ_o (z-y)²/O; returns their sum in double.
template <class S>
double squared_error_forward(S* row_loss, ConstMatView<S> z, ConstMatView<S> y) {
  double total = 0;
  for (Index m = 0; m < z.rows(); ++m) {
    row_loss[m] = (z.row(m) - y.row(m)).squaredNorm() / S(double(z.cols()));
    total += static_cast<double>(row_loss[m]);
  }
  return total;
}

/// dz = weight·2(z-y)/O.
template <class S>
void squared_error_backward(MatView<S> dz, ConstMatView<S> z, ConstMatView<S> y, S weight) {
  dz = (z - y) * (S(2) * weight / S(double(z.cols())));
}

/// tdz = weight·2 tz/O.
template <class S>
void squared_error_tbackward(MatView<S> tdz, ConstMatView<S> tz, S weight) {
  tdz = tz * (S(2) * weight / S(double(tz.cols())));
}

}  // namespace hone
