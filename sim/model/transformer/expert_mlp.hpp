// The second branch of a layer with experts: a norm, routing, the experts' SwiGLUs on the gathered tokens, and their sum
// weighted by the gates,  out = mid + Σ_e g_e Wdown_e (silu(Wgate_e n)·(Wup_e n)),  n = norm of the stream.
// The router reads the unquantized norm; activations are quantized per token where the experts read them.
//   Cut at the inputs of its linears, and generic in its linears and norms, as AttentionBranch.
#pragma once

#include <vector>

#include "sim/layers/activation.hpp"
#include "sim/layers/moe.hpp"
#include "sim/model/transformer/acts.hpp"
#include "sim/model/transformer/linear.hpp"
#include "sim/model/transformer/norm.hpp"
#include "sim/model/transformer/quantized_sites.hpp"
#include "sim/model/transformer/turns.hpp"

namespace hone {

/// The rows of expert e in all passes.
template <class S>
Slot<S> expert_rows(const Slot<S>& slots, const Routing& routing, Index e) {
  const auto of = [&](const Block<S>& pass) { return pass.data ? expert_rows(pass, routing, e) : pass; };
  return {of(slots.x), of(slots.dx), of(slots.tx), of(slots.tdx)};
}

template <class S, class Linear = LinearBlock<S>, class NormKind = NormBlock<S>>
struct ExpertMlp {
  using A = LayerActs<S>;
  struct Expert {
    Linear gate, up, down;
  };

  NormKind norm;
  Block<S> A::*stream = &A::mid;  ///< what the norm reads: mid, or `in` with parallel residuals
  Linear router;
  Gates gates = Gates::probability;
  std::vector<Expert> experts;

  /// norm2 and the routing from the stream; the rows of norm2 that each expert reads.
  template <class P, class Visit>
  void forward_in(const P& p, A& a, const Visit& visit) const {
    norm.forward(p, a.norm2, a.stat2, a.*stream);                                          // F1
    router.forward(p, a.router_logits, a.norm2);                                           // F2
    router_forward<S>(a.router_probs, a.expert_gates, a.routing, a.router_logits, gates);  // F3
    gather_forward<S>(a.routed, a.norm2, a.routing);                                       // F4
    visit.input(LinearInput::mlp, a.routed);
  }
  /// act from routed.
  template <class P, class Visit>
  void forward_to_output(const P& p, const A& a, const Turns<S>& turns, const Visit& visit) const {
    for_experts([&](const Expert& own, Index e) {
      const Block<S> in = expert_rows(a.routed, a.routing, e);
      own.gate.forward(p, expert_rows(a.gate, a.routing, e), in);  // F5
      own.up.forward(p, expert_rows(a.up, a.routing, e), in);      // F6
    });
    swiglu_forward<S>(a.act.data, a.gate.data, a.up.data, a.act.size());  // F7
    turns.mlp(a.act, Turn::forward);                                      // F8
    visit.input(LinearInput::mlp_output, a.act);
  }
  /// out from mid and act.
  template <class P>
  void forward_out(const P& p, const A& a) const {
    for_experts([&](const Expert& own, Index e) {
      own.down.forward(p, expert_rows(a.expert_out, a.routing, e), expert_rows(a.act, a.routing, e));  // F9
    });
    a.out.view() = a.mid.view();                                         // F10
    combine_forward<S>(a.out, a.expert_gates, a.expert_out, a.routing);  // F11
  }
  template <class P, class Visit>
  void forward(const P& p, A& a, const Turns<S>& turns, const Visit& visit) const {
    forward_in(p, a, visit);
    forward_to_output(p, a, turns, visit);
    forward_out(p, a);
  }

  /// Adds to stream.dx what comes by the branch; the residual, B10 from F10, is the caller's: mid.dx = out.dx beforehand.
  /// expects  router_probs.dx holds the adjoint of the probabilities by the load-balance loss, or 0
  void backward(const ParamVectors<S>& p, const LayerSlots<S>& s, const Turns<S>& turns) const {
    const A &a = *s.x, &d = *s.dx;
    const Slot<S> norm2 = s[&A::norm2], routed = s[&A::routed], g = s[&A::gate], u = s[&A::up], act = s[&A::act];
    const Slot<S> expert_out = s[&A::expert_out];
    const auto rows = [&](const Slot<S>& slots, Index e) { return expert_rows(slots, a.routing, e); };
    combine_backward<S>(d.expert_gates, d.expert_out, d.out, a.expert_gates, a.expert_out, a.routing);  // B11 from F11
    for_experts([&](const Expert& own, Index e) {
      own.down.backward(p, rows(expert_out, e), rows(act, e));  // B9 from F9
    });
    pass_through<S>(act.dx, a.down_mask);
    turns.mlp(act.dx, Turn::inverse);                                                         // B8 from F8
    swiglu_backward<S>(g.dx.data, u.dx.data, act.dx.data, g.x.data, u.x.data, act.x.size());  // B7 from F7
    for_experts([&](const Expert& own, Index e) {
      own.gate.backward(p, rows(g, e), rows(routed, e));            // B5 from F5
      own.up.backward(p, rows(u, e), rows(routed, e), Write::add);  // B6 from F6
    });
    pass_through<S>(routed.dx, a.norm2_mask);
    gather_backward<S>(norm2.dx, routed.dx, a.routing);  // B4 from F4
    router_backward<S>(d.router_logits, d.router_probs, d.expert_gates, a.router_probs, a.expert_gates, a.routing,
                       gates);                                    // B3 from F3
    router.backward(p, s[&A::router_logits], norm2, Write::add);  // B2 from F2
    norm.backward(p, norm2, s[&A::stat2], s[stream]);             // B1 from F1
  }

  /// out.tx, residual and all.
  void tforward(const ParamVectors<S>& p, const LayerSlots<S>& s, const Turns<S>& turns) const {
    const A &a = *s.x, &t = *s.tx;
    const Slot<S> norm2 = s[&A::norm2], routed = s[&A::routed], g = s[&A::gate], u = s[&A::up], act = s[&A::act];
    const Slot<S> expert_out = s[&A::expert_out];
    const auto rows = [&](const Slot<S>& slots, Index e) { return expert_rows(slots, a.routing, e); };
    norm.tforward(p, norm2, s[&A::stat2], s[stream]);  // R F1
    router.tforward(p, s[&A::router_logits], norm2);   // R F2
    router_tforward<S>(t.router_probs, t.expert_gates, t.router_logits, a.router_probs, a.expert_gates, a.routing,
                       gates);                        // R F3
    gather_forward<S>(t.routed, t.norm2, a.routing);  // R F4
    for_experts([&](const Expert& own, Index e) {
      own.gate.tforward(p, rows(g, e), rows(routed, e));  // R F5
      own.up.tforward(p, rows(u, e), rows(routed, e));    // R F6
    });
    swiglu_tforward<S>(act.tx.data, g.tx.data, u.tx.data, g.x.data, u.x.data, act.x.size());  // R F7
    turns.mlp(act.tx, Turn::forward);                                                         // R F8
    for_experts([&](const Expert& own, Index e) {
      own.down.tforward(p, rows(expert_out, e), rows(act, e));  // R F9
    });
    t.out.view() = t.mid.view();                                                                        // R F10
    combine_tforward<S>(t.out, t.expert_gates, t.expert_out, a.expert_gates, a.expert_out, a.routing);  // R F11
  }

  /// As backward: mid.tdx = out.tdx beforehand.
  void tbackward(const ParamVectors<S>& p, const LayerSlots<S>& s, const Turns<S>& turns) const {
    const A &a = *s.x, &d = *s.dx, &t = *s.tx, &td = *s.tdx;
    const Slot<S> norm2 = s[&A::norm2], routed = s[&A::routed], g = s[&A::gate], u = s[&A::up], act = s[&A::act];
    const Slot<S> expert_out = s[&A::expert_out];
    const auto rows = [&](const Slot<S>& slots, Index e) { return expert_rows(slots, a.routing, e); };
    combine_tbackward<S>(td.expert_gates, td.expert_out, td.out, d.out, t.expert_gates, t.expert_out, a.expert_gates,
                         a.expert_out, a.routing);  // R B11
    for_experts([&](const Expert& own, Index e) {
      own.down.tbackward(p, rows(expert_out, e), rows(act, e));  // R B9
    });
    turns.mlp(act.tdx, Turn::inverse);  // R B8
    swiglu_tbackward<S>(g.tdx.data, u.tdx.data, act.tdx.data, act.dx.data, g.tx.data, u.tx.data, g.x.data, u.x.data,
                        act.x.size());  // R B7
    for_experts([&](const Expert& own, Index e) {
      own.gate.tbackward(p, rows(g, e), rows(routed, e));            // R B5
      own.up.tbackward(p, rows(u, e), rows(routed, e), Write::add);  // R B6
    });
    gather_backward<S>(norm2.tdx, routed.tdx, a.routing);  // R B4
    const RouterState<S> state{a.router_probs, a.expert_gates, d.router_probs,
                               d.expert_gates, t.router_probs, t.expert_gates};
    router_tbackward<S>(td.router_logits, td.expert_gates, state, a.routing, gates);  // R B3
    router.tbackward(p, s[&A::router_logits], norm2, Write::add);                     // R B2
    norm.tbackward(p, norm2, s[&A::stat2], s[stream]);                                // R B1
  }

 private:
  template <class Body>
  void for_experts(Body&& body) const {
    for (size_t e = 0; e < experts.size(); ++e) body(experts[e], Index(e));
  }
};

}  // namespace hone
