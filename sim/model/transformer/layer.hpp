// One layer of a transformer: two branches on the residual stream, the second of either kind.
#pragma once

#include <string>
#include <variant>

#include "sim/model/transformer/attention_branch.hpp"
#include "sim/model/transformer/expert_mlp.hpp"
#include "sim/model/transformer/gated_mlp.hpp"

namespace hone {

template <class S, class Linear = LinearBlock<S>, class NormKind = NormBlock<S>>
struct TransformerLayer {
  using A = LayerActs<S>;
  using Gated = GatedMlp<S, Linear, NormKind>;
  using Experts = ExpertMlp<S, Linear, NormKind>;

  AttentionBranch<S, Linear, NormKind> attention;
  std::variant<Gated, Experts> mlp;
  bool is_parallel = false;  ///< both branches read `in`

  /// body(the second branch)
  template <class Body>
  void with_mlp(Body&& body) const {
    if (const auto* gated = std::get_if<Gated>(&mlp))
      body(*gated);
    else
      body(std::get<Experts>(mlp));
  }

  template <class Visit>
  void forward(const ParamVectors<S>& p, A& a, const CausalAttention<S>& core, const Visit& visit) const {
    attention.forward(p, a, core, visit);                                            // F1
    with_mlp([&](const auto& branch) { branch.forward(p, a, core.turns, visit); });  // F2
  }
  /// in.dx from out.dx; the residual stream passes its adjoint down unchanged.
  void backward(const ParamVectors<S>& p, const LayerSlots<S>& s, const CausalAttention<S>& core) const {
    const A& d = *s.dx;
    d.mid.view() = d.out.view();
    if (is_parallel) d.in.view() = d.mid.view();
    with_mlp([&](const auto& branch) { branch.backward(p, s, core.turns); });  // B2 from F2
    if (!is_parallel) d.in.view() = d.mid.view();
    attention.backward(p, s, core);  // B1 from F1
  }
  void tforward(const ParamVectors<S>& p, const LayerSlots<S>& s, const CausalAttention<S>& core) const {
    attention.tforward(p, s, core);                                            // R F1
    with_mlp([&](const auto& branch) { branch.tforward(p, s, core.turns); });  // R F2
  }
  void tbackward(const ParamVectors<S>& p, const LayerSlots<S>& s, const CausalAttention<S>& core) const {
    const A& td = *s.tdx;
    td.mid.view() = td.out.view();
    if (is_parallel) td.in.view() = td.mid.view();
    with_mlp([&](const auto& branch) { branch.tbackward(p, s, core.turns); });  // R B2
    if (!is_parallel) td.in.view() = td.mid.view();
    attention.tbackward(p, s, core);  // R B1
  }
};

/// Puts a layer together. `linear(weight, bias)` and `norm(name)` find parameters by name; what they do not find converts
/// to false.
template <class S, class Linear, class NormKind, class FindLinear, class FindNorm>
TransformerLayer<S, Linear, NormKind> make_layer(const TransformerOptions& o, Index number, const FindLinear& linear,
                                                 const FindNorm& norm) {
  const std::string of_layer = fmt::format("layers.{}.", number);
  const auto own = [&](const std::string& of, const char* weight, const char* bias) {
    return linear(of + weight, of + bias);
  };
  TransformerLayer<S, Linear, NormKind> layer;
  layer.is_parallel = o.residual == Residual::parallel;
  layer.attention = {.norm = norm(of_layer + "attn_norm"),
                     .wq = own(of_layer, "wq", "bq"),
                     .wk = own(of_layer, "wk", "bk"),
                     .wv = own(of_layer, "wv", "bv"),
                     .wo = own(of_layer, "wo", "bo"),
                     .sub_norm = norm(of_layer + "wo_norm")};
  const auto stream = layer.is_parallel ? &LayerActs<S>::in : &LayerActs<S>::mid;
  if (o.experts == 0) {
    layer.mlp =
        GatedMlp<S, Linear, NormKind>{.norm = norm(of_layer + "mlp_norm"),
                                      .stream = stream,
                                      .gate = own(of_layer, "w_gate", ""),
                                      .up = own(of_layer, "w_up", "b_up"),
                                      .down = own(of_layer, "w_down", "b_down"),
                                      .activation = o.mlp == MlpKind::swiglu ? Activation::silu : activation_of(o.mlp),
                                      .sub_norm = norm(of_layer + "down_norm")};
    return layer;
  }
  ExpertMlp<S, Linear, NormKind> mlp{.norm = norm(of_layer + "mlp_norm"),
                                     .stream = stream,
                                     .router = own(of_layer, "router", ""),
                                     .gates = o.gates,
                                     .experts = {}};
  for (Index e = 0; e < o.experts; ++e) {
    const std::string of_expert = fmt::format("{}experts.{}.", of_layer, e);
    mlp.experts.push_back(
        {own(of_expert, "w_gate", ""), own(of_expert, "w_up", "b_up"), own(of_expert, "w_down", "b_down")});
  }
  layer.mlp = std::move(mlp);
  return layer;
}

}  // namespace hone
