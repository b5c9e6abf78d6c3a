// The precision of every site of a model as one value: weights, inputs of the linears, keys, values.
#pragma once

#include <vector>

#include "sim/formats/straight_through.hpp"

namespace hone {

/// Four quantizers; each is off at 16 bits. The forward pass applies activation, key and value; the weights are
/// quantized before it (quantize/weights.hpp), so that quantizing after and during training share one path.
/// Keys are quantized after RoPE, keys and values per token and head; a token's own key and value count too. The
/// passes of a transformer refuse what would let tokens see later ones through a shared step of keys or values, and
/// stochastic rounding of activations. Steps of activations per tensor are shared by a whole sequence.
struct Precision {
  Quantizer weight = {}, activation = {}, key = {}, value = {};
  SteKind ste = SteKind::identity;  ///< of activation, key and value, in the backward pass
  /// Fixed grids of the inputs of a transformer's linears (quantize/static_ranges.hpp), passed straight through in the
  /// backward pass. Empty: each grid follows its values, by the rules of `activation`.
  std::vector<StepRange> activation_ranges = {};

  bool is_full() const { return !weight.is_on() && !quantizes_forward(); }
  bool quantizes_forward() const { return activation.is_on() || key.is_on() || value.is_on(); }
};

}  // namespace hone
