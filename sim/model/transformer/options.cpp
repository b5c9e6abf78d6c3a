#include "sim/model/transformer/options.hpp"

#include <vector>

#include "sim/base/error.hpp"

namespace hone {

void TransformerOptions::validate() const {
  std::vector<std::string> wrong;
  const auto demand = [&](bool good, std::string what) {
    if (!good) wrong.push_back(std::move(what));
  };
  demand(vocabulary >= 2 && vocabulary <= 65536, fmt::format("vocabulary = {} (expected 2 to 65536)", vocabulary));
  demand(positions >= 1, fmt::format("context = {} (expected at least 1)", positions));
  demand(layers >= 1, fmt::format("layers = {} (expected at least 1)", layers));
  demand(width >= 1, fmt::format("width = {} (expected at least 1)", width));
  demand(mlp_width >= 1, fmt::format("mlp_width = {} (expected at least 1)", mlp_width));
  demand(heads >= 1 && (head_channels || width % std::max<Index>(heads, 1) == 0),
         fmt::format("heads = {} does not divide width = {} (choose a divisor)", heads, width));
  demand(kv_heads >= 1 && heads % std::max<Index>(kv_heads, 1) == 0,
         fmt::format("kv_heads = {} does not divide heads = {} (choose a divisor)", kv_heads, heads));
  demand(!head_channels || *head_channels >= 1,
         fmt::format("head_channels = {} (expected at least 1)", head_channels.value_or(0)));
  const Index channels = heads < 1 ? 0 : head_width();
  demand(position == Positions::learned || rotary_width || channels % 2 == 0,
         fmt::format("width/heads = {}/{} is odd; rotary positions need an even head width", width, heads));
  demand(!rotary_width || (*rotary_width >= 2 && *rotary_width % 2 == 0 && *rotary_width <= channels),
         fmt::format("rotary_width = {} (expected an even number from 2 to the head width {})",
                     rotary_width.value_or(0), channels));
  const auto demand_hadamard = [&](bool is_on, const char* site, const char* field, Index size) {
    demand(
        !is_on || has_hadamard(size),
        fmt::format("rotations.{} needs a Hadamard matrix of size {} = {} (nearest sizes: {}; turn the rotation off)",
                    site, field, size, nearest_hadamard_sizes(size)));
  };
  demand_hadamard(rotations.heads, "heads", "heads", heads);
  demand_hadamard(rotations.mlp, "mlp", "mlp_width", mlp_width);
  demand_hadamard(rotations.qk, "qk", "head width", channels);
  demand(!sub_norms || norm == Norm::rms, "sub_norms with norm = layer (expected rms)");
  demand(!sub_norms || !(rotations.heads || rotations.mlp),
         fmt::format("sub_norms with rotations = {}; a rotation does not pass their gains, turn one of them off",
                     name_of(rotations)));
  demand(experts >= 0, fmt::format("experts = {} (expected 0 for one MLP, or more)", experts));
  demand(experts <= 0 || mlp == MlpKind::swiglu, "experts with mlp = gelu (expected swiglu)");
  demand(experts <= 0 || !sub_norms, "experts with sub_norms = true (expected false)");
  demand(experts <= 0 || (experts_per_token >= 1 && experts_per_token <= experts),
         fmt::format("experts_per_token = {} (expected 1 to experts = {})", experts_per_token, experts));
  demand(experts <= 0 || gates == Gates::probability || experts_per_token > 1,
         "gates = renormalized with experts_per_token = 1 gives the router no gradient (expected probability)");
  demand(load_balance >= 0, fmt::format("load_balance = {} (expected at least 0)", load_balance));
  demand(norm_eps > 0, fmt::format("norm_eps = {} (expected above 0)", norm_eps));
  demand(rope_base > 1, fmt::format("rope_base = {} (expected above 1)", rope_base));
  try {
    rope_scaling.validate();
  } catch (const OptionError& error) {
    wrong.push_back(error.what());
  }
  if (!wrong.empty()) throw OptionError(fmt::format("model: {}", fmt::join(wrong, "; ")));
}

ParamLayout TransformerOptions::layout() const {
  ParamLayout layout;
  const Index query = heads * head_width(), kv = kv_heads * head_width();
  const auto add_sub_norm = [&](int layer, const char* name, Index cols) {
    if (sub_norms) layout.add(fmt::format("layers.{}.{}.weight", layer, name), layer, Role::norm, 1, cols);
  };
  const auto add_norm = [&](const std::string& name, int layer) {
    layout.add(name + ".weight", layer, Role::norm, 1, width);
    if (norm == Norm::layer) layout.add(name + ".bias", layer, Role::norm, 1, width);
  };
  const auto add_linear = [&](int layer, const std::string& w, const std::string& b, Index rows, Index cols) {
    const std::string prefix = fmt::format("layers.{}.", layer);
    layout.add(prefix + w, layer, Role::matrix, rows, cols);
    const bool has_bias = b == "bq" || b == "bk" || b == "bv" || b == "bo" ? attention_bias.value_or(bias) : bias;
    if (has_bias && !b.empty()) layout.add(prefix + b, layer, Role::bias, 1, rows);
  };
  const auto add_experts = [&](int layer) {
    layout.add(fmt::format("layers.{}.router", layer), layer, Role::router, experts, width);
    for (Index e = 0; e < experts; ++e) {
      const std::string expert = fmt::format("experts.{}.", e);
      add_linear(layer, expert + "w_gate", "", mlp_width, width);
      add_linear(layer, expert + "w_up", expert + "b_up", mlp_width, width);
      add_linear(layer, expert + "w_down", expert + "b_down", width, mlp_width);
    }
  };
  layout.add("tok_emb.weight", -1, Role::embedding, vocabulary, width);
  if (position == Positions::learned) layout.add("pos_emb.weight", -1, Role::position, positions, width);
  for (int l = 0; l < int(layers); ++l) {
    add_norm(fmt::format("layers.{}.attn_norm", l), l);
    add_linear(l, "wq", "bq", query, width);
    add_linear(l, "wk", "bk", kv, width);
    add_linear(l, "wv", "bv", kv, width);
    add_sub_norm(l, "wo_norm", query);
    add_linear(l, "wo", "bo", width, query);
    add_norm(fmt::format("layers.{}.mlp_norm", l), l);
    if (experts > 0) {
      add_experts(l);
      continue;
    }
    if (mlp == MlpKind::swiglu) add_linear(l, "w_gate", "", mlp_width, width);
    add_linear(l, "w_up", "b_up", mlp_width, width);
    add_sub_norm(l, "down_norm", mlp_width);
    add_linear(l, "w_down", "b_down", width, mlp_width);
  }
  add_norm("final_norm", -1);
  if (head == Head::untied) layout.add("head.weight", -1, Role::head, vocabulary, width);
  if (head_bias) layout.add("head.bias", -1, Role::bias, 1, vocabulary);
  return layout;
}

std::string name_of(const OnlineRotations& rotations) {
  std::vector<std::string> sites;
  if (rotations.heads) sites.push_back("heads");
  if (rotations.mlp) sites.push_back("mlp");
  if (rotations.qk) sites.push_back("qk");
  return sites.empty() ? "none" : fmt::format("{}", fmt::join(sites, "+"));
}

Activation activation_of(MlpKind kind) {
  EXPECTS(kind != MlpKind::swiglu, "activation_of: swiglu has a gate and is no elementwise function");
  return kind == MlpKind::gelu_erf ? Activation::gelu : Activation::gelu_tanh;
}

TransformerOptions gpt2_style(TransformerOptions options) {
  options.norm = Norm::layer;
  options.position = Positions::learned;
  options.mlp = MlpKind::gelu;
  options.head = Head::tied;
  options.bias = true;
  options.kv_heads = options.heads;
  return options;
}

}  // namespace hone
