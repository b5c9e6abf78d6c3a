// The architecture of a transformer as one value: sizes, and which variant of each part. The table of its parameters
// follows from it.
#pragma once

#include <optional>
#include <string>

#include "sim/layers/activation.hpp"
#include "sim/layers/hadamard.hpp"
#include "sim/layers/rope.hpp"
#include "sim/layers/router.hpp"
#include "sim/model/params.hpp"

namespace hone {

enum class Norm { rms, layer };
enum class Positions { rope_half, rope_interleaved, learned };
enum class MlpKind { swiglu, gelu, gelu_erf };  ///< gelu is the tanh form, gelu_erf the exact one
enum class Head { untied, tied };
enum class Residual { sequential, parallel };

/// Hadamard transforms that the model applies to its own activations, each before the quantizer of that site. They are
/// part of the function: weights made for them (quantize/rotation.hpp) are wrong without them.
struct OnlineRotations {
  bool heads = false;  ///< mixes the heads of the attention output, H ⊗ I
  bool mlp = false;    ///< turns the input of w_down
  bool qk = false;     ///< turns each head of q and k after RoPE; no score changes

  bool operator==(const OnlineRotations&) const = default;
};

/// For records: "none", or the sites in order, such as "heads+mlp+qk".
std::string name_of(const OnlineRotations& rotations);

/// Architecture. The defaults are Llama-style; gpt2_style() gives the other family.
struct TransformerOptions {
  Index vocabulary = 256;  ///< tokens
  Index positions = 128;   ///< context length T in tokens
  Index layers = 2;
  Index width = 64;    ///< C, a multiple of heads unless head_channels is given
  Index heads = 4;     ///< H
  Index kv_heads = 4;  ///< divides heads
  Index mlp_width = 192;
  Norm norm = Norm::rms;
  Positions position = Positions::rope_half;
  MlpKind mlp = MlpKind::swiglu;
  Head head = Head::untied;
  bool bias = false;         ///< on every linear inside the blocks
  double norm_eps = 1e-5;    ///< inside the root
  double rope_base = 10000;  ///< Su et al. 2021
  Residual residual = Residual::sequential;
  std::optional<bool> attention_bias;  ///< on the linears of attention; as `bias` when empty
  std::optional<Index> head_channels;  ///< hd; width/heads when empty
  std::optional<Index> rotary_width;   ///< channels of a head that rotary positions turn; all when empty
  RopeScaling rope_scaling;            ///< of the frequencies of rotary positions
  OnlineRotations rotations;           ///< each needs a size that has a Hadamard matrix (layers/hadamard.hpp)
  bool head_bias = false;              ///< a bias on the logits
  bool sub_norms = false;              ///< one more RMSNorm before wo and before w_down (BitNet b1.58)
  Index experts = 0;                 ///< MLPs of each layer, swiglu only; 0 = one, without router. No token is dropped
  Index experts_per_token = 1;       ///< k; 1 = Switch routing (Fedus et al. 2021)
  Gates gates = Gates::probability;  ///< renormalized needs k above 1: a single gate would be 1, without gradient
  double load_balance = 0.01;        ///< coefficient of the load-balance loss, which training alone adds

  bool operator==(const TransformerOptions&) const = default;
  Index head_width() const { return head_channels ? *head_channels : width / heads; }
  /// errors  OptionError listing every wrong field with its value and the fix
  void validate() const;
  ParamLayout layout() const;
};

/// The elementwise function of an MLP without gate.
/// expects  kind is not swiglu
Activation activation_of(MlpKind kind);

/// LayerNorm with bias, learned positions, GELU, biases everywhere (Radford et al. 2019).
TransformerOptions gpt2_style(TransformerOptions options);

}  // namespace hone
