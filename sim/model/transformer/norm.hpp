// Norm block  y = norm(x), RMSNorm or LayerNorm, with its gain and shift at places of the flat vectors.
//   shapes  x, y (M,C)  stat (1,M): 1/root; (2,M) for LayerNorm: 1/root, then the mean
#pragma once

#include "sim/layers/norm.hpp"
#include "sim/layers/slot.hpp"
#include "sim/model/transformer/options.hpp"
#include "sim/model/transformer/param_place.hpp"

namespace hone {

/// Which norm, without its parameters.
struct NormRule {
  Norm kind = Norm::rms;
  double eps = 0;

  template <class S>
  void apply(const Block<S>& y, const Block<S>& stat, const Block<S>& x, const S* gain, const S* shift) const {
    if (kind == Norm::rms)
      rmsnorm_forward<S>(y, stat.data, x, gain, eps);
    else
      layernorm_forward<S>(y, stat.data + x.rows, stat.data, x, gain, shift, eps);
  }
};

template <class S>
struct NormBlock {
  NormRule rule;
  ParamPlace gain, shift;

  explicit operator bool() const { return bool(gain); }

  void forward(const ParamVectors<S>& p, const Block<S>& y, const Block<S>& stat, const Block<S>& x) const {
    rule.apply<S>(y, stat, x, gain.data(p.theta), shift.data(p.theta));
  }
  /// Adds to dx.
  void backward(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& stat, const Slot<S>& x) const {
    S* const r = stat.x.data;
    if (rule.kind == Norm::rms)
      rmsnorm_backward<S>(x.dx, gain.data(p.dtheta), y.dx, x.x, r, gain.data(p.theta));
    else
      layernorm_backward<S>(x.dx, gain.data(p.dtheta), shift.data(p.dtheta), y.dx, x.x, r + x.x.rows, r,
                            gain.data(p.theta));
  }
  void tforward(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& stat, const Slot<S>& x) const {
    S *const r = stat.x.data, *const tr = stat.tx.data;
    if (rule.kind == Norm::rms)
      rmsnorm_tforward<S>(y.tx, tr, x.tx, x.x, r, gain.data(p.theta), gain.data(p.ttheta));
    else
      layernorm_tforward<S>(y.tx, tr + x.x.rows, tr, x.tx, x.x, r + x.x.rows, r, gain.data(p.theta),
                            gain.data(p.ttheta), shift.data(p.ttheta));
  }
  /// Adds to tdx.
  void tbackward(const ParamVectors<S>& p, const Slot<S>& y, const Slot<S>& stat, const Slot<S>& x) const {
    S *const r = stat.x.data, *const tr = stat.tx.data;
    if (rule.kind == Norm::rms)
      rmsnorm_tbackward<S>(x.tdx, gain.data(p.tdtheta), y.tdx, y.dx, x.tx, x.x, tr, r, gain.data(p.theta),
                           gain.data(p.ttheta));
    else
      layernorm_tbackward<S>(x.tdx, gain.data(p.tdtheta), shift.data(p.tdtheta), y.tdx, y.dx, x.tx, x.x, tr + x.x.rows,
                             tr, r + x.x.rows, r, gain.data(p.theta), gain.data(p.ttheta));
  }
};

}  // namespace hone
