// The precision of every site of a model as one value: weights, inputs of the linears, keys, values.
#pragma once

#include <fmt/format.h>

#include <string>

#include "sim/layers/quantizer.hpp"

namespace hone {

/// Four quantizers; each is off at 16 bits. The forward pass applies activation, key and value; the weights are
/// quantized before it (quantize/weights.hpp), so that quantizing after and during training share one path.
/// Keys are quantized after RoPE, keys and values per token and head; a token's own key and value count too.
struct Precision {
  Quantizer weight, activation, key, value;

  bool is_full() const { return !weight.is_on() && !quantizes_forward(); }
  bool quantizes_forward() const { return activation.is_on() || key.is_on() || value.is_on(); }
};

/// For example "W3 A8 KV16".
inline std::string label_of(const Precision& p) {
  return fmt::format("W{} A{} KV{}", p.weight.bits, p.activation.bits, p.key.bits);
}

}  // namespace hone
