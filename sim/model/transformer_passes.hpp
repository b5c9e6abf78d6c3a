// Definitions of the transformer's passes for any scalar. float and double are compiled once each
// (transformer_float.cpp, transformer_double.cpp); the tests add dual numbers.
// The residual stream enters layer l as layers[l].in; the entry after the last layer holds only the final stream.
#pragma once

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/layers/activation.hpp"
#include "sim/layers/embedding.hpp"
#include "sim/layers/linear.hpp"
#include "sim/layers/loss.hpp"
#include "sim/layers/norm.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

template <class S>
template <class Visit>
void TransformerActs<S>::visit_blocks(const TransformerOptions& o, Visit&& visit) {
  const Index rows = sequences * o.positions, query = o.heads * o.head_width(), kv = o.kv_heads * o.head_width();
  const Index stats = o.norm == Norm::layer ? 2 : 1;
  for (Layer& l : layers) {
    visit(l.in, rows, o.width);
    if (&l == &layers.back()) break;
    visit(l.norm1, rows, o.width), visit(l.stat1, stats, rows);
    visit(l.q, rows, query), visit(l.k, rows, kv), visit(l.v, rows, kv);
    visit(l.att, sequences * o.heads * o.positions, o.positions);
    visit(l.o, rows, query), visit(l.mid, rows, o.width);
    visit(l.norm2, rows, o.width), visit(l.stat2, stats, rows);
    const Index slots = o.experts > 0 ? rows * o.experts_per_token : rows;
    visit(l.gate, slots, o.mlp_width), visit(l.act, slots, o.mlp_width);
    if (o.mlp == MlpKind::swiglu) visit(l.up, slots, o.mlp_width);
    if (o.experts > 0) {
      visit(l.router_logits, rows, o.experts), visit(l.router_probs, rows, o.experts);
      visit(l.expert_gates, rows, o.experts_per_token);
      visit(l.routed, slots, o.width), visit(l.expert_out, slots, o.width);
    }
    if (!o.sub_norms) continue;
    visit(l.o_norm, rows, query), visit(l.o_stat, stats, rows);
    visit(l.act_norm, rows, o.mlp_width), visit(l.act_stat, stats, rows);
  }
  visit(norm, rows, o.width), visit(stat, stats, rows);
  visit(logits, rows, o.vocabulary), visit(probs, rows, o.vocabulary), visit(row_loss, rows, 1);
  visit(scratch, 2 * attention_block, o.positions);
}

template <class S>
TransformerActs<S>::TransformerActs(const TransformerOptions& o, Index sequence_count) : sequences(sequence_count) {
  layers.resize(static_cast<size_t>(o.layers) + 1);
  inputs.resize(static_cast<size_t>(sequences * o.positions));
  targets.resize(inputs.size());
  Index need = 0;
  visit_blocks(o, [&](Block<S>&, Index rows, Index cols) { need += Workspace<S>::padded(rows * cols); });
  memory_ = std::make_unique<Workspace<S>>(need);
  visit_blocks(o, [&](Block<S>& b, Index rows, Index cols) { b = {memory_->take(rows, cols).data(), rows, cols}; });
  if (o.experts > 0)
    for (Layer& l : layers) l.routing = Routing(sequences * o.positions, o.positions, o.experts, o.experts_per_token);
}

template <class S>
void TransformerActs<S>::reserve_masks() {
  if (masks_) return;
  const auto visit_masks = [&](auto&& visit) {
    for (size_t i = 0; i + 1 < layers.size(); ++i) {
      Layer& l = layers[i];
      visit(l.norm1_mask, l.norm1), visit(l.k_mask, l.k), visit(l.v_mask, l.v), visit(l.wo_mask, l.wo_input());
      visit(l.norm2_mask, l.mlp_input()), visit(l.down_mask, l.down_input());
    }
  };
  Index need = 0;
  visit_masks([&](Block<S>&, const Block<S>& like) { need += Workspace<S>::padded(like.size()); });
  masks_ = std::make_unique<Workspace<S>>(need);
  visit_masks([&](Block<S>& mask, const Block<S>& like) {
    mask = {masks_->take(like.rows, like.cols).data(), like.rows, like.cols};
  });
}

/// The gradient of a quantized site by its straight-through estimator.
template <class S>
void pass_through(Block<S> gradient, Block<S> mask) {
  if (mask.data) gradient.view().array() *= mask.view().array();
}

template <class S>
Transformer<S>::Transformer(const TransformerOptions& options) : options_(options) {
  options_.validate();
  layout_ = options_.layout();
  map_blocks();
  if (options_.position != Positions::learned)
    rope_.emplace(options_.positions, options_.head_width(), options_.rope_base,
                  options_.position == Positions::rope_half ? RopePairing::half : RopePairing::interleaved,
                  options_.rotary_width);
  if (options_.rotations.heads) heads_table_.emplace(options_.heads);
  if (options_.rotations.mlp) mlp_table_.emplace(options_.mlp_width);
  if (options_.rotations.qk) qk_table_.emplace(options_.head_width());
}

template <class S>
void Transformer<S>::map_blocks() {
  const auto find = [&](const std::string& name) {
    for (size_t i = 0; i < layout_.blocks().size(); ++i)
      if (layout_.blocks()[i].name == name) return static_cast<int>(i);
    return -1;
  };
  embedding_ = find("tok_emb.weight");
  position_ = find("pos_emb.weight");
  norm_ = find("final_norm.weight");
  norm_bias_ = find("final_norm.bias");
  head_ = options_.head == Head::tied ? embedding_ : find("head.weight");
  head_bias_ = find("head.bias");
  for (Index l = 0; l < options_.layers; ++l) {
    const auto in = [&](const char* name) { return find(fmt::format("layers.{}.{}", l, name)); };
    layers_.push_back({in("attn_norm.weight"),
                       in("attn_norm.bias"),
                       in("wq"),
                       in("bq"),
                       in("wk"),
                       in("bk"),
                       in("wv"),
                       in("bv"),
                       in("wo"),
                       in("bo"),
                       in("mlp_norm.weight"),
                       in("mlp_norm.bias"),
                       in("w_gate"),
                       in("w_up"),
                       in("b_up"),
                       in("w_down"),
                       in("b_down"),
                       in("wo_norm.weight"),
                       in("down_norm.weight"),
                       in("router")});
    for (Index e = 0; e < options_.experts; ++e) {
      const auto of = [&](const char* name) { return find(fmt::format("layers.{}.experts.{}.{}", l, e, name)); };
      layers_.back().experts.push_back({of("w_gate"), of("w_up"), of("b_up"), of("w_down"), of("b_down")});
    }
  }
}

template <class S>
void Transformer<S>::check(const Data& data) const {
  if (data.positions != options_.positions)
    throw OptionError(fmt::format("data has sequences of {} tokens, the model's context is {}; set both alike",
                                  data.positions, options_.positions));
  const auto top = std::max_element(data.tokens.begin(), data.tokens.end());
  if (top != data.tokens.end() && *top >= options_.vocabulary)
    throw OptionError(fmt::format("data holds token {}, the model's vocabulary is {}; use the data's tokenizer", *top,
                                  options_.vocabulary));
}

template <class S>
AttentionShape Transformer<S>::attention_shape(Index sequences) const {
  return {sequences, options_.positions, options_.heads, options_.kv_heads, options_.head_width()};
}

template <class S>
void Transformer<S>::turn_site(Block<S> site, const std::optional<HadamardTable<S>>& table, Index channels,
                               Turn turn) const {
  if (table) hadamard_rotate<S>(site, *table, channels, turn);
}

template <class S>
void Transformer<S>::turn_queries_keys(Block<S> q, Block<S> k, Turn turn) const {
  for (const Block<S>& heads : {q, k}) {
    if (turn == Turn::inverse) turn_site(heads, qk_table_, 1, turn);
    if (rope_) rope_rotate<S>(heads, *rope_, turn);
    if (turn == Turn::forward) turn_site(heads, qk_table_, 1, turn);
  }
}

template <class S>
void Transformer<S>::norm_forward(Block<S> y, Block<S> stat, Block<S> x, const S* theta, int w, int b) const {
  if (options_.norm == Norm::rms)
    rmsnorm_forward<S>(y, stat.data, x, at(theta, w), options_.norm_eps);
  else
    layernorm_forward<S>(y, stat.data + x.rows, stat.data, x, at(theta, w), at(theta, b), options_.norm_eps);
}

template <class S>
void Transformer<S>::norm_backward(Block<S> dx, Block<S> dy, Block<S> x, Block<S> stat, const S* theta, S* dtheta,
                                   int w, int b) const {
  if (options_.norm == Norm::rms)
    rmsnorm_backward<S>(dx, at(dtheta, w), dy, x, stat.data, at(theta, w));
  else
    layernorm_backward<S>(dx, at(dtheta, w), at(dtheta, b), dy, x, stat.data + x.rows, stat.data, at(theta, w));
}

template <class S>
void Transformer<S>::norm_tforward(Block<S> ty, Block<S> tstat, Block<S> tx, Block<S> x, Block<S> stat, const S* theta,
                                   const S* ttheta, int w, int b) const {
  if (options_.norm == Norm::rms)
    rmsnorm_tforward<S>(ty, tstat.data, tx, x, stat.data, at(theta, w), at(ttheta, w));
  else
    layernorm_tforward<S>(ty, tstat.data + x.rows, tstat.data, tx, x, stat.data + x.rows, stat.data, at(theta, w),
                          at(ttheta, w), at(ttheta, b));
}

template <class S>
void Transformer<S>::norm_tbackward(Block<S> tdx, Block<S> tdy, Block<S> dy, Block<S> tx, Block<S> x, Block<S> tstat,
                                    Block<S> stat, const S* theta, const S* ttheta, S* tdtheta, int w, int b) const {
  if (options_.norm == Norm::rms)
    rmsnorm_tbackward<S>(tdx, at(tdtheta, w), tdy, dy, tx, x, tstat.data, stat.data, at(theta, w), at(ttheta, w));
  else
    layernorm_tbackward<S>(tdx, at(tdtheta, w), at(tdtheta, b), tdy, dy, tx, x, tstat.data + x.rows, tstat.data,
                           stat.data + x.rows, stat.data, at(theta, w), at(ttheta, w));
}

template <class S>
void Transformer<S>::embed(const S* theta, const Data& data, Index first, Acts& x) const {
  const Index positions = options_.positions;
  for (Index b = 0; b < x.sequences; ++b) {
    const std::uint16_t* sequence = data.tokens.data() + (first + b) * (positions + 1);
    std::copy_n(sequence, positions, x.inputs.begin() + b * positions);
    std::copy_n(sequence + 1, positions, x.targets.begin() + b * positions);
  }
  embedding_forward<S>(x.layers[0].in, x.inputs.data(), mat(theta, embedding_), at(theta, position_), positions);
}

template <class S>
double Transformer<S>::forward(const S* theta, const Data& data, Index first, Acts& x,
                               const Precision& precision) const {
  if (precision.ste != SteKind::identity) x.reserve_masks();
  embed(theta, data, first, x);
  for (int l = 0; l < int(options_.layers); ++l) layer_forward(theta, l, x, precision);
  norm_forward(x.norm, x.stat, x.layers.back().in, theta, norm_, norm_bias_);
  linear_forward<S>(x.logits, x.norm, mat(theta, head_), at(theta, head_bias_));
  return softmax_xent_forward<S>(x.probs, x.row_loss.data, x.logits, x.targets.data());
}

template <class S>
void Transformer<S>::layer_forward(const S* theta, int layer, Acts& x, const Precision& precision) const {
  for (const LinearInput input : linear_inputs) forward_to(input, theta, layer, x, precision);
  forward_out(theta, layer, x);
}

template <class S>
void Transformer<S>::forward_to(LinearInput input, const S* theta, int layer, Acts& x,
                                const Precision& precision) const {
  switch (input) {
    case LinearInput::attention: return forward_to_attention(theta, layer, x, precision);
    case LinearInput::attention_output: return forward_to_attention_output(theta, layer, x, precision);
    case LinearInput::mlp: return forward_to_mlp(theta, layer, x, precision);
    case LinearInput::mlp_output: return forward_to_mlp_output(theta, layer, x, precision);
  }
}

template <class S>
void Transformer<S>::quantize_site(Block<S> site, Block<S> mask, const Quantizer& q, SteKind ste) const {
  if (mask.data) mask.view().setOnes();
  if (!q.is_on() || !site.view().allFinite()) return;  // what is not finite shows in the loss
  if (mask.data) apply_ste_mask<S>(mask, site, q, ste, options_.positions);
  fake_quantize<S>(site, q, options_.positions);
}

template <class S>
void Transformer<S>::quantize_input(Block<S> site, Block<S> mask, int layer, LinearInput input,
                                    const Precision& precision) const {
  const auto& fixed = precision.activation_ranges;
  if (fixed.empty()) return quantize_site(site, mask, precision.activation, precision.ste);
  EXPECTS(fixed.size() == size_t(options_.layers) * std::size(linear_inputs), "{} fixed ranges for {} layers",
          fixed.size(), options_.layers);
  if (mask.data) mask.view().setOnes();
  const size_t number = size_t(layer) * std::size(linear_inputs) + size_t(input);
  if (site.view().allFinite()) fake_quantize_static<S>(site, fixed[number], precision.activation.rounding);
}

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
  const auto quantize_kv = [&](Block<S> block, Block<S> mask, Quantizer q) {
    if (q.granularity == Granularity::row) q.granularity = Granularity::group, q.group = options_.head_width();
    quantize_site(block, mask, q, precision.ste);
  };
  linear_forward<S>(a.q, a.norm1, mat(theta, p.wq), at(theta, p.bq));  // 2
  linear_forward<S>(a.k, a.norm1, mat(theta, p.wk), at(theta, p.bk));
  linear_forward<S>(a.v, a.norm1, mat(theta, p.wv), at(theta, p.bv));
  turn_queries_keys(a.q, a.k, Turn::forward);  // 3
  quantize_kv(a.k, a.k_mask, precision.key);
  quantize_kv(a.v, a.v_mask, precision.value);
  attention_forward<S>(a.o, a.att, a.q, a.k, a.v, attention_shape(x.sequences));  // 4
  turn_heads(a.o, Turn::forward);
  if (p.wo_norm >= 0) norm_forward(a.o_norm, a.o_stat, a.o, theta, p.wo_norm, -1);
  quantize_input(a.wo_input(), a.wo_mask, layer, LinearInput::attention_output, precision);
}

template <class S>
void Transformer<S>::forward_to_mlp(const S* theta, int layer, Acts& x, const Precision& precision) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  auto& a = x.layers[static_cast<size_t>(layer)];
  linear_forward<S>(a.mid, a.wo_input(), mat(theta, p.wo), at(theta, p.bo));  // 5
  a.mid.view() += a.in.view();
  norm_forward(a.norm2, a.stat2, is_parallel() ? a.in : a.mid, theta, p.norm2, p.norm2_bias);  // 6
  if (has_experts()) return route(theta, layer, x, precision);
  quantize_input(a.norm2, a.norm2_mask, layer, LinearInput::mlp, precision);
}

template <class S>
void Transformer<S>::backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const {
  softmax_xent_backward<S>(dx.logits, x.probs, x.targets.data(), weight);
  backward_to_inputs(theta, x, dx, dtheta, S(0));
}

template <class S>
void Transformer<S>::training_backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const {
  softmax_xent_backward<S>(dx.logits, x.probs, x.targets.data(), weight);
  backward_to_inputs(theta, x, dx, dtheta, weight * S(options_.load_balance));
}

template <class S>
void Transformer<S>::ggn_backward(const S* theta, const Acts& x, const Acts& tx, Acts& dx, S weight, S* gtheta) const {
  softmax_xent_tbackward<S>(dx.logits, tx.logits, x.probs, weight);
  backward_from_logits(theta, x, dx, gtheta);
}

template <class S>
void Transformer<S>::backward_from_logits(const S* theta, const Acts& x, Acts& dx, S* dtheta) const {
  backward_to_inputs(theta, x, dx, dtheta, S(0));
}

/// `balance` is the weight of the load-balance loss.
template <class S>
void Transformer<S>::backward_to_inputs(const S* theta, const Acts& x, Acts& dx, S* dtheta, S balance) const {
  linear_backward<S>(dx.norm, mat(dtheta, head_), at(dtheta, head_bias_), dx.logits, x.norm, mat(theta, head_));
  dx.layers.back().in.view().setZero();
  norm_backward(dx.layers.back().in, dx.norm, x.layers.back().in, x.stat, theta, dtheta, norm_, norm_bias_);
  for (int l = int(options_.layers) - 1; l >= 0; --l) layer_backward(theta, l, x, dx, dtheta, balance);
  embedding_backward<S>(mat(dtheta, embedding_), at(dtheta, position_), x.inputs.data(), dx.layers[0].in,
                        options_.positions);
}

template <class S>
void Transformer<S>::layer_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta, S balance) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& d = dx.layers[static_cast<size_t>(layer)];
  const Block<S> dout = dx.layers[static_cast<size_t>(layer) + 1].in;
  if (has_experts())
    experts_backward(theta, layer, x, dx, dtheta, balance);
  else
    mlp_backward(theta, layer, x, dx, dtheta);
  d.mid.view() = dout.view();
  if (!is_parallel()) norm_backward(d.mid, d.norm2, a.mid, a.stat2, theta, dtheta, p.norm2, p.norm2_bias);       // 6
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
  d.in.view() = d.mid.view();
  if (is_parallel()) norm_backward(d.in, d.norm2, a.in, a.stat2, theta, dtheta, p.norm2, p.norm2_bias);  // 6
  norm_backward(d.in, d.norm1, a.in, a.stat1, theta, dtheta, p.norm1, p.norm1_bias);                     // 1
}

template <class S>
void Transformer<S>::tforward(const S* theta, const S* ttheta, const Acts& x, Acts& tx) const {
  embedding_forward<S>(tx.layers[0].in, x.inputs.data(), mat(ttheta, embedding_), at(ttheta, position_),
                       options_.positions);
  for (int l = 0; l < int(options_.layers); ++l) layer_tforward(theta, ttheta, l, x, tx);
  norm_tforward(tx.norm, tx.stat, tx.layers.back().in, x.layers.back().in, x.stat, theta, ttheta, norm_, norm_bias_);
  linear_tforward<S>(tx.logits, tx.norm, x.norm, mat(theta, head_), mat(ttheta, head_), at(ttheta, head_bias_));
}

template <class S>
void Transformer<S>::layer_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  auto& t = tx.layers[static_cast<size_t>(layer)];
  Block<S> tout = tx.layers[static_cast<size_t>(layer) + 1].in;
  const auto linear = [&](Block<S> ty, Block<S> tin, Block<S> in, int w, int b) {
    linear_tforward<S>(ty, tin, in, mat(theta, w), mat(ttheta, w), at(ttheta, b));
  };
  norm_tforward(t.norm1, t.stat1, t.in, a.in, a.stat1, theta, ttheta, p.norm1, p.norm1_bias);  // 1
  linear(t.q, t.norm1, a.norm1, p.wq, p.bq);                                                   // 2
  linear(t.k, t.norm1, a.norm1, p.wk, p.bk);
  linear(t.v, t.norm1, a.norm1, p.wv, p.bv);
  turn_queries_keys(t.q, t.k, Turn::forward);                                                            // 3
  attention_tforward<S>(t.o, t.att, t.q, t.k, t.v, a.att, a.q, a.k, a.v, attention_shape(x.sequences));  // 4
  turn_heads(t.o, Turn::forward);
  if (p.wo_norm >= 0) norm_tforward(t.o_norm, t.o_stat, t.o, a.o, a.o_stat, theta, ttheta, p.wo_norm, -1);
  linear(t.mid, t.wo_input(), a.wo_input(), p.wo, p.bo);  // 5
  t.mid.view() += t.in.view();
  norm_tforward(t.norm2, t.stat2, is_parallel() ? t.in : t.mid, is_parallel() ? a.in : a.mid, a.stat2, theta, ttheta,
                p.norm2, p.norm2_bias);  // 6
  if (has_experts())
    experts_tforward(theta, ttheta, layer, x, tx);
  else
    mlp_tforward(theta, ttheta, layer, x, tx);
}

template <class S>
void Transformer<S>::tbackward(const S* theta, const S* ttheta, const Acts& x, const Acts& dx, const Acts& tx,
                               Acts& tdx, S weight, S* tdtheta) const {
  softmax_xent_tbackward<S>(tdx.logits, tx.logits, x.probs, weight);
  linear_tbackward<S>(tdx.norm, mat(tdtheta, head_), at(tdtheta, head_bias_), tdx.logits, dx.logits, tx.norm, x.norm,
                      mat(theta, head_), mat(ttheta, head_));
  tdx.layers.back().in.view().setZero();
  norm_tbackward(tdx.layers.back().in, tdx.norm, dx.norm, tx.layers.back().in, x.layers.back().in, tx.stat, x.stat,
                 theta, ttheta, tdtheta, norm_, norm_bias_);
  for (int l = int(options_.layers) - 1; l >= 0; --l) layer_tbackward(theta, ttheta, l, x, dx, tx, tdx, tdtheta);
  embedding_backward<S>(mat(tdtheta, embedding_), at(tdtheta, position_), x.inputs.data(), tdx.layers[0].in,
                        options_.positions);
}

template <class S>
void Transformer<S>::layer_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx,
                                     const Acts& tx, Acts& tdx, S* tdtheta) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  const auto& a = x.layers[static_cast<size_t>(layer)];
  const auto& d = dx.layers[static_cast<size_t>(layer)];
  const auto& t = tx.layers[static_cast<size_t>(layer)];
  auto& td = tdx.layers[static_cast<size_t>(layer)];
  const Block<S> dout = dx.layers[static_cast<size_t>(layer) + 1].in;
  const Block<S> tdout = tdx.layers[static_cast<size_t>(layer) + 1].in;
  const auto linear = [&](Block<S> tdin, Block<S> tdy, Block<S> dy, Block<S> tin, Block<S> in, int w, int b,
                          Write write = Write::assign) {
    linear_tbackward<S>(tdin, mat(tdtheta, w), at(tdtheta, b), tdy, dy, tin, in, mat(theta, w), mat(ttheta, w), write);
  };
  if (has_experts())
    experts_tbackward(theta, ttheta, layer, x, dx, tx, tdx, tdtheta);
  else
    mlp_tbackward(theta, ttheta, layer, x, dx, tx, tdx, tdtheta);
  td.mid.view() = tdout.view();
  if (!is_parallel())
    norm_tbackward(td.mid, td.norm2, d.norm2, t.mid, a.mid, t.stat2, a.stat2, theta, ttheta, tdtheta, p.norm2,
                   p.norm2_bias);                                                // 6
  linear(td.wo_input(), td.mid, d.mid, t.wo_input(), a.wo_input(), p.wo, p.bo);  // 5
  if (p.wo_norm >= 0) {
    td.o.view().setZero();
    norm_tbackward(td.o, td.o_norm, d.o_norm, t.o, a.o, t.o_stat, a.o_stat, theta, ttheta, tdtheta, p.wo_norm, -1);
  }
  turn_heads(td.o, Turn::inverse);
  attention_tbackward<S>(td.q, td.k, td.v, td.o, d.o, t.att, t.q, t.k, t.v, a.att, a.q, a.k, a.v, tdx.scratch,
                         attention_shape(x.sequences));       // 4
  turn_queries_keys(td.q, td.k, Turn::inverse);               // 3
  linear(td.norm1, td.q, d.q, t.norm1, a.norm1, p.wq, p.bq);  // 2
  linear(td.norm1, td.k, d.k, t.norm1, a.norm1, p.wk, p.bk, Write::add);
  linear(td.norm1, td.v, d.v, t.norm1, a.norm1, p.wv, p.bv, Write::add);
  td.in.view() = td.mid.view();
  if (is_parallel())
    norm_tbackward(td.in, td.norm2, d.norm2, t.in, a.in, t.stat2, a.stat2, theta, ttheta, tdtheta, p.norm2,
                   p.norm2_bias);  // 6
  norm_tbackward(td.in, td.norm1, d.norm1, t.in, a.in, t.stat1, a.stat1, theta, ttheta, tdtheta, p.norm1,
                 p.norm1_bias);  // 1
}

template <class S>
AlignedVector<S> Transformer<S>::initial_parameters(std::uint64_t seed) const {
  AlignedVector<S> theta(static_cast<size_t>(layout_.size()), S(0));
  const double residual = 1 / std::sqrt(2.0 * double(options_.layers));
  for (size_t number = 0; number < layout_.blocks().size(); ++number) {
    const ParamBlock& b = layout_.blocks()[number];
    const bool writes_stream = b.name.ends_with("wo") || b.name.ends_with("w_down");
    double sd = 1 / std::sqrt(double(b.cols)) * (writes_stream ? residual : 1);
    if (b.role == Role::head) sd = 0.02;
    const Stream stream{seed, Domain::init, static_cast<std::uint32_t>(number)};
    for (Index i = 0; i < b.size(); ++i) {
      if (b.role == Role::norm)
        theta[static_cast<size_t>(b.offset + i)] = S(b.name.ends_with("bias") ? 0.0 : 1.0);
      else if (b.role != Role::bias)
        theta[static_cast<size_t>(b.offset + i)] = S(sd * normal(stream, static_cast<std::uint64_t>(i)));
    }
  }
  return theta;
}

}  // namespace hone

#include "sim/model/transformer_experts.hpp"
#include "sim/model/transformer_mlp.hpp"
