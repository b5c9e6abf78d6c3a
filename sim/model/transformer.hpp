// Decoder-only transformer, Llama-, GPT-2- or GPT-NeoX-style by options, with the four passes over one chunk of
// sequences. Block:  x += Wo attn(norm1 x);  x += Wdown mlp(norm2 x);  logits = head(norm x).
// With parallel residuals both branches read the same x:  x += Wo attn(norm1 x) + Wdown mlp(norm2 x).
// With experts the second branch is  Σ_e g_e Wdown_e mlp_e(norm2 x)  over the experts that a router chooses.
// The branches with their passes are in transformer/; float and double are compiled once, the tests add dual numbers.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/data/batch.hpp"
#include "sim/layers/embedding.hpp"
#include "sim/layers/loss.hpp"
#include "sim/model/precision.hpp"
#include "sim/model/transformer/layer.hpp"

namespace hone {

/// The model as a value: options, layout, tables. It holds no parameters and no activations; all passes are const.
/// shapes   theta (P) flat; acts from make_acts(count); `first`, `count` select sequences of the data
/// ensures  nothing is allocated by a pass, but for the masks by the first forward whose precision needs them; equal
///          inputs give equal bits
template <class S>
class Transformer {
 public:
  using Scalar = S;
  using Options = TransformerOptions;
  using Data = TokenBatch;
  using Acts = TransformerActs<S>;

  explicit Transformer(const TransformerOptions& options);

  const TransformerOptions& options() const { return options_; }
  const ParamLayout& layout() const { return layout_; }
  Acts make_acts(Index sequences) const { return Acts(options_, sequences); }
  /// Number of loss terms (tokens) of one sequence.
  Index rows_per_example() const { return options_.positions; }
  static Index example_count(const Data& data) { return data.sequences; }
  /// errors  OptionError when context or vocabulary do not fit the data
  void check(const Data& data) const;

  /// x.logits, x.probs, x.row_loss; returns the sum of the row losses in nats. Quantizes activations, keys and
  /// values as `precision` says; weights are taken as they are.
  double forward(const S* theta, const Data& data, Index first, Acts& x, const Precision& precision) const;

  /// The first part of forward: x.inputs, x.targets and the stream that enters layer 0.
  void embed(const S* theta, const Data& data, Index first, Acts& x) const;
  /// The layers, and what their attention needs, for callers that go through forward by themselves.
  const std::vector<TransformerLayer<S>>& layers() const { return layers_; }
  CausalAttention<S> attention_core(Index sequences) const;

  /// dtheta += weight·dL/dtheta with L the sum of row losses; straight-through at quantizers.
  void backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const;

  /// The same for L + load_balance_loss: what training follows. Losses, Hessian and Gauss-Newton products are those of
  /// L alone, the cross-entropy.
  void training_backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const;

  /// load_balance times the losses of all layers and sequences (layers/router.hpp); 0 without experts.
  /// expects  forward ran
  S load_balance_loss(const Acts& x) const;

  /// Tangents of everything forward wrote, along ttheta.
  /// expects  forward ran at full precision; ttheta is 0 but on parameters that are `moving`
  void tforward(const S* theta, const S* ttheta, const Acts& x, Acts& tx, Moving moving = Moving::all) const;

  /// tdtheta += weight·H ttheta, at least on parameters that are `moving`.
  /// expects  forward, backward (same weight) and tforward (same `moving`) ran
  /// cost     with quantizable matrices alone the head costs a third
  void tbackward(const S* theta, const S* ttheta, const Acts& x, const Acts& dx, const Acts& tx, Acts& tdx, S weight,
                 S* tdtheta, Moving moving = Moving::all) const;

  /// gtheta += weight·G ttheta with G = J'(∂²l/∂z²)J; dx is scratch.
  /// expects  forward and tforward ran
  void ggn_backward(const S* theta, const Acts& x, const Acts& tx, Acts& dx, S weight, S* gtheta) const;

  /// dtheta += J' dx.logits for logit adjoints that the caller wrote; dx holds the adjoints of all below.
  /// expects  forward ran
  void backward_from_logits(const S* theta, const Acts& x, Acts& dx, S* dtheta) const;

  /// Initial parameters: matrices N(0, 1/fan_in), those that write to the residual stream divided by √(2·layers),
  /// embeddings N(0, 1/C), head N(0, 0.02²), norms 1, biases 0. A pure function of (seed, block, index).
  AlignedVector<S> initial_parameters(std::uint64_t seed) const;

 private:
  static TransformerOptions validated(TransformerOptions options) { return options.validate(), options; }
  ParamPlace place(std::string_view name) const;
  void backward_to_inputs(const ParamVectors<S>& p, const ChunkSlots<S>& s, S balance) const;

  TransformerOptions options_;
  ParamLayout layout_;
  Turns<S> turns_;
  ParamPlace embedding_, position_;
  std::vector<TransformerLayer<S>> layers_;
  NormBlock<S> norm_;
  LinearBlock<S> head_;
};

extern template class Transformer<float>;
extern template class Transformer<double>;

template <class S>
Transformer<S>::Transformer(const TransformerOptions& options)
    : options_(validated(options)), layout_(options_.layout()), turns_(options_, options_.positions) {
  const auto linear = [&](const std::string& weight, const std::string& bias) {
    return LinearBlock<S>{place(weight), place(bias)};
  };
  const auto norm = [&](const std::string& name) {
    return NormBlock<S>{{options_.norm, options_.norm_eps}, place(name + ".weight"), place(name + ".bias")};
  };
  embedding_ = place("tok_emb.weight");
  position_ = place("pos_emb.weight");
  for (Index l = 0; l < options_.layers; ++l)
    layers_.push_back(make_layer<S, LinearBlock<S>, NormBlock<S>>(options_, l, linear, norm));
  norm_ = norm("final_norm");
  head_ = linear(options_.head == Head::tied ? "tok_emb.weight" : "head.weight", "head.bias");
}

template <class S>
ParamPlace Transformer<S>::place(std::string_view name) const {
  const ParamBlock* block = layout_.find(name);
  return block ? ParamPlace{block->offset, block->rows, block->cols} : ParamPlace{};
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
CausalAttention<S> Transformer<S>::attention_core(Index sequences) const {
  return {{sequences, options_.positions, options_.heads, options_.kv_heads, options_.head_width()}, turns_};
}

template <class S>
void Transformer<S>::embed(const S* theta, const Data& data, Index first, Acts& x) const {
  const Index positions = options_.positions;
  for (Index b = 0; b < x.sequences; ++b) {
    const std::uint16_t* sequence = data.tokens.data() + (first + b) * (positions + 1);
    std::copy_n(sequence, positions, x.inputs.begin() + b * positions);
    std::copy_n(sequence + 1, positions, x.targets.begin() + b * positions);
  }
  embedding_forward<S>(x.layers[0].in, x.inputs.data(), embedding_.matrix(theta), position_.data(theta), positions);
}

template <class S>
double Transformer<S>::forward(const S* theta, const Data& data, Index first, Acts& x,
                               const Precision& precision) const {
  if (precision.ste != SteKind::identity) x.reserve_masks();
  const ParamVectors<S> p{.theta = theta};
  const CausalAttention<S> core = attention_core(x.sequences);
  embed(theta, data, first, x);  // F1
  for (size_t l = 0; l < layers_.size(); ++l)
    layers_[l].forward(p, x.layers[l], core, QuantizedSites<S>{precision, options_, int(l), x.layers[l]});  // F2
  norm_.forward(p, x.norm, x.stat, x.last_stream());                                                        // F3
  head_.forward(p, x.logits, x.norm);                                                                       // F4
  return softmax_xent_forward<S>(x.probs, x.row_loss.data, x.logits, x.targets.data());                     // F5
}

template <class S>
S Transformer<S>::load_balance_loss(const Acts& x) const {
  S sum(0);
  if (options_.experts == 0) return sum;
  for (size_t l = 0; l < layers_.size(); ++l)
    sum += hone::load_balance_loss<S>(x.layers[l].router_probs, x.layers[l].routing);
  return S(options_.load_balance) * sum;
}

template <class S>
void Transformer<S>::backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const {
  softmax_xent_backward<S>(dx.logits, x.probs, x.targets.data(), weight);  // B5 from F5
  backward_to_inputs({.theta = theta, .dtheta = dtheta}, {&x, &dx}, S(0));
}

template <class S>
void Transformer<S>::training_backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const {
  softmax_xent_backward<S>(dx.logits, x.probs, x.targets.data(), weight);  // B5 from F5
  backward_to_inputs({.theta = theta, .dtheta = dtheta}, {&x, &dx}, weight * S(options_.load_balance));
}

template <class S>
void Transformer<S>::ggn_backward(const S* theta, const Acts& x, const Acts& tx, Acts& dx, S weight, S* gtheta) const {
  softmax_xent_tbackward<S>(dx.logits, tx.logits, x.probs, weight);  // R B5
  backward_from_logits(theta, x, dx, gtheta);
}

template <class S>
void Transformer<S>::backward_from_logits(const S* theta, const Acts& x, Acts& dx, S* dtheta) const {
  backward_to_inputs({.theta = theta, .dtheta = dtheta}, {&x, &dx}, S(0));
}

/// `balance` is the weight of the load-balance loss.
template <class S>
void Transformer<S>::backward_to_inputs(const ParamVectors<S>& p, const ChunkSlots<S>& s, S balance) const {
  const Slot<S> norm = s[&Acts::norm], stream = s[&Acts::last_stream];
  const CausalAttention<S> core = attention_core(s.x->sequences);
  head_.backward(p, s[&Acts::logits], norm);  // B4 from F4
  stream.dx.view().setZero();
  norm_.backward(p, norm, s[&Acts::stat], stream);  // B3 from F3
  for (size_t l = layers_.size(); l-- > 0;) {
    const LayerSlots<S> layer = layer_of(s, l);
    if (options_.experts > 0) load_balance_backward<S>(layer.dx->router_probs, layer.x->routing, balance);
    layers_[l].backward(p, layer, core);  // B2 from F2
  }
  embedding_backward<S>(embedding_.matrix(p.dtheta), position_.data(p.dtheta), s.x->inputs.data(), s.dx->layers[0].in,
                        options_.positions);  // B1 from F1
}

template <class S>
void Transformer<S>::tforward(const S* theta, const S* ttheta, const Acts& x, Acts& tx, Moving moving) const {
  const ParamVectors<S> p{.theta = theta, .ttheta = ttheta};
  const ChunkSlots<S> s{.x = &x, .tx = &tx};
  const CausalAttention<S> core = attention_core(x.sequences);
  const bool ends_move = moving == Moving::all;
  if (ends_move)
    embedding_forward<S>(tx.layers[0].in, x.inputs.data(), embedding_.matrix(ttheta), position_.data(ttheta),
                         options_.positions);  // R F1
  else
    tx.layers[0].in.view().setZero();
  for (size_t l = 0; l < layers_.size(); ++l) layers_[l].tforward(p, layer_of(s, l), core);  // R F2
  norm_.tforward(p, s[&Acts::norm], s[&Acts::stat], s[&Acts::last_stream]);                  // R F3
  if (ends_move)
    head_.tforward(p, s[&Acts::logits], s[&Acts::norm]);  // R F4
  else
    head_.tforward_fixed(p, s[&Acts::logits], s[&Acts::norm]);
}

template <class S>
void Transformer<S>::tbackward(const S* theta, const S* ttheta, const Acts& x, const Acts& dx, const Acts& tx,
                               Acts& tdx, S weight, S* tdtheta, Moving moving) const {
  const ParamVectors<S> p{.theta = theta, .ttheta = ttheta, .tdtheta = tdtheta};
  const ChunkSlots<S> s{&x, &dx, &tx, &tdx};
  const Slot<S> norm = s[&Acts::norm], stream = s[&Acts::last_stream];
  const CausalAttention<S> core = attention_core(x.sequences);
  softmax_xent_tbackward<S>(tdx.logits, tx.logits, x.probs, weight);  // R B5
  if (moving == Moving::all)
    head_.tbackward(p, s[&Acts::logits], norm);  // R B4
  else
    head_.tbackward_fixed(p, s[&Acts::logits], norm);
  stream.tdx.view().setZero();
  norm_.tbackward(p, norm, s[&Acts::stat], stream);                                         // R B3
  for (size_t l = layers_.size(); l-- > 0;) layers_[l].tbackward(p, layer_of(s, l), core);  // R B2
  if (moving == Moving::all)
    embedding_backward<S>(embedding_.matrix(tdtheta), position_.data(tdtheta), x.inputs.data(), tdx.layers[0].in,
                          options_.positions);  // R B1
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
