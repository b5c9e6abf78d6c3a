// Decoder-only transformer, Llama-, GPT-2- or GPT-NeoX-style by options, with the four passes over one chunk of
// sequences. Block:  x += Wo attn(norm1 x);  x += Wdown mlp(norm2 x);  logits = head(norm x).
// With parallel residuals both branches read the same x:  x += Wo attn(norm1 x) + Wdown mlp(norm2 x).
// With experts the second branch is  Σ_e g_e Wdown_e mlp_e(norm2 x)  over the experts that a router chooses.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sim/base/workspace.hpp"
#include "sim/data/batch.hpp"
#include "sim/layers/activation.hpp"
#include "sim/layers/attention.hpp"
#include "sim/layers/hadamard.hpp"
#include "sim/layers/moe.hpp"
#include "sim/layers/rope.hpp"
#include "sim/model/params.hpp"
#include "sim/model/precision.hpp"

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

/// What the linears of a layer read, in the order of the forward pass: norm1 feeds wq, wk, wv; o or its norm feeds wo;
/// norm2 feeds w_gate, w_up; act or its norm feeds w_down. With experts the last two are the tokens routed to each.
enum class LinearInput { attention, attention_output, mlp, mlp_output };
inline constexpr LinearInput linear_inputs[] = {LinearInput::attention, LinearInput::attention_output, LinearInput::mlp,
                                                LinearInput::mlp_output};

/// Everything one pass writes for one chunk. The passes use four of these: values x, adjoints dx, tangents tx and
/// tangents of adjoints tdx.
/// cost  about M·(8C + 3·mlp_width)·layers + layers·M·H·T + 2·M·V scalars; with experts another
///       k·M·(2C + 3·mlp_width)·layers instead of 3·M·mlp_width·layers
template <class S>
struct TransformerActs {
  struct Layer {
    Block<S> in, norm1, stat1, q, k, v, att, o, mid, norm2, stat2, gate, up, act;
    Block<S> o_norm, o_stat, act_norm, act_stat;  ///< with sub_norms only
    /// With experts only. routed, gate, up, act and expert_out then have a row for each slot of the routing.
    Block<S> router_logits, router_probs, expert_gates, routed, expert_out;
    Routing routing;  ///< filled by forward
    /// What straight-through estimators multiply the gradient of each quantized site by; only after reserve_masks.
    Block<S> norm1_mask, k_mask, v_mask, wo_mask, norm2_mask, down_mask;

    Block<S> wo_input() const { return o_norm.data ? o_norm : o; }
    Block<S> mlp_input() const { return routed.data ? routed : norm2; }
    Block<S> down_input() const { return act_norm.data ? act_norm : act; }
  };
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

 private:
  template <class Visit>
  void visit_blocks(const TransformerOptions& options, Visit&& visit);
  std::unique_ptr<Workspace<S>> memory_, masks_;
};

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

  /// The forward pass in parts, for callers that change weights between them: embed, then for each layer forward_to
  /// each of linear_inputs in order, then forward_out. Each part reads what the parts before wrote to x.
  void embed(const S* theta, const Data& data, Index first, Acts& x) const;
  void forward_to(LinearInput input, const S* theta, int layer, Acts& x, const Precision& precision) const;
  void forward_out(const S* theta, int layer, Acts& x) const;

  /// dtheta += weight·dL/dtheta with L the sum of row losses; straight-through at quantizers.
  void backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const;

  /// The same for L + load_balance_loss: what training follows. Losses, Hessian and Gauss-Newton products are those of
  /// L alone, the cross-entropy.
  void training_backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const;

  /// load_balance times the losses of all layers and sequences (layers/router.hpp); 0 without experts.
  /// expects  forward ran
  S load_balance_loss(const Acts& x) const;

  /// Tangents of everything forward wrote, along ttheta.
  /// expects  forward ran at full precision
  void tforward(const S* theta, const S* ttheta, const Acts& x, Acts& tx) const;

  /// tdtheta += weight·H ttheta.
  /// expects  forward, backward (same weight) and tforward ran
  void tbackward(const S* theta, const S* ttheta, const Acts& x, const Acts& dx, const Acts& tx, Acts& tdx, S weight,
                 S* tdtheta) const;

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
  struct ExpertBlocks {
    int gate, up, up_bias, down, down_bias;
  };
  struct LayerBlocks {
    int norm1, norm1_bias, wq, bq, wk, bk, wv, bv, wo, bo, norm2, norm2_bias, gate, up, up_bias, down, down_bias,
        wo_norm, down_norm, router;
    std::vector<ExpertBlocks> experts = {};
  };
  /// The linears of a tangent pass, by the numbers of their blocks; a bias of -1 is none.
  struct TangentLinears {
    const Transformer& model;
    const S* theta;
    const S* ttheta;
    S* tdtheta = nullptr;

    void forward(Block<S> ty, Block<S> tin, Block<S> in, int w, int b) const;
    void backward(Block<S> tdin, Block<S> tdy, Block<S> dy, Block<S> tin, Block<S> in, int w, int b,
                  Write write = Write::assign) const;
  };
  void map_blocks();
  bool has_experts() const { return options_.experts > 0; }
  bool is_parallel() const { return options_.residual == Residual::parallel; }
  AttentionShape attention_shape(Index sequences) const;
  const S* at(const S* theta, int block) const { return block < 0 ? nullptr : theta + layout_[block].offset; }
  S* at(S* theta, int block) const { return block < 0 ? nullptr : theta + layout_[block].offset; }
  ConstMatView<S> mat(const S* theta, int block) const { return view(theta, layout_[block]); }
  MatView<S> mat(S* theta, int block) const { return view(theta, layout_[block]); }
  void layer_forward(const S* theta, int layer, Acts& x, const Precision& precision) const;
  void quantize_site(Block<S> site, Block<S> mask, const Quantizer& q, SteKind ste) const;
  void quantize_input(Block<S> site, Block<S> mask, int layer, LinearInput input, const Precision& precision) const;
  void forward_to_attention(const S* theta, int layer, Acts& x, const Precision& precision) const;
  void forward_to_attention_output(const S* theta, int layer, Acts& x, const Precision& precision) const;
  void forward_to_mlp(const S* theta, int layer, Acts& x, const Precision& precision) const;
  void forward_to_mlp_output(const S* theta, int layer, Acts& x, const Precision& precision) const;
  void route(const S* theta, int layer, Acts& x, const Precision& precision) const;
  void experts_forward(const S* theta, int layer, Acts& x) const;
  void experts_forward_out(const S* theta, int layer, Acts& x) const;
  void backward_to_inputs(const S* theta, const Acts& x, Acts& dx, S* dtheta, S balance) const;
  void layer_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta, S balance) const;
  void attend_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta) const;
  void mlp_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta) const;
  void experts_backward(const S* theta, int layer, const Acts& x, Acts& dx, S* dtheta, S balance) const;
  void layer_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const;
  void attend_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const;
  void mlp_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const;
  void experts_tforward(const S* theta, const S* ttheta, int layer, const Acts& x, Acts& tx) const;
  void attend_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx, const Acts& tx,
                        Acts& tdx, S* tdtheta) const;
  void mlp_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx, const Acts& tx,
                     Acts& tdx, S* tdtheta) const;
  void experts_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx, const Acts& tx,
                         Acts& tdx, S* tdtheta) const;
  void layer_tbackward(const S* theta, const S* ttheta, int layer, const Acts& x, const Acts& dx, const Acts& tx,
                       Acts& tdx, S* tdtheta) const;
  void turn_queries_keys(Block<S> q, Block<S> k, Turn turn) const;
  void turn_site(Block<S> site, const std::optional<HadamardTable<S>>& table, Index channels, Turn turn) const;
  void turn_heads(Block<S> o, Turn turn) const { turn_site(o, heads_table_, options_.head_width(), turn); }
  void turn_mlp(Block<S> act, Turn turn) const { turn_site(act, mlp_table_, 1, turn); }
  void norm_forward(Block<S> y, Block<S> stat, Block<S> x, const S* theta, int w, int b) const;
  void norm_backward(Block<S> dx, Block<S> dy, Block<S> x, Block<S> stat, const S* theta, S* dtheta, int w,
                     int b) const;
  void norm_tforward(Block<S> ty, Block<S> tstat, Block<S> tx, Block<S> x, Block<S> stat, const S* theta,
                     const S* ttheta, int w, int b) const;
  void norm_tbackward(Block<S> tdx, Block<S> tdy, Block<S> dy, Block<S> tx, Block<S> x, Block<S> tstat, Block<S> stat,
                      const S* theta, const S* ttheta, S* tdtheta, int w, int b) const;

  TransformerOptions options_;
  ParamLayout layout_;
  std::optional<RopeTable<S>> rope_;
  std::optional<HadamardTable<S>> heads_table_, mlp_table_, qk_table_;
  std::vector<LayerBlocks> layers_;
  int embedding_ = -1, position_ = -1, norm_ = -1, norm_bias_ = -1, head_ = -1, head_bias_ = -1;
};

extern template class Transformer<float>;
extern template class Transformer<double>;
extern template struct TransformerActs<float>;
extern template struct TransformerActs<double>;

}  // namespace hone
