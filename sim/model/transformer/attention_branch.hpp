// The first branch of a layer: queries, keys and values from a norm, causal attention, and the way back to the residual
// stream,  mid = in + Wo attn(norm in).
//   A branch is cut at the inputs of its linears: forward_in, forward_to_output and forward_out are forward in parts, for
//   callers that do something in between. Each part reads what the one before wrote.
//   A visitor is shown what may be rounded, in place: visit.input(site, x) what linears read, visit.key(k) and
//   visit.value(v) what attention reads.
//   With packed linears and norms (decoder_weights.hpp) a branch has the forward pass only; `p` is then PackedParams.
#pragma once

#include "sim/base/vector_ops.hpp"
#include "sim/layers/attention.hpp"
#include "sim/model/transformer/acts.hpp"
#include "sim/model/transformer/linear.hpp"
#include "sim/model/transformer/norm.hpp"
#include "sim/model/transformer/quantized_sites.hpp"
#include "sim/model/transformer/turns.hpp"

namespace hone {

/// Attention over whole sequences: o from q, k and v, with the turns on both sides.
template <class S>
struct CausalAttention {
  AttentionShape shape;  ///< of the whole chunk
  const Turns<S>& turns;

  /// `visit` may round keys and values in place.
  template <class Visit>
  void forward(const LayerActs<S>& a, const Visit& visit) const {
    turns.queries_keys(a.q, a.k, Turn::forward);             // F1
    visit.key(a.k), visit.value(a.v);                        // F2
    attention_forward<S>(a.o, a.att, a.q, a.k, a.v, shape);  // F3
    turns.heads(a.o, Turn::forward);                         // F4
  }
  void backward(const LayerSlots<S>& s) const {
    const LayerActs<S>&a = *s.x, &d = *s.dx;
    turns.heads(d.o, Turn::inverse);                                 // B4 from F4
    attention_backward<S>(slots(s), d.scratch, shape);               // B3 from F3
    pass_through<S>(d.k, a.k_mask), pass_through<S>(d.v, a.v_mask);  // B2 from F2
    turns.queries_keys(d.q, d.k, Turn::inverse);                     // B1 from F1
  }
  void tforward(const LayerSlots<S>& s) const {
    const LayerActs<S>& t = *s.tx;
    turns.queries_keys(t.q, t.k, Turn::forward);  // R F1
    attention_tforward<S>(slots(s), shape);       // R F3
    turns.heads(t.o, Turn::forward);              // R F4
  }
  void tbackward(const LayerSlots<S>& s) const {
    const LayerActs<S>& td = *s.tdx;
    turns.heads(td.o, Turn::inverse);                     // R B4
    attention_tbackward<S>(slots(s), td.scratch, shape);  // R B3
    turns.queries_keys(td.q, td.k, Turn::inverse);        // R B1
  }

 private:
  static AttentionSlots<S> slots(const LayerSlots<S>& s) {
    using A = LayerActs<S>;
    return {s[&A::q], s[&A::k], s[&A::v], s[&A::att], s[&A::o]};
  }
};

/// `core` makes o from q, k and v: CausalAttention, or in the decoder the attention over a cache.
template <class S, class Linear = LinearBlock<S>, class NormKind = NormBlock<S>>
struct AttentionBranch {
  using A = LayerActs<S>;

  NormKind norm;
  Linear wq, wk, wv, wo;
  NormKind sub_norm;  ///< before wo; the model may have none

  /// norm1 from in.
  template <class P, class Visit>
  void forward_in(const P& p, const A& a, const Visit& visit) const {
    norm.forward(p, a.norm1, a.stat1, a.in);  // F1
    visit.input(LinearInput::attention, a.norm1);
  }
  /// o or its norm from norm1.
  template <class P, class Core, class Visit>
  void forward_to_output(const P& p, const A& a, const Core& core, const Visit& visit) const {
    wq.forward(p, a.q, a.norm1);                                 // F2
    wk.forward(p, a.k, a.norm1);                                 // F3
    wv.forward(p, a.v, a.norm1);                                 // F4
    core.forward(a, visit);                                      // F5
    if (sub_norm) sub_norm.forward(p, a.o_norm, a.o_stat, a.o);  // F6
    visit.input(LinearInput::attention_output, a.wo_input());
  }
  /// mid from in and o or its norm.
  template <class P>
  void forward_out(const P& p, const A& a) const {
    wo.forward(p, a.mid, a.wo_input());              // F7
    add_to<S>(a.mid.data, a.in.data, a.mid.size());  // F8
  }
  template <class P, class Core, class Visit>
  void forward(const P& p, const A& a, const Core& core, const Visit& visit) const {
    forward_in(p, a, visit);
    forward_to_output(p, a, core, visit);
    forward_out(p, a);
  }

  /// Adds to in.dx what comes by the branch; the residual, B8 from F8, is the caller's: in.dx = mid.dx beforehand.
  void backward(const ParamVectors<S>& p, const LayerSlots<S>& s, const CausalAttention<S>& core) const {
    const Slot<S> norm1 = s[&A::norm1], q = s[&A::q], k = s[&A::k], v = s[&A::v], o = s[&A::o];
    const Slot<S> wo_input = s[&A::wo_input], mid = s[&A::mid];
    wo.backward(p, mid, wo_input);  // B7 from F7
    pass_through<S>(wo_input.dx, s.x->wo_mask);
    if (sub_norm) {
      o.dx.view().setZero();
      sub_norm.backward(p, wo_input, s[&A::o_stat], o);  // B6 from F6
    }
    core.backward(s);                      // B5 from F5
    wq.backward(p, q, norm1);              // B2 from F2
    wk.backward(p, k, norm1, Write::add);  // B3 from F3
    wv.backward(p, v, norm1, Write::add);  // B4 from F4
    pass_through<S>(norm1.dx, s.x->norm1_mask);
    norm.backward(p, norm1, s[&A::stat1], s[&A::in]);  // B1 from F1
  }

  /// mid.tx, residual and all.
  void tforward(const ParamVectors<S>& p, const LayerSlots<S>& s, const CausalAttention<S>& core) const {
    const Slot<S> in = s[&A::in], norm1 = s[&A::norm1], q = s[&A::q], k = s[&A::k], v = s[&A::v];
    const Slot<S> wo_input = s[&A::wo_input], mid = s[&A::mid];
    norm.tforward(p, norm1, s[&A::stat1], in);                              // R F1
    wq.tforward(p, q, norm1);                                               // R F2
    wk.tforward(p, k, norm1);                                               // R F3
    wv.tforward(p, v, norm1);                                               // R F4
    core.tforward(s);                                                       // R F5
    if (sub_norm) sub_norm.tforward(p, wo_input, s[&A::o_stat], s[&A::o]);  // R F6
    wo.tforward(p, mid, wo_input);                                          // R F7
    add_to<S>(mid.tx.data, in.tx.data, mid.tx.size());                      // R F8
  }

  /// As backward: in.tdx = mid.tdx beforehand.
  void tbackward(const ParamVectors<S>& p, const LayerSlots<S>& s, const CausalAttention<S>& core) const {
    const Slot<S> norm1 = s[&A::norm1], q = s[&A::q], k = s[&A::k], v = s[&A::v], o = s[&A::o];
    const Slot<S> wo_input = s[&A::wo_input], mid = s[&A::mid];
    wo.tbackward(p, mid, wo_input);  // R B7
    if (sub_norm) {
      o.tdx.view().setZero();
      sub_norm.tbackward(p, wo_input, s[&A::o_stat], o);  // R B6
    }
    core.tbackward(s);                                  // R B5
    wq.tbackward(p, q, norm1);                          // R B2
    wk.tbackward(p, k, norm1, Write::add);              // R B3
    wv.tbackward(p, v, norm1, Write::add);              // R B4
    norm.tbackward(p, norm1, s[&A::stat1], s[&A::in]);  // R B1
  }
};

}  // namespace hone
