// The first branch of a layer: queries, keys and values from the norm, attention, and the way back to the residual stream.
// Included by transformer_passes.hpp only.
#pragma once

#include "sim/layers/kv_cache.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

template <class S>
void Transformer<S>::forward_to_attention(const S* theta, int layer, Acts& x, const Precision& precision) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  auto& a = x.layers[static_cast<size_t>(layer)];
  norm_forward(a.norm1, a.stat1, a.in, theta, p.norm1, p.norm1_bias);  // 1
  quantize_input(a.norm1, a.norm1_mask, layer, LinearInput::attention, precision);
}

template <class S>
void Transformer<S>::forward_to_attention_output(const S* theta, int layer, Acts& x, const Precision& precision) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  auto& a = x.layers[static_cast<size_t>(layer)];
  const auto quantize_kv = [&](Block<S> block, Block<S> mask, Quantizer q, const char* what) {
    const std::string problem = causality_problem(q, what);
    if (!problem.empty()) throw OptionError(problem);
    if (q.granularity == Granularity::row) q.granularity = Granularity::group, q.group = options_.head_width();
    quantize_site(block, mask, q, precision.ste);
  };
  linear_forward<S>(a.q, a.norm1, mat(theta, p.wq), at(theta, p.bq));  // 2
  linear_forward<S>(a.k, a.norm1, mat(theta, p.wk), at(theta, p.bk));
  linear_forward<S>(a.v, a.norm1, mat(theta, p.wv), at(theta, p.bv));
  turn_queries_keys(a.q, a.k, Turn::forward);  // 3
  quantize_kv(a.k, a.k_mask, precision.key, "key");
  quantize_kv(a.v, a.v_mask, precision.value, "value");
  attention_forward<S>(a.o, a.att, a.q, a.k, a.v, attention_shape(x.sequences));  // 4
  turn_heads(a.o, Turn::forward);
  if (p.wo_norm >= 0) norm_forward(a.o_norm, a.o_stat, a.o, theta, p.wo_norm, -1);
  quantize_input(a.wo_input(), a.wo_mask, layer, LinearInput::attention_output, precision);
}

/// From the adjoint of mid, without that of the residual stream, to that of norm1.
template <class S>
void Transformer<S>::attend_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& d = dx.layers[static_cast<size_t>(layer)];
  linear_backward<S>(d.wo_input(), mat(dtheta, p.wo), at(dtheta, p.bo), d.mid, a.wo_input(), mat(theta, p.wo));  // 5
  pass_through<S>(d.wo_input(), a.wo_mask);
  if (p.wo_norm >= 0) {
    d.o.view().setZero();
    norm_backward(d.o, d.o_norm, a.o, a.o_stat, theta, dtheta, p.wo_norm, -1);
  }
  turn_heads(d.o, Turn::inverse);
  attention_backward<S>(d.q, d.k, d.v, d.o, a.att, a.q, a.k, a.v, dx.scratch, attention_shape(x.sequences));  // 4
  pass_through<S>(d.k, a.k_mask), pass_through<S>(d.v, a.v_mask);
  turn_queries_keys(d.q, d.k, Turn::inverse);                                                        // 3
  linear_backward<S>(d.norm1, mat(dtheta, p.wq), at(dtheta, p.bq), d.q, a.norm1, mat(theta, p.wq));  // 2
  linear_backward<S>(d.norm1, mat(dtheta, p.wk), at(dtheta, p.bk), d.k, a.norm1, mat(theta, p.wk), Write::add);
  linear_backward<S>(d.norm1, mat(dtheta, p.wv), at(dtheta, p.bv), d.v, a.norm1, mat(theta, p.wv), Write::add);
  pass_through<S>(d.norm1, a.norm1_mask);
}

template <class S>
void Transformer<S>::attend_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& t = tx.layers[static_cast<size_t>(layer)];
  const TangentLinears linears{*this, theta, ttheta};
  linears.forward(t.q, t.norm1, a.norm1, p.wq, p.bq);  // 2
  linears.forward(t.k, t.norm1, a.norm1, p.wk, p.bk);
  linears.forward(t.v, t.norm1, a.norm1, p.wv, p.bv);
  turn_queries_keys(t.q, t.k, Turn::forward);                                                            // 3
  attention_tforward<S>(t.o, t.att, t.q, t.k, t.v, a.att, a.q, a.k, a.v, attention_shape(x.sequences));  // 4
  turn_heads(t.o, Turn::forward);
  if (p.wo_norm >= 0) norm_tforward(t.o_norm, t.o_stat, t.o, a.o, a.o_stat, theta, ttheta, p.wo_norm, -1);
  linears.forward(t.mid, t.wo_input(), a.wo_input(), p.wo, p.bo);  // 5
}

template <class S>
void Transformer<S>::attend_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx,
                                      const Acts& tx, Acts& tdx, S* tdtheta) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  const auto& d = dx.layers[static_cast<size_t>(layer)];
  const auto& t = tx.layers[static_cast<size_t>(layer)];
  auto& td = tdx.layers[static_cast<size_t>(layer)];
  const TangentLinears linears{*this, theta, ttheta, tdtheta};
  linears.backward(td.wo_input(), td.mid, d.mid, t.wo_input(), a.wo_input(), p.wo, p.bo);  // 5
  if (p.wo_norm >= 0) {
    td.o.view().setZero();
    norm_tbackward(td.o, td.o_norm, d.o_norm, t.o, a.o, t.o_stat, a.o_stat, theta, ttheta, tdtheta, p.wo_norm, -1);
  }
  turn_heads(td.o, Turn::inverse);
  attention_tbackward<S>(td.q, td.k, td.v, td.o, d.o, t.att, t.q, t.k, t.v, a.att, a.q, a.k, a.v, tdx.scratch,
                         attention_shape(x.sequences));                 // 4
  turn_queries_keys(td.q, td.k, Turn::inverse);                         // 3
  linears.backward(td.norm1, td.q, d.q, t.norm1, a.norm1, p.wq, p.bq);  // 2
  linears.backward(td.norm1, td.k, d.k, t.norm1, a.norm1, p.wk, p.bk, Write::add);
  linears.backward(td.norm1, td.v, d.v, t.norm1, a.norm1, p.wv, p.bv, Write::add);
}

}  // namespace hone
