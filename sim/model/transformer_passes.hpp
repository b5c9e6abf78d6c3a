// Definitions of the transformer's passes for any scalar. float and double are compiled once each
// (transformer_float.cpp, transformer_double.cpp); the tests add dual numbers.
// The residual stream enters layer l as layers[l].in; the entry after the last layer holds only the final stream.
#pragma once

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/vector_ops.hpp"
#include "sim/layers/activation.hpp"
#include "sim/layers/embedding.hpp"
#include "sim/layers/linear.hpp"
#include "sim/layers/loss.hpp"
#include "sim/layers/norm.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

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
                  options_.rotary_width, options_.rope_scaling);
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
  if (!q.is_on() || !site.view().allFinite()) return;  // non-finite values are left; the loss becomes NaN
  if (mask.data) apply_ste_mask<S>(mask, site, q, ste, options_.positions);
  fake_quantize<S>(site, q, options_.positions);
}

template <class S>
void Transformer<S>::quantize_input(Block<S> site, Block<S> mask, int layer, LinearInput input,
                                    const Precision& precision) const {
  if (precision.activation.is_on() && precision.activation.rounding == Rounding::stochastic)
    throw OptionError(
        "activation.rounding = 'stochastic' would draw the same numbers at every site and in every chunk; use "
        "'nearest_even'");
  const auto& fixed = precision.activation_ranges;
  if (fixed.empty()) return quantize_site(site, mask, precision.activation, precision.ste);
  EXPECTS(fixed.size() == size_t(options_.layers) * std::size(linear_inputs), "{} fixed ranges for {} layers",
          fixed.size(), options_.layers);
  if (mask.data) mask.view().setOnes();
  const size_t number = size_t(layer) * std::size(linear_inputs) + size_t(input);
  if (site.view().allFinite()) fake_quantize_static<S>(site, fixed[number], precision.activation.rounding);
}

template <class S>
void Transformer<S>::forward_to_mlp(const S* theta, int layer, Acts& x, const Precision& precision) const {
  const LayerBlocks& p = layers_[static_cast<size_t>(layer)];
  auto& a = x.layers[static_cast<size_t>(layer)];
  linear_forward<S>(a.mid, a.wo_input(), mat(theta, p.wo), at(theta, p.bo));  // 5
  add_to<S>(a.mid.data, a.in.data, a.mid.size());
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
  if (!is_parallel()) norm_backward(d.mid, d.norm2, a.mid, a.stat2, theta, dtheta, p.norm2, p.norm2_bias);  // 6
  attend_backward(theta, layer, x, dx, dtheta);
  d.in.view() = d.mid.view();
  if (is_parallel()) norm_backward(d.in, d.norm2, a.in, a.stat2, theta, dtheta, p.norm2, p.norm2_bias);  // 6
  norm_backward(d.in, d.norm1, a.in, a.stat1, theta, dtheta, p.norm1, p.norm1_bias);                     // 1
}

template <class S>
void Transformer<S>::TangentLinears::forward(Block<S> ty, Block<S> tin, Block<S> in, int w, int b) const {
  linear_tforward<S>(ty, tin, in, model.mat(theta, w), model.mat(ttheta, w), model.at(ttheta, b));
}

template <class S>
void Transformer<S>::TangentLinears::backward(Block<S> tdin, Block<S> tdy, Block<S> dy, Block<S> tin, Block<S> in,
                                              int w, int b, Write write) const {
  linear_tbackward<S>(tdin, model.mat(tdtheta, w), model.at(tdtheta, b), tdy, dy, tin, in, model.mat(theta, w),
                      model.mat(ttheta, w), write);
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
  norm_tforward(t.norm1, t.stat1, t.in, a.in, a.stat1, theta, ttheta, p.norm1, p.norm1_bias);  // 1
  attend_tforward(theta, ttheta, layer, x, tx);
  add_to<S>(t.mid.data, t.in.data, t.mid.size());
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
  const Block<S> tdout = tdx.layers[static_cast<size_t>(layer) + 1].in;
  if (has_experts())
    experts_tbackward(theta, ttheta, layer, x, dx, tx, tdx, tdtheta);
  else
    mlp_tbackward(theta, ttheta, layer, x, dx, tx, tdx, tdtheta);
  td.mid.view() = tdout.view();
  if (!is_parallel())
    norm_tbackward(td.mid, td.norm2, d.norm2, t.mid, a.mid, t.stat2, a.stat2, theta, ttheta, tdtheta, p.norm2,
                   p.norm2_bias);  // 6
  attend_tbackward(theta, ttheta, layer, x, dx, tx, tdx, tdtheta);
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

#include "sim/model/transformer_acts.hpp"
#include "sim/model/transformer_attention.hpp"
#include "sim/model/transformer_experts.hpp"
#include "sim/model/transformer_mlp.hpp"
