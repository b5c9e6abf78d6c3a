// Linear block  y = x W' + b  with its parameters at places of the flat vectors.
//   shapes  x (M,I)  W (O,I)  b (O), of 0 rows without bias  y (M,O)
#pragma once

#include "sim/layers/linear.hpp"
#include "sim/layers/slot.hpp"
#include "sim/model/transformer/param_place.hpp"

namespace hone {

template <class S>
struct LinearBlock {
  ParamPlace w, b;

  explicit operator bool() const { return bool(w); }

  void forward(const ParamVectors<S>& p, const Block<S>& y, const Block<S>& x) const {
    linear_forward<S>(y, x, w.matrix(p.theta), b.data(p.theta));
  }
  /// dx is written or added to, as `write` says; dW and db are added to.
  void backward(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& x, Write write = Write::assign) const {
    linear_backward<S>(x.dx, w.matrix(p.dtheta), b.data(p.dtheta), y.dx, x.x, w.matrix(p.theta), write);
  }
  void tforward(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& x) const {
    linear_tforward<S>(y.tx, x.tx, x.x, w.matrix(p.theta), w.matrix(p.ttheta), b.data(p.ttheta));
  }
  void tbackward(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& x, Write write = Write::assign) const {
    linear_tbackward<S>(x.tdx, w.matrix(p.tdtheta), b.data(p.tdtheta), y.tdx, y.dx, x.tx, x.x, w.matrix(p.theta),
                        w.matrix(p.ttheta), write);
  }

  /// The two tangent passes where W and b do not move; their own adjoints are not wanted.
  void tforward_fixed(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& x) const {
    gemm_nt<S>(y.tx, x.tx, w.matrix(p.theta));
  }
  void tbackward_fixed(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& x) const {
    gemm_nn<S>(x.tdx, y.tdx, w.matrix(p.theta));
  }
};

}  // namespace hone
