// The orthogonal maps that a transformer applies to its own activations: rotary positions and online Hadamard transforms.
// They have no parameters and are linear, so that tforward is forward, and backward and tbackward are the inverse.
#pragma once

#include <optional>

#include "sim/base/workspace.hpp"
#include "sim/model/transformer/options.hpp"

namespace hone {

template <class S>
struct Turns {
  Index head_width = 0;
  std::optional<RopeTable<S>> rope;  ///< empty with learned positions
  std::optional<HadamardTable<S>> heads_table, mlp_table, qk_table;

  /// For positions 0 … positions - 1.
  Turns(const TransformerOptions& o, Index positions) : head_width(o.head_width()) {
    if (o.position != Positions::learned)
      rope.emplace(positions, head_width, o.rope_base,
                   o.position == Positions::rope_half ? RopePairing::half : RopePairing::interleaved, o.rotary_width,
                   o.rope_scaling);
    if (o.rotations.heads) heads_table.emplace(o.heads);
    if (o.rotations.mlp) mlp_table.emplace(o.mlp_width);
    if (o.rotations.qk) qk_table.emplace(head_width);
  }

  /// Queries and keys of whole sequences, from position 0 on.
  void queries_keys(const Block<S>& q, const Block<S>& k, Turn turn) const {
    for (const Block<S>& heads : {q, k}) {
      if (turn == Turn::inverse) apply(heads, qk_table, 1, turn);
      if (rope) rope_rotate<S>(heads, *rope, turn);
      if (turn == Turn::forward) apply(heads, qk_table, 1, turn);
    }
  }
  /// The queries or the keys of one token.
  void query_or_key(S* row, Index width, Index position) const {
    if (rope) rope_rotate_row<S>(row, width, *rope, position, Turn::forward);
    apply({row, 1, width}, qk_table, 1, Turn::forward);
  }
  /// The output of attention.
  void heads(const Block<S>& o, Turn turn) const { apply(o, heads_table, head_width, turn); }
  /// The input of w_down.
  void mlp(const Block<S>& act, Turn turn) const { apply(act, mlp_table, 1, turn); }

 private:
  static void apply(const Block<S>& site, const std::optional<HadamardTable<S>>& table, Index channels, Turn turn) {
    if (table) hadamard_rotate<S>(site, *table, channels, turn);
  }
};

}  // namespace hone
