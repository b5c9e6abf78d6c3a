// config.json: what each family's fields mean, and that nothing hone cannot express slips through.
#include "sim/import/folder_config.hpp"

#include "sim/base/error.hpp"
#include "tests/import/stored.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

const json llama = {{"model_type", "llama"},      {"vocab_size", 40},       {"hidden_size", 16},
                    {"intermediate_size", 20},    {"num_hidden_layers", 2}, {"num_attention_heads", 4},
                    {"num_key_value_heads", 2},   {"hidden_act", "silu"},   {"max_position_embeddings", 64},
                    {"rms_norm_eps", 1e-6},       {"rope_theta", 500000.0}, {"rope_scaling", nullptr},
                    {"tie_word_embeddings", true}};
const json gpt2 = {{"model_type", "gpt2"}, {"vocab_size", 40}, {"n_embd", 16},      {"n_layer", 2},
                   {"n_head", 4},          {"n_ctx", 32},      {"n_inner", nullptr}};
const json neox = {
    {"model_type", "gpt_neox"}, {"vocab_size", 40},         {"hidden_size", 32},           {"intermediate_size", 64},
    {"num_hidden_layers", 2},   {"num_attention_heads", 2}, {"hidden_act", "gelu"},        {"rotary_pct", 0.25},
    {"rotary_emb_base", 5000},  {"layer_norm_eps", 1e-5},   {"tie_word_embeddings", false}};

TransformerOptions options_of(json config, const json& change = json::object()) {
  const TemporaryFolder folder;
  config.update(change);
  return read_folder_config(folder.write("config.json", config.dump())).options;
}

TEST_SUITE_BEGIN("import");

TEST_CASE("config: Llama's fields, and defaults where they are absent") {
  TransformerOptions o = options_of(llama);
  CHECK(o.kv_heads == 2);
  CHECK(o.norm_eps == 1e-6);
  CHECK(o.rope_base == 500000);
  CHECK(o.position == Positions::rope_half);
  CHECK(o.mlp == MlpKind::swiglu);
  CHECK(o.norm == Norm::rms);
  CHECK(o.head == Head::tied);
  CHECK(o.positions == 64);
  CHECK_FALSE(o.head_channels.has_value());
  CHECK_FALSE(o.attention_bias.has_value());
  o = options_of(llama, {{"head_dim", 8}, {"attention_bias", true}, {"num_key_value_heads", nullptr}});
  CHECK(o.head_width() == 8);
  CHECK(o.attention_bias == true);
  CHECK(o.kv_heads == 4);
  json bare = llama;
  for (const char* name : {"tie_word_embeddings", "rope_theta", "rms_norm_eps"}) bare.erase(name);
  o = options_of(bare, {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 700.0}}}});
  CHECK(o.head == Head::untied);
  CHECK(o.rope_base == 700);
  CHECK(options_of(bare).rope_base == 10000);
}

TEST_CASE("config: GPT-2's fields, with a default MLP of four times the width") {
  const TransformerOptions o = options_of(gpt2);
  CHECK(o.mlp_width == 64);
  CHECK(o.positions == 32);
  CHECK(o.position == Positions::learned);
  CHECK(o.mlp == MlpKind::gelu);
  CHECK(o.norm == Norm::layer);
  CHECK(o.bias);
  CHECK(o.head == Head::tied);
  CHECK(options_of(gpt2, {{"activation_function", "gelu"}}).mlp == MlpKind::gelu_erf);
  CHECK(options_of(gpt2, {{"tie_word_embeddings", false}}).head == Head::untied);
}

TEST_CASE("config: GPT-NeoX's fields, old and new names of the rotary ones") {
  TransformerOptions o = options_of(neox);
  CHECK(o.rotary_width == 4);
  CHECK(o.rope_base == 5000);
  CHECK(o.residual == Residual::parallel);
  CHECK(o.mlp == MlpKind::gelu_erf);
  CHECK(o.head == Head::untied);
  CHECK(o.positions == 2048);
  o = options_of(neox, {{"use_parallel_residual", false},
                        {"attention_bias", false},
                        {"hidden_act", "gelu_new"},
                        {"rope_parameters", {{"partial_rotary_factor", 1.0}, {"rope_theta", 300}}}});
  CHECK(o.residual == Residual::sequential);
  CHECK(o.attention_bias == false);
  CHECK(o.mlp == MlpKind::gelu);
  CHECK_FALSE(o.rotary_width.has_value());
  CHECK(o.rope_base == 300);
}

TEST_CASE("config: every name of a function in the library's table means that function") {
  for (const char* name : {"gelu", "gelu_python"}) {
    CHECK(options_of(gpt2, {{"activation_function", name}}).mlp == MlpKind::gelu_erf);
    CHECK(options_of(neox, {{"hidden_act", name}}).mlp == MlpKind::gelu_erf);
  }
  for (const char* name : {"gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"}) {
    CHECK(options_of(gpt2, {{"activation_function", name}}).mlp == MlpKind::gelu);
    CHECK(options_of(neox, {{"hidden_act", name}}).mlp == MlpKind::gelu);
  }
  CHECK(options_of(llama, {{"hidden_act", "swish"}}) == options_of(llama));
}

TEST_CASE("config: a setting that changes nothing is read as if it were absent") {
  const json harmless[] = {{{"rope_scaling", {{"type", "linear"}, {"factor", 1.0}}}},
                           {{"rope_scaling", {{"type", "default"}}}},
                           {{"rope_scaling", {{"rope_type", "default"}, {"type", "default"}, {"factor", 1}}}},
                           {{"rope_scaling", {{"factor", 1.0}}}},
                           {{"rope_scaling", json::object()}},
                           {{"rope_scaling",
                             {{"rope_type", "llama3"},
                              {"factor", 1.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 32}}}},
                           {{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 1.0}}}},
                           {{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 500000.0}}}},
                           {{"rope_parameters", {{"rope_theta", 500000.0}}},
                            {"rope_scaling", {{"rope_type", "default"}, {"rope_theta", 500000}}}},
                           {{"partial_rotary_factor", 1.0}},
                           {{"sliding_window", nullptr}},
                           {{"sliding_window", 64}},
                           {{"sliding_window", 4096}, {"use_sliding_window", true}},
                           {{"sliding_window", 16}, {"use_sliding_window", false}},
                           {{"use_sliding_window", true}},
                           {{"layer_types", {"full_attention", "full_attention"}}},
                           {{"pretraining_tp", 2}},
                           {{"attention_dropout", 0.1}},
                           {{"num_local_experts", 0}},
                           {{"num_experts_per_tok", 0}},
                           {{"logits_scaling", 1}},
                           {{"final_logit_softcapping", nullptr}},
                           {{"qk_layernorm", false}},
                           {{"head_dim", nullptr}},
                           {{"head_dim", 4}},
                           {{"quantization_config", nullptr}}};
  for (const json& change : harmless) {
    CAPTURE(change.dump());
    CHECK(options_of(llama, change) == options_of(llama));
  }
  CHECK(options_of(neox, {{"rope_scaling", {{"type", "linear"}, {"factor", 1.0}}}}) == options_of(neox));
  json renamed = gpt2;
  renamed.erase("n_embd"), renamed.erase("n_layer"), renamed.erase("n_head"), renamed.erase("n_ctx");
  renamed.update({{"hidden_size", 16}, {"num_hidden_layers", 2}, {"num_attention_heads", 4}});
  renamed["max_position_embeddings"] = 32;
  CHECK(options_of(renamed) == options_of(gpt2));
}

TEST_CASE("config: scaled rotary frequencies, in the older object and in the newer one") {
  const json llama3 = {{"rope_type", "llama3"},
                       {"factor", 8.0},
                       {"low_freq_factor", 1.0},
                       {"high_freq_factor", 4.0},
                       {"original_max_position_embeddings", 32}};
  const RopeScaling expected{RopeScalingRule::llama3, 8, 1, 4, 32};
  CHECK(options_of(llama, {{"rope_scaling", llama3}}).rope_scaling == expected);
  json newer = llama3;
  newer["rope_theta"] = 700.0;
  const TransformerOptions o = options_of(llama, {{"rope_parameters", newer}, {"rope_theta", nullptr}});
  CHECK(o.rope_scaling == expected);
  CHECK(o.rope_base == 700);
  json short_of = llama3;
  short_of.erase("original_max_position_embeddings");
  CHECK(options_of(llama, {{"rope_scaling", short_of}}).rope_scaling.original_positions == 64);
  CHECK(options_of(llama, {{"rope_scaling", {{"type", "linear"}, {"factor", 4}}}}).rope_scaling ==
        RopeScaling{.rule = RopeScalingRule::linear, .factor = 4});
  const RopeScaling dynamic = options_of(llama, {{"rope_scaling", {{"type", "dynamic"}, {"factor", 2}}}}).rope_scaling;
  CHECK(dynamic == RopeScaling{.rule = RopeScalingRule::dynamic, .original_positions = 64});

  const auto answer = [](const json& change) {
    std::string message = message_of<Error>([&] { options_of(llama, change); });
    return message;
  };
  short_of.erase("factor");
  CHECK(mentions(answer({{"rope_scaling", short_of}}), "rope_scaling: the field 'factor' is missing"));
  json crossed = llama3;
  crossed["high_freq_factor"] = 1.0;
  CHECK(
      mentions(answer({{"rope_scaling", crossed}}), "high_freq_factor = 1 (expected a number above low_freq_factor)"));
  crossed["high_freq_factor"] = 4.0, crossed["factor"] = 0;
  CHECK(mentions(answer({{"rope_scaling", crossed}}), "factor = 0 (expected a number above 0)"));
  CHECK(mentions(answer({{"rope_scaling", llama3}, {"rope_parameters", {{"rope_theta", 500000.0}}}}),
                 "supported: null, or the same as rope_parameters"));
}

TEST_CASE("config: every value that hone cannot express is refused with file, field, value and what is supported") {
  const auto refused = [](const json& family, const json& change, const char* part) {
    const std::string message = message_of<OptionError>([&] { options_of(family, change); });
    CHECK_MESSAGE(mentions(message, part), part << " is not in: " << message);
    CHECK(mentions(message, "config.json"));
    CHECK(mentions(message, "supported: "));
  };
  refused(llama, {{"model_type", "mixtral"}}, "model_type = \"mixtral\"");
  refused(llama, {{"rope_scaling", {{"type", "longrope"}, {"factor", 2.0}}}}, "rope_scaling: type = \"longrope\"");
  refused(llama, {{"rope_scaling", {{"type", "yarn"}, {"factor", 2.0}}}}, "rope_scaling: type = \"yarn\"");
  refused(llama, {{"rope_scaling", {{"factor", 2.0}}}}, "rope_scaling: factor = 2.0");
  refused(llama, {{"rope_scaling", {{"rope_type", "default"}, {"factor", 2.0}}}}, "rope_scaling: factor = 2.0");
  refused(llama, {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 2.0}, {"attention_factor", 1.2}}}},
          "attention_factor = 1.2");
  refused(llama, {{"partial_rotary_factor", 0.5}}, "partial_rotary_factor = 0.5");
  refused(llama, {{"sliding_window", 63}},
          "sliding_window = 63 (supported: null, or at least the context of 64 tokens)");
  refused(llama, {{"final_logit_softcapping", 1.0}}, "final_logit_softcapping = 1.0");
  refused(llama, {{"embedding_multiplier", 12.0}}, "embedding_multiplier = 12.0");
  refused(llama, {{"layer_types", {"full_attention", "sliding_attention"}}}, "layer_types = ");
  refused(llama, {{"num_local_experts", 8}}, "num_local_experts = 8");
  refused(llama, {{"quantization_config", {{"bits", 4}}}}, "quantization_config = {\"bits\":4}");
  refused(llama, {{"hidden_act", "gelu"}}, "hidden_act = \"gelu\"");
  refused(llama, {{"mlp_bias", true}}, "mlp_bias = true");
  refused(llama, {{"vocab_size", 128256}}, "vocab_size = 128256 (supported: 1 to 65536)");
  refused(llama, {{"num_hidden_layers", 0}}, "num_hidden_layers = 0");
  refused(llama, {{"hidden_size", std::uint64_t(1) << 63}}, "hidden_size = 9223372036854775808");
  refused(llama, {{"num_attention_heads", 3}}, "3 attention heads do not divide the width 16");
  refused(llama, {{"rope_theta", -1.0}}, "rope_theta = -1");
  refused(gpt2, {{"activation_function", "relu"}}, "activation_function = \"relu\"");
  refused(gpt2, {{"scale_attn_by_inverse_layer_idx", true}}, "scale_attn_by_inverse_layer_idx = true");
  refused(gpt2, {{"add_cross_attention", true}}, "add_cross_attention = true");
  refused(neox, {{"hidden_act", "gelu_quick"}}, "hidden_act = \"gelu_quick\"");
  refused(neox, {{"rotary_pct", 0.2}}, "rotary_pct = 0.2 turns 3 of 16 channels");
  refused(neox, {{"rotary_pct", 1.5}}, "rotary_pct = 1.5");
}

TEST_CASE("config: fields of another type, missing family, no JSON -> FormatError naming file and field") {
  const auto wrong = [](const json& change) { return message_of<FormatError>([&] { options_of(llama, change); }); };
  CHECK(mentions(wrong({{"hidden_size", "16"}}), "config.json: hidden_size = \"16\" is not a whole number"));
  CHECK(mentions(wrong({{"hidden_size", 16.5}}), "is not a whole number"));
  CHECK(mentions(wrong({{"rms_norm_eps", "small"}}), "rms_norm_eps = \"small\" is not a number"));
  CHECK(mentions(wrong({{"tie_word_embeddings", 1}}), "tie_word_embeddings = 1 is not true or false"));
  CHECK(mentions(wrong({{"model_type", nullptr}}), "the field 'model_type' is missing"));
  CHECK(mentions(wrong({{"rope_parameters", 3}}), "rope_parameters: holds 3 where an object is due"));
  const TemporaryFolder folder;
  const auto text = [&](const char* content) {
    return message_of<FormatError>([&] { read_folder_config(folder.write("config.json", content)); });
  };
  CHECK(mentions(text("{"), "config.json: not JSON"));
  CHECK(mentions(text("[]"), "holds [] where an object is due"));
  CHECK(mentions(text("{\"model_type\":\"llama\",\"model_type\":\"gpt2\"}"), "the key \"model_type\" is there twice"));
}

TEST_CASE("config: a norm epsilon of zero, or heads that share keys unevenly -> OptionError naming the file") {
  CHECK(mentions(message_of<OptionError>([&] { options_of(llama, {{"rms_norm_eps", 0.0}}); }), "norm_eps = 0"));
  CHECK(mentions(message_of<OptionError>([&] {
                   options_of(llama, {{"num_key_value_heads", 3}});
                 }),
                 "config.json: model: kv_heads = 3 does not divide heads = 4"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
