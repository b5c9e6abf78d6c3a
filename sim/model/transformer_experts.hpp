// The second branch of a layer with experts: routing, the experts' SwiGLUs on the gathered tokens, and their sum weighted
// by the gates. The router reads the unquantized norm; activations are quantized per token where the experts read them.
// Included by transformer_passes.hpp only.
#pragma once

#include "sim/layers/kv_cache.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

template <class S>
S Transformer<S>::load_balance_loss(const Acts& x) const {
  S sum(0);
  if (!has_experts()) return sum;
  for (Index l = 0; l < options_.layers; ++l) {
    const auto& a = x.layers[static_cast<size_t>(l)];
    sum += hone::load_balance_loss<S>(a.router_probs, a.routing);
  }
  return S(options_.load_balance) * sum;
}

template <class S>
void Transformer<S>::route(const S* theta, int layer, Acts& x, const Precision& precision) const {
  const std::string problem = causality_problem(precision.activation, "activation");
  if (!problem.empty()) throw OptionError("experts: tokens are quantized one by one; " + problem);
  auto& a = x.layers[static_cast<size_t>(layer)];
  linear_forward<S>(a.router_logits, a.norm2, mat(theta, layers_[static_cast<size_t>(layer)].router), nullptr);
  router_forward<S>(a.router_probs, a.expert_gates, a.routing, a.router_logits, options_.gates);
  gather_forward<S>(a.routed, a.norm2, a.routing);
  quantize_input(a.routed, a.norm2_mask, layer, LinearInput::mlp, precision);
}

template <class S>
void Transformer<S>::experts_forward(const S* theta, int layer, Acts& x) const {
  auto& a = x.layers[static_cast<size_t>(layer)];
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& p = layers_[static_cast<size_t>(layer)].experts[static_cast<size_t>(e)];
    const Block<S> in = expert_rows(a.routed, a.routing, e);
    linear_forward<S>(expert_rows(a.gate, a.routing, e), in, mat(theta, p.gate), nullptr);
    linear_forward<S>(expert_rows(a.up, a.routing, e), in, mat(theta, p.up), at(theta, p.up_bias));
  }
  swiglu_forward<S>(a.act.data, a.gate.data, a.up.data, a.act.size());
}

template <class S>
void Transformer<S>::experts_forward_out(const S* theta, int layer, Acts& x) const {
  auto& a = x.layers[static_cast<size_t>(layer)];
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& p = layers_[static_cast<size_t>(layer)].experts[static_cast<size_t>(e)];
    linear_forward<S>(expert_rows(a.expert_out, a.routing, e), expert_rows(a.act, a.routing, e), mat(theta, p.down),
                      at(theta, p.down_bias));
  }
  Block<S> out = x.layers[static_cast<size_t>(layer) + 1].in;
  out.view() = a.mid.view();
  combine_forward<S>(out, a.expert_gates, a.expert_out, a.routing);
}

template <class S>
void Transformer<S>::experts_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta, S balance) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& d = dx.layers[static_cast<size_t>(layer)];
  const Block<S> dout = dx.layers[static_cast<size_t>(layer) + 1].in;
  combine_backward<S>(d.expert_gates, d.expert_out, dout, a.expert_gates, a.expert_out, a.routing);
  const auto linear = [&](Block<S> din, Block<S> dy, Block<S> in, Index e, int w, int b, Write write = Write::assign) {
    linear_backward<S>(expert_rows(din, a.routing, e), mat(dtheta, w), at(dtheta, b), expert_rows(dy, a.routing, e),
                       expert_rows(in, a.routing, e), mat(theta, w), write);
  };
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& own = p.experts[static_cast<size_t>(e)];
    linear(d.act, d.expert_out, a.act, e, own.down, own.down_bias);
  }
  pass_through<S>(d.act, a.down_mask);
  turn_mlp(d.act, Turn::inverse);
  swiglu_backward<S>(d.gate.data, d.up.data, d.act.data, a.gate.data, a.up.data, a.act.size());
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& own = p.experts[static_cast<size_t>(e)];
    linear(d.routed, d.gate, a.routed, e, own.gate, -1);
    linear(d.routed, d.up, a.routed, e, own.up, own.up_bias, Write::add);
  }
  pass_through<S>(d.routed, a.norm2_mask);
  gather_backward<S>(d.norm2, d.routed, a.routing);
  load_balance_backward<S>(d.router_probs, a.routing, balance);
  router_backward<S>(d.router_logits, d.router_probs, d.expert_gates, a.router_probs, a.expert_gates, a.routing,
                     options_.gates);
  linear_backward<S>(d.norm2, mat(dtheta, p.router), nullptr, d.router_logits, a.norm2, mat(theta, p.router),
                     Write::add);
}

template <class S>
void Transformer<S>::experts_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& t = tx.layers[static_cast<size_t>(layer)];
  Block<S> tout = tx.layers[static_cast<size_t>(layer) + 1].in;
  const TangentLinears linears{*this, theta, ttheta};
  linears.forward(t.router_logits, t.norm2, a.norm2, p.router, -1);
  router_tforward<S>(t.router_probs, t.expert_gates, t.router_logits, a.router_probs, a.expert_gates, a.routing,
                     options_.gates);
  gather_forward<S>(t.routed, t.norm2, a.routing);
  const auto linear = [&](Block<S> ty, Block<S> tin, Block<S> in, Index e, int w, int b) {
    linears.forward(expert_rows(ty, a.routing, e), expert_rows(tin, a.routing, e), expert_rows(in, a.routing, e), w, b);
  };
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& own = p.experts[static_cast<size_t>(e)];
    linear(t.gate, t.routed, a.routed, e, own.gate, -1);
    linear(t.up, t.routed, a.routed, e, own.up, own.up_bias);
  }
  swiglu_tforward<S>(t.act.data, t.gate.data, t.up.data, a.gate.data, a.up.data, a.act.size());
  turn_mlp(t.act, Turn::forward);
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& own = p.experts[static_cast<size_t>(e)];
    linear(t.expert_out, t.act, a.act, e, own.down, own.down_bias);
  }
  tout.view() = t.mid.view();
  combine_tforward<S>(tout, t.expert_gates, t.expert_out, a.expert_gates, a.expert_out, a.routing);
}

template <class S>
void Transformer<S>::experts_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx,
                                       const Acts& tx, Acts& tdx, S* tdtheta) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  const auto& d = dx.layers[static_cast<size_t>(layer)];
  const auto& t = tx.layers[static_cast<size_t>(layer)];
  auto& td = tdx.layers[static_cast<size_t>(layer)];
  const TangentLinears linears{*this, theta, ttheta, tdtheta};
  combine_tbackward<S>(td.expert_gates, td.expert_out, tdx.layers[static_cast<size_t>(layer) + 1].in,
                       dx.layers[static_cast<size_t>(layer) + 1].in, t.expert_gates, t.expert_out, a.expert_gates,
                       a.expert_out, a.routing);
  const auto linear = [&](Block<S> tdin, Block<S> tdy, Block<S> dy, Block<S> tin, Block<S> in, Index e, int w, int b,
                          Write write = Write::assign) {
    const auto rows = [&](const Block<S>& block) { return expert_rows(block, a.routing, e); };
    linears.backward(rows(tdin), rows(tdy), rows(dy), rows(tin), rows(in), w, b, write);
  };
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& own = p.experts[static_cast<size_t>(e)];
    linear(td.act, td.expert_out, d.expert_out, t.act, a.act, e, own.down, own.down_bias);
  }
  turn_mlp(td.act, Turn::inverse);
  swiglu_tbackward<S>(td.gate.data, td.up.data, td.act.data, d.act.data, t.gate.data, t.up.data, a.gate.data, a.up.data,
                      a.act.size());
  for (Index e = 0; e < options_.experts; ++e) {
    const ExpertBlocks& own = p.experts[static_cast<size_t>(e)];
    linear(td.routed, td.gate, d.gate, t.routed, a.routed, e, own.gate, -1);
    linear(td.routed, td.up, d.up, t.routed, a.routed, e, own.up, own.up_bias, Write::add);
  }
  gather_backward<S>(td.norm2, td.routed, a.routing);
  const RouterState<S> state{a.router_probs, a.expert_gates, d.router_probs,
                             d.expert_gates, t.router_probs, t.expert_gates};
  router_tbackward<S>(td.router_logits, td.expert_gates, state, a.routing, options_.gates);
  linears.backward(td.norm2, td.router_logits, d.router_logits, t.norm2, a.norm2, p.router, -1, Write::add);
}

}  // namespace hone
