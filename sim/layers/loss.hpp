// The two losses, summed over rows; the caller divides by the number of rows of the whole set.
//   softmax cross-entropy  l = -ln p[target], p = softmax(z), in nats     shapes  z, p (M,V)
//   mean squared error     l = Σ_o (z - y)²/O                             shapes  z, y (M,O)
#pragma once

#include "sim/base/vector_ops.hpp"
#include "sim/layers/softmax.hpp"

namespace hone {

/// Writes p = softmax(z) and the row losses; returns their sum in double, in row order.
/// ensures  no overflow for any finite z; a NaN or +inf in z gives a loss that is not finite
///          (-inf is probability 0)
template <class S, class Target>
double softmax_xent_forward(MatView<S> p, S* row_loss, ConstMatView<S> z, const Target* targets) {
  softmax_rows<S>(p.data(), row_loss, z.data(), z.rows(), z.cols());  // F1
  double total = 0;
  for (Index m = 0; m < z.rows(); ++m) {
    row_loss[m] = row_loss[m] - z(m, targets[m]);  // F2
    total += static_cast<double>(row_loss[m]);
  }
  return total;
}

/// dz = weight·(p - onehot(target)).
template <class S, class Target>
void softmax_xent_backward(MatView<S> dz, ConstMatView<S> p, const Target* targets, S weight) {
  scale_to<S>(dz.data(), p.data(), weight, p.size());
  for (Index m = 0; m < p.rows(); ++m) dz(m, targets[m]) -= weight;
}

/// The loss Hessian applied to a tangent: tdz = weight·p·(tz - Σ p tz). It is tbackward, and the middle of a
/// Gauss-Newton product.
template <class S>
void softmax_xent_tbackward(MatView<S> tdz, ConstMatView<S> tz, ConstMatView<S> p, S weight) {
  softmax_tangent_rows<S>(tdz.data(), tz.data(), tz.cols(), p.data(), p.cols(), p.rows(), p.cols(), weight);
}

/// Row losses Σ_o (z-y)²/O; returns their sum in double.
template <class S>
double squared_error_forward(S* row_loss, ConstMatView<S> z, ConstMatView<S> y) {
  double total = 0;
  for (Index m = 0; m < z.rows(); ++m) {
    row_loss[m] = squared_distance<S>(z.data() + m * z.cols(), y.data() + m * z.cols(), z.cols()) / S(double(z.cols()));
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
