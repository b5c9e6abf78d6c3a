// The second branch of a layer without experts: one MLP, gated or not.
// Included by transformer_passes.hpp only.
#pragma once

#include "sim/model/transformer.hpp"

namespace hone {

template <class S>
void Transformer<S>::forward_to_mlp_output(const S* theta, int layer, Acts& x, const Precision& precision) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  auto& a = x.layers[static_cast<size_t>(layer)];
  if (has_experts()) {
    experts_forward(theta, layer, x);
  } else if (options_.mlp == MlpKind::swiglu) {  // 7
    linear_forward<S>(a.gate, a.norm2, mat(theta, p.gate), nullptr);
    linear_forward<S>(a.up, a.norm2, mat(theta, p.up), at(theta, p.up_bias));
    swiglu_forward<S>(a.act.data, a.gate.data, a.up.data, a.act.size());
  } else {
    linear_forward<S>(a.gate, a.norm2, mat(theta, p.up), at(theta, p.up_bias));
    activation_forward<S>(a.act.data, a.gate.data, a.act.size(), activation_of(options_.mlp));
  }
  turn_mlp(a.act, Turn::forward);
  if (p.down_norm >= 0) norm_forward(a.act_norm, a.act_stat, a.act, theta, p.down_norm, -1);
  quantize_input(a.down_input(), a.down_mask, layer, LinearInput::mlp_output, precision);
}

template <class S>
void Transformer<S>::forward_out(const S* theta, int layer, Acts& x) const {
  if (has_experts()) return experts_forward_out(theta, layer, x);
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  Block<S> out = x.layers[static_cast<size_t>(layer) + 1].in;
  linear_forward<S>(out, a.down_input(), mat(theta, p.down), at(theta, p.down_bias));  // 8
  add_to<S>(out.data, a.mid.data, out.size());
}

template <class S>
void Transformer<S>::mlp_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& d = dx.layers[static_cast<size_t>(layer)];
  const Block<S> dout = dx.layers[static_cast<size_t>(layer) + 1].in;
  linear_backward<S>(d.down_input(), mat(dtheta, p.down), at(dtheta, p.down_bias), dout, a.down_input(),
                     mat(theta, p.down));  // 8
  pass_through<S>(d.down_input(), a.down_mask);
  if (p.down_norm >= 0) {
    d.act.view().setZero();
    norm_backward(d.act, d.act_norm, a.act, a.act_stat, theta, dtheta, p.down_norm, -1);
  }
  turn_mlp(d.act, Turn::inverse);
  if (options_.mlp == MlpKind::swiglu) {  // 7
    swiglu_backward<S>(d.gate.data, d.up.data, d.act.data, a.gate.data, a.up.data, a.act.size());
    linear_backward<S>(d.norm2, mat(dtheta, p.gate), nullptr, d.gate, a.norm2, mat(theta, p.gate));
    linear_backward<S>(d.norm2, mat(dtheta, p.up), at(dtheta, p.up_bias), d.up, a.norm2, mat(theta, p.up), Write::add);
  } else {
    activation_backward<S>(d.gate.data, d.act.data, a.gate.data, a.act.size(), activation_of(options_.mlp));
    linear_backward<S>(d.norm2, mat(dtheta, p.up), at(dtheta, p.up_bias), d.gate, a.norm2, mat(theta, p.up));
  }
  pass_through<S>(d.norm2, a.norm2_mask);
}

template <class S>
void Transformer<S>::mlp_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& t = tx.layers[static_cast<size_t>(layer)];
  Block<S> tout = tx.layers[static_cast<size_t>(layer) + 1].in;
  const TangentLinears linears{*this, theta, ttheta};
  if (options_.mlp == MlpKind::swiglu) {  // 7
    linears.forward(t.gate, t.norm2, a.norm2, p.gate, -1);
    linears.forward(t.up, t.norm2, a.norm2, p.up, p.up_bias);
    swiglu_tforward<S>(t.act.data, t.gate.data, t.up.data, a.gate.data, a.up.data, a.act.size());
  } else {
    linears.forward(t.gate, t.norm2, a.norm2, p.up, p.up_bias);
    activation_tforward<S>(t.act.data, t.gate.data, a.gate.data, a.act.size(), activation_of(options_.mlp));
  }
  turn_mlp(t.act, Turn::forward);
  if (p.down_norm >= 0) norm_tforward(t.act_norm, t.act_stat, t.act, a.act, a.act_stat, theta, ttheta, p.down_norm, -1);
  linears.forward(tout, t.down_input(), a.down_input(), p.down, p.down_bias);  // 8
  add_to<S>(tout.data, t.mid.data, tout.size());
}

template <class S>
void Transformer<S>::mlp_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx,
                                   const Acts& tx, Acts& tdx, S* tdtheta) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  const auto& d = dx.layers[static_cast<size_t>(layer)];
  const auto& t = tx.layers[static_cast<size_t>(layer)];
  auto& td = tdx.layers[static_cast<size_t>(layer)];
  const Block<S> dout = dx.layers[static_cast<size_t>(layer) + 1].in;
  const Block<S> tdout = tdx.layers[static_cast<size_t>(layer) + 1].in;
  const TangentLinears linears{*this, theta, ttheta, tdtheta};
  linears.backward(td.down_input(), tdout, dout, t.down_input(), a.down_input(), p.down, p.down_bias);  // 8
  if (p.down_norm >= 0) {
    td.act.view().setZero();
    norm_tbackward(td.act, td.act_norm, d.act_norm, t.act, a.act, t.act_stat, a.act_stat, theta, ttheta, tdtheta,
                   p.down_norm, -1);
  }
  turn_mlp(td.act, Turn::inverse);
  if (options_.mlp == MlpKind::swiglu) {  // 7
    swiglu_tbackward<S>(td.gate.data, td.up.data, td.act.data, d.act.data, t.gate.data, t.up.data, a.gate.data,
                        a.up.data, a.act.size());
    linears.backward(td.norm2, td.gate, d.gate, t.norm2, a.norm2, p.gate, -1);
    linears.backward(td.norm2, td.up, d.up, t.norm2, a.norm2, p.up, p.up_bias, Write::add);
  } else {
    activation_tbackward<S>(td.gate.data, td.act.data, d.act.data, t.gate.data, a.gate.data, a.act.size(),
                            activation_of(options_.mlp));
    linears.backward(td.norm2, td.gate, d.gate, t.norm2, a.norm2, p.up, p.up_bias);
  }
}

}  // namespace hone
