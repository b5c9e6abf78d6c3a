// The memory of one pass over one chunk: which blocks it has, by the options, all in one arena.
// Included by transformer_passes.hpp only.
#pragma once

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

}  // namespace hone
