#include "sim/import/folder_config.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/error.hpp"
#include "sim/import/json_file.hpp"
#include "sim/import/rope_config.hpp"

namespace hone {
namespace {

using nlohmann::json;

constexpr Index largest_vocabulary = 65536;  // token ids have 16 bits
// Far above every public model of these families, and small enough that no product of them overflows.
constexpr Index most_heads = 4096, most_mlp = 1 << 20, most_positions = 1 << 24;

/// Names of one function in the library's table of activations. gelu_fast and gelu_accurate write the tanh form with
/// constants of their own, which differ from it by 4e-12.
constexpr std::array exact_gelu = {"gelu", "gelu_python"};
constexpr std::array tanh_gelu = {"gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate"};
constexpr std::array silu = {"silu", "swish"};

template <size_t N>
bool is_one_of(const std::string& name, const std::array<const char*, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The elementwise function of an MLP without gate.
MlpKind mlp_kind(const JsonFields& fields, const std::string& name, const std::string& fallback) {
  const std::string kind = fields.text(name, fallback);
  if (is_one_of(kind, exact_gelu)) return MlpKind::gelu_erf;
  if (is_one_of(kind, tanh_gelu)) return MlpKind::gelu;
  fields.refuse(name, fmt::format("{}, {}", fmt::join(exact_gelu, ", "), fmt::join(tanh_gelu, ", ")));
}

/// A window of at least `positions` tokens hides no token of a context.
void refuse_windows(const JsonFields& fields, Index positions) {
  if (!fields.flag("use_sliding_window", true)) return;
  for (const char* name : {"sliding_window", "attention_window"}) {
    if (!fields.has(name)) continue;
    const json& window = fields.object().at(name);
    const bool is_wide = window.is_number() && window.get<double>() >= double(positions);
    if (window != json(false) && !is_wide)
      fields.refuse(name, fmt::format("null, or at least the context of {} tokens", positions));
  }
}

/// Fields that change the forward pass in every family, and that hone does not have.
void refuse_extensions(const JsonFields& fields) {
  for (const char* name : {"num_local_experts", "num_experts", "n_routed_experts", "num_experts_per_tok"})
    fields.demand(name, 0, "null or 0, one MLP per layer");
  fields.demand("quantization_config", nullptr, "null, weights that are not quantized");
  for (const char* name : {"logit_scale", "logits_scaling", "residual_multiplier", "embedding_multiplier"})
    fields.demand(name, 1.0, "1");
  for (const char* name :
       {"final_logit_softcapping", "attn_logit_softcapping", "qk_layernorm", "use_qk_norm", "qk_norm", "clip_qkv"})
    fields.demand(name, false, "null");
  if (!fields.has("layer_types")) return;
  const json& types = fields.object().at("layer_types");
  const auto is_full = [](const json& type) { return type == json("full_attention"); };
  if (!types.is_array() || !std::all_of(types.begin(), types.end(), is_full))
    fields.refuse("layer_types", "null, or full_attention in every layer");
}

Head head_kind(const JsonFields& fields, bool is_tied) {
  return fields.flag("tie_word_embeddings", is_tied) ? Head::tied : Head::untied;
}

void check_heads(const JsonFields& fields, const TransformerOptions& o) {
  if (!o.head_channels && o.width % o.heads != 0)
    throw OptionError(fmt::format("{}: {} attention heads do not divide the width {} (supported: a divisor)",
                                  fields.origin(), o.heads, o.width));
}

TransformerOptions llama_options(const JsonFields& fields) {
  TransformerOptions o;
  o.vocabulary = fields.count({"vocab_size"}, 32000, largest_vocabulary);
  o.width = fields.count({"hidden_size"}, 4096);
  o.mlp_width = fields.count({"intermediate_size"}, 11008, most_mlp);
  o.layers = fields.count({"num_hidden_layers"}, 32, most_imported_layers);
  o.heads = fields.count({"num_attention_heads"}, 32, most_heads);
  o.kv_heads = fields.count({"num_key_value_heads"}, o.heads, most_heads);
  o.positions = fields.count({"max_position_embeddings"}, 2048, most_positions);
  if (fields.has("head_dim")) o.head_channels = fields.count({"head_dim"}, {}, 4096);
  check_heads(fields, o);
  if (o.head_channels && *o.head_channels * o.heads == o.width) o.head_channels.reset();
  o.norm_eps = fields.number({"rms_norm_eps"}, 1e-6);
  if (!is_one_of(fields.text("hidden_act", "silu"), silu))
    fields.refuse("hidden_act", fmt::format("{}", fmt::join(silu, ", ")));
  fields.demand("mlp_bias", false, "false");
  if (fields.flag("attention_bias", false)) o.attention_bias = true;
  o.head = head_kind(fields, false);
  read_rope(fields, {}, o);
  return o;
}

TransformerOptions gpt2_options(const JsonFields& fields) {
  TransformerOptions o;
  o.vocabulary = fields.count({"vocab_size"}, 50257, largest_vocabulary);
  o.width = fields.count({"n_embd", "hidden_size"}, 768);
  o.layers = fields.count({"n_layer", "num_hidden_layers"}, 12, most_imported_layers);
  o.heads = fields.count({"n_head", "num_attention_heads"}, 12, most_heads);
  o.mlp_width = fields.count({"n_inner"}, 4 * o.width, most_mlp);
  o.positions = fields.count({"n_positions", "max_position_embeddings", "n_ctx"}, 1024, most_positions);
  check_heads(fields, o);
  o = gpt2_style(o);
  o.norm_eps = fields.number({"layer_norm_epsilon"}, 1e-5);
  o.mlp = mlp_kind(fields, "activation_function", "gelu_new");
  fields.demand("scale_attn_weights", true, "true");
  fields.demand("scale_attn_by_inverse_layer_idx", false, "false");
  fields.demand("add_cross_attention", false, "false");
  o.head = head_kind(fields, true);
  return o;
}

TransformerOptions gpt_neox_options(const JsonFields& fields) {
  TransformerOptions o;
  o.vocabulary = fields.count({"vocab_size"}, 50432, largest_vocabulary);
  o.width = fields.count({"hidden_size"}, 6144);
  o.mlp_width = fields.count({"intermediate_size"}, 24576, most_mlp);
  o.layers = fields.count({"num_hidden_layers"}, 44, most_imported_layers);
  o.heads = fields.count({"num_attention_heads"}, 64, most_heads);
  o.positions = fields.count({"max_position_embeddings"}, 2048, most_positions);
  check_heads(fields, o);
  o = gpt2_style(o);
  o.position = Positions::rope_half;
  o.norm_eps = fields.number({"layer_norm_eps"}, 1e-5);
  o.mlp = mlp_kind(fields, "hidden_act", "gelu");
  o.residual = fields.flag("use_parallel_residual", true) ? Residual::parallel : Residual::sequential;
  if (!fields.flag("attention_bias", true)) o.attention_bias = false;
  o.head = head_kind(fields, false);
  read_rope(fields, {.share = 0.25, .is_partial = true}, o);
  return o;
}

}  // namespace

Index chosen_positions(const std::string& file, Index stored, std::optional<Index> positions) {
  if (positions && (*positions < 1 || *positions > stored))
    throw OptionError(fmt::format("{}: context = {} asked for, the checkpoint has {} positions; ask for 1 to {}", file,
                                  *positions, stored, stored));
  return positions.value_or(stored);
}

FolderConfig read_folder_config(const std::filesystem::path& file, std::optional<Index> positions) {
  const json object = read_json(file);
  const JsonFields fields(object, file.string());
  FolderConfig config;
  const std::string family = fields.text("model_type", {});
  if (family != "llama" && family != "gpt2" && family != "gpt_neox")
    fields.refuse("model_type", "gpt2, gpt_neox, llama");
  refuse_extensions(fields);
  config.family = family == "llama" ? Family::llama : family == "gpt2" ? Family::gpt2 : Family::gpt_neox;
  switch (config.family) {
    case Family::llama: config.options = llama_options(fields); break;
    case Family::gpt2: config.options = gpt2_options(fields); break;
    case Family::gpt_neox: config.options = gpt_neox_options(fields); break;
  }
  config.stored_positions = config.options.positions;
  refuse_windows(fields, config.stored_positions);
  config.options.positions = chosen_positions(fields.origin(), config.stored_positions, positions);
  try {
    config.options.validate();
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("{}: {}", fields.origin(), error.what()));
  }
  return config;
}

}  // namespace hone
