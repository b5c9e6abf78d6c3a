#include "sim/import/folder_config.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/error.hpp"
#include "sim/import/json_file.hpp"

namespace hone {
namespace {

using nlohmann::json;

constexpr Index largest_vocabulary = 65536;  // token ids have 16 bits
// Far above every public model of these families, and small enough that no product of them overflows.
constexpr Index most_heads = 4096, most_mlp = 1 << 20, most_positions = 1 << 24;

/// The elementwise function of the MLP. gelu_fast differs from the tanh form by 4e-12 in one constant.
MlpKind mlp_kind(const JsonFields& fields, const std::string& name, const std::string& fallback) {
  const std::string kind = fields.text(name, fallback);
  if (kind == "gelu") return MlpKind::gelu_erf;
  if (kind != "gelu_new" && kind != "gelu_pytorch_tanh" && kind != "gelu_fast")
    fields.refuse(name, "gelu, gelu_new, gelu_pytorch_tanh, gelu_fast");
  return MlpKind::gelu;
}

/// Fields that change the forward pass in every family, and that hone does not have.
void refuse_extensions(const JsonFields& fields) {
  for (const char* name : {"sliding_window", "attention_window", "use_sliding_window"})
    if (fields.has(name) && fields.object().at(name) != json(false)) fields.refuse(name, "null");
  for (const char* name : {"num_local_experts", "num_experts", "n_routed_experts", "num_experts_per_tok"})
    if (fields.has(name)) fields.refuse(name, "null, one MLP per layer");
  fields.demand("quantization_config", nullptr, "null, weights that are not quantized");
  fields.demand("logit_scale", 1.0, "1");
  for (const char* name : {"final_logit_softcapping", "attn_logit_softcapping", "residual_multiplier",
                           "embedding_multiplier", "qk_layernorm", "use_qk_norm", "qk_norm", "layer_types"}) {
    if (!fields.has(name)) continue;
    const json& value = fields.object().at(name);
    const bool is_harmless = value == json(false) || value == json(1.0) ||
                             (value.is_array() && std::all_of(value.begin(), value.end(), [](const json& type) {
                                return type == json("full_attention");
                              }));
    if (!is_harmless) fields.refuse(name, "null");
  }
}

/// Base and turned share of rotary positions: in `rope_parameters` of newer files, in fields of their own before.
void read_rope(const JsonFields& fields, double share, TransformerOptions& o) {
  const auto refuse_scaling = [](const JsonFields& rope) {
    for (const char* name : {"rope_type", "type"}) rope.demand(name, "default", "default, rotary positions as trained");
  };
  if (fields.has("rope_scaling")) {
    const json& scaling = fields.object().at("rope_scaling");
    if (!scaling.is_object() || !(scaling.contains("rope_type") || scaling.contains("type")))
      fields.refuse("rope_scaling", "null");
    refuse_scaling(JsonFields(scaling, fields.origin() + " rope_scaling"));
  }
  const json none = json::object();
  const JsonFields newer(fields.has("rope_parameters") ? fields.object().at("rope_parameters") : none,
                         fields.origin() + " rope_parameters");
  refuse_scaling(newer);
  const double older_base = fields.number({"rotary_emb_base", "rope_theta"}, 10000.0);
  o.rope_base = newer.number({"rope_theta"}, older_base);
  if (!(o.rope_base > 1 && o.rope_base <= 1e12))
    throw OptionError(fmt::format("{}: rope_theta = {} (supported: above 1, to 1e12)", fields.origin(), o.rope_base));
  share = newer.number({"partial_rotary_factor"}, fields.number({"rotary_pct", "partial_rotary_factor"}, share));
  const Index turned = share > 0 && share <= 1 ? Index(double(o.head_width()) * share) : 0;
  if (turned < 2 || turned % 2 != 0)
    throw OptionError(fmt::format("{}: rotary_pct = {} turns {} of {} channels of a head (supported: an even number)",
                                  fields.origin(), share, turned, o.head_width()));
  if (turned != o.head_width()) o.rotary_width = turned;
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
  fields.demand("hidden_act", "silu", "silu");
  fields.demand("mlp_bias", false, "false");
  fields.demand("pretraining_tp", 1, "1");
  if (fields.flag("attention_bias", false)) o.attention_bias = true;
  o.head = head_kind(fields, false);
  read_rope(fields, 1.0, o);
  return o;
}

TransformerOptions gpt2_options(const JsonFields& fields) {
  TransformerOptions o;
  o.vocabulary = fields.count({"vocab_size"}, 50257, largest_vocabulary);
  o.width = fields.count({"n_embd"}, 768);
  o.layers = fields.count({"n_layer"}, 12, most_imported_layers);
  o.heads = fields.count({"n_head"}, 12, most_heads);
  o.mlp_width = fields.count({"n_inner"}, 4 * o.width, most_mlp);
  o.positions = fields.count({"n_positions", "n_ctx"}, 1024, most_positions);
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
  read_rope(fields, 0.25, o);
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
  config.options.positions = chosen_positions(fields.origin(), config.stored_positions, positions);
  try {
    config.options.validate();
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("{}: {}", fields.origin(), error.what()));
  }
  return config;
}

}  // namespace hone
