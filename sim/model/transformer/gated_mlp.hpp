// The second branch of a layer without experts: a norm and one MLP, gated (SwiGLU) or not,
//   out = mid + Wdown (silu(Wgate n)·(Wup n)),  or  out = mid + Wdown a(Wup n),  n = norm of the stream.
//   Cut at the inputs of its linears, and generic in its linears and norms, as AttentionBranch.
#pragma once

#include "sim/base/vector_ops.hpp"
#include "sim/layers/activation.hpp"
#include "sim/model/transformer/acts.hpp"
#include "sim/model/transformer/linear.hpp"
#include "sim/model/transformer/norm.hpp"
#include "sim/model/transformer/quantized_sites.hpp"
#include "sim/model/transformer/turns.hpp"

namespace hone {

/// Without gate the input of the activation lies in `gate` of LayerActs, and `up` is empty.
template <class S, class Linear = LinearBlock<S>, class NormKind = NormBlock<S>>
struct GatedMlp {
  using A = LayerActs<S>;

  NormKind norm;
  Block<S> A::*stream = &A::mid;  ///< what the norm reads: mid, or `in` with parallel residuals
  Linear gate;                    ///< only of MlpKind::swiglu
  Linear up, down;
  Activation activation = Activation::identity;  ///< of an MLP without gate
  NormKind sub_norm;                             ///< before down; the model may have none

  /// norm2 from the stream.
  template <class P, class Visit>
  void forward_in(const P& p, A& a, const Visit& visit) const {
    norm.forward(p, a.norm2, a.stat2, a.*stream);  // F1
    visit.input(LinearInput::mlp, a.norm2);
  }
  /// act or its norm from norm2.
  template <class P, class Visit>
  void forward_to_output(const P& p, const A& a, const Turns<S>& turns, const Visit& visit) const {
    if (gate) {
      gate.forward(p, a.gate, a.norm2);                                     // F2
      up.forward(p, a.up, a.norm2);                                         // F3
      swiglu_forward<S>(a.act.data, a.gate.data, a.up.data, a.act.size());  // F4
    } else {
      up.forward(p, a.gate, a.norm2);                                            // F3
      activation_forward<S>(a.act.data, a.gate.data, a.act.size(), activation);  // F4
    }
    turns.mlp(a.act, Turn::forward);                                   // F5
    if (sub_norm) sub_norm.forward(p, a.act_norm, a.act_stat, a.act);  // F6
    visit.input(LinearInput::mlp_output, a.down_input());
  }
  /// out from mid and act or its norm.
  template <class P>
  void forward_out(const P& p, const A& a) const {
    down.forward(p, a.out, a.down_input());           // F7
    add_to<S>(a.out.data, a.mid.data, a.out.size());  // F8
  }
  template <class P, class Visit>
  void forward(const P& p, A& a, const Turns<S>& turns, const Visit& visit) const {
    forward_in(p, a, visit);
    forward_to_output(p, a, turns, visit);
    forward_out(p, a);
  }

  /// Adds to stream.dx what comes by the branch; the residual, B8 from F8, is the caller's: mid.dx = out.dx beforehand.
  void backward(const ParamVectors<S>& p, const LayerSlots<S>& s, const Turns<S>& turns) const {
    const Slot<S> norm2 = s[&A::norm2], act = s[&A::act], down_input = s[&A::down_input];
    const Slot<S> g = s[&A::gate], u = s[&A::up];
    down.backward(p, s[&A::out], down_input);  // B7 from F7
    pass_through<S>(down_input.dx, s.x->down_mask);
    if (sub_norm) {
      act.dx.view().setZero();
      sub_norm.backward(p, down_input, s[&A::act_stat], act);  // B6 from F6
    }
    turns.mlp(act.dx, Turn::inverse);  // B5 from F5
    if (gate) {
      swiglu_backward<S>(g.dx.data, u.dx.data, act.dx.data, g.x.data, u.x.data, act.x.size());  // B4 from F4
      gate.backward(p, g, norm2);                                                               // B2 from F2
      up.backward(p, u, norm2, Write::add);                                                     // B3 from F3
    } else {
      activation_backward<S>(g.dx.data, act.dx.data, g.x.data, act.x.size(), activation);  // B4 from F4
      up.backward(p, g, norm2);                                                            // B3 from F3
    }
    pass_through<S>(norm2.dx, s.x->norm2_mask);
    norm.backward(p, norm2, s[&A::stat2], s[stream]);  // B1 from F1
  }

  /// out.tx, residual and all.
  void tforward(const ParamVectors<S>& p, const LayerSlots<S>& s, const Turns<S>& turns) const {
    const Slot<S> norm2 = s[&A::norm2], act = s[&A::act], down_input = s[&A::down_input], out = s[&A::out];
    const Slot<S> g = s[&A::gate], u = s[&A::up];
    norm.tforward(p, norm2, s[&A::stat2], s[stream]);  // R F1
    if (gate) {
      gate.tforward(p, g, norm2);                                                               // R F2
      up.tforward(p, u, norm2);                                                                 // R F3
      swiglu_tforward<S>(act.tx.data, g.tx.data, u.tx.data, g.x.data, u.x.data, act.x.size());  // R F4
    } else {
      up.tforward(p, g, norm2);                                                            // R F3
      activation_tforward<S>(act.tx.data, g.tx.data, g.x.data, act.x.size(), activation);  // R F4
    }
    turns.mlp(act.tx, Turn::forward);                                      // R F5
    if (sub_norm) sub_norm.tforward(p, down_input, s[&A::act_stat], act);  // R F6
    down.tforward(p, out, down_input);                                     // R F7
    add_to<S>(out.tx.data, s.tx->mid.data, out.tx.size());                 // R F8
  }

  /// As backward: mid.tdx = out.tdx beforehand.
  void tbackward(const ParamVectors<S>& p, const LayerSlots<S>& s, const Turns<S>& turns) const {
    const Slot<S> norm2 = s[&A::norm2], act = s[&A::act], down_input = s[&A::down_input];
    const Slot<S> g = s[&A::gate], u = s[&A::up];
    down.tbackward(p, s[&A::out], down_input);  // R B7
    if (sub_norm) {
      act.tdx.view().setZero();
      sub_norm.tbackward(p, down_input, s[&A::act_stat], act);  // R B6
    }
    turns.mlp(act.tdx, Turn::inverse);  // R B5
    if (gate) {
      swiglu_tbackward<S>(g.tdx.data, u.tdx.data, act.tdx.data, act.dx.data, g.tx.data, u.tx.data, g.x.data, u.x.data,
                          act.x.size());      // R B4
      gate.tbackward(p, g, norm2);            // R B2
      up.tbackward(p, u, norm2, Write::add);  // R B3
    } else {
      activation_tbackward<S>(g.tdx.data, act.tdx.data, act.dx.data, g.tx.data, g.x.data, act.x.size(),
                              activation);  // R B4
      up.tbackward(p, g, norm2);            // R B3
    }
    norm.tbackward(p, norm2, s[&A::stat2], s[stream]);  // R B1
  }
};

}  // namespace hone
