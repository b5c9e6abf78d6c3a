// What the passes of a transformer write: the activations of one layer, of one pass over one chunk, and of one layer in
// all four passes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/layers/attention.hpp"
#include "sim/layers/moe.hpp"
#include "sim/layers/slot.hpp"
#include "sim/model/transformer/options.hpp"

namespace hone {

/// What the linears of a layer read, in the order of the forward pass: norm1 feeds wq, wk, wv; o or its norm feeds wo;
/// norm2 feeds w_gate, w_up; act or its norm feeds w_down. With experts the last two are the tokens routed to each.
enum class LinearInput { attention, attention_output, mlp, mlp_output };
inline constexpr LinearInput linear_inputs[] = {LinearInput::attention, LinearInput::attention_output, LinearInput::mlp,
                                                LinearInput::mlp_output};

/// Activations of one layer: where each lies.
///   shapes  in, norm1, mid, norm2, out (M,C)  q, o (M,H·hd)  k, v (M,K·hd)  att (B·H·T,T)  gate, up, act (M,mlp_width)
template <class S>
struct LayerActs {
  Block<S> in, norm1, stat1, q, k, v, att, o, mid, norm2, stat2, gate, up, act;
  Block<S> out;                                 ///< `in` of the layer above
  Block<S> scratch;                             ///< of attention, shared by all layers
  Block<S> o_norm, o_stat, act_norm, act_stat;  ///< with sub_norms only
  /// With experts only. routed, gate, up, act and expert_out then have a row for each slot of the routing.
  Block<S> router_logits, router_probs, expert_gates, routed, expert_out;
  Routing routing;  ///< filled by forward
  /// What straight-through estimators multiply the gradient of each quantized site by; only after reserve_masks.
  Block<S> norm1_mask, k_mask, v_mask, wo_mask, norm2_mask, down_mask;

  Block<S> wo_input() const { return o_norm.data ? o_norm : o; }
  Block<S> mlp_input() const { return routed.data ? routed : norm2; }
  Block<S> down_input() const { return act_norm.data ? act_norm : act; }

  /// Where the linears of a site find their input; a caller that keeps it elsewhere may say so.
  Block<S>& input(LinearInput site) {
    switch (site) {
      case LinearInput::attention: return norm1;
      case LinearInput::attention_output: return o_norm.data ? o_norm : o;
      case LinearInput::mlp: return routed.data ? routed : norm2;
      default: return act_norm.data ? act_norm : act;
    }
  }
  const Block<S>& mask(LinearInput site) const {
    switch (site) {
      case LinearInput::attention: return norm1_mask;
      case LinearInput::attention_output: return wo_mask;
      case LinearInput::mlp: return norm2_mask;
      default: return down_mask;
    }
  }
};

/// Everything one pass writes for one chunk. The passes use four of these: values x, adjoints dx, tangents tx and
/// tangents of adjoints tdx. The residual stream enters layer l as layers[l].in; the entry after the last layer holds
/// only the final stream.
/// cost  about M·(8C + 3·mlp_width)·layers + layers·M·H·T + 2·M·V scalars; with experts another
///       k·M·(2C + 3·mlp_width)·layers instead of 3·M·mlp_width·layers
template <class S>
struct TransformerActs {
  using Layer = LayerActs<S>;

  TransformerActs(const TransformerOptions& options, Index sequences);
  std::int64_t bytes() const {
    return (memory_->capacity() + (masks_ ? masks_->capacity() : 0)) * std::int64_t(sizeof(S));
  }
  /// Adds the masks of straight-through estimators; does nothing when they are there.
  void reserve_masks();

  Index sequences = 0;
  std::vector<std::uint16_t> inputs, targets;  ///< M ids each, filled by forward
  std::vector<Layer> layers;
  Block<S> norm, stat, logits, probs, row_loss, scratch;

  Block<S> last_stream() const { return layers.back().in; }

 private:
  template <class Visit>
  void visit_blocks(const TransformerOptions& options, Visit&& visit);
  std::unique_ptr<Workspace<S>> memory_, masks_;
};

/// Activations of all four passes. Those of passes that do not run may be null.
template <class S, class Acts>
struct Slots {
  const Acts *x = nullptr, *dx = nullptr, *tx = nullptr, *tdx = nullptr;

  /// One activation. `site` is a block of Acts, or a member function that chooses one.
  template <class Site>
  Slot<S> operator[](Site site) const {
    const auto of = [&](const Acts* pass) { return pass ? Block<S>(std::invoke(site, *pass)) : Block<S>{}; };
    return {of(x), of(dx), of(tx), of(tdx)};
  }
};
template <class S>
using LayerSlots = Slots<S, LayerActs<S>>;
template <class S>
using ChunkSlots = Slots<S, TransformerActs<S>>;

template <class S>
LayerSlots<S> layer_of(const ChunkSlots<S>& chunk, size_t layer) {
  const auto of = [&](const TransformerActs<S>* pass) { return pass ? &pass->layers[layer] : nullptr; };
  return {of(chunk.x), of(chunk.dx), of(chunk.tx), of(chunk.tdx)};
}

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
  for (size_t l = 0; l + 1 < layers.size(); ++l) layers[l].out = layers[l + 1].in, layers[l].scratch = scratch;
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

extern template struct TransformerActs<float>;
extern template struct TransformerActs<double>;

}  // namespace hone
