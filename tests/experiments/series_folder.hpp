// Series of checkpoints made on the spot: Hugging Face folders of random models that grow sharper from step to step, each
// with a tokenizer of single bytes.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/base/atomic_file.hpp"
#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"
#include "tests/experiments/checkpoint.hpp"

namespace hone::test {

/// Tensors of random numbers as a safetensors file.
class TensorFile {
 public:
  TensorFile(std::uint64_t seed, double scale) : seed_(seed), scale_(scale) {}

  /// A matrix of normal entries of variance scale²/cols.
  void matrix(const std::string& name, Index rows, Index cols) {
    std::vector<float> values(size_t(rows * cols));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = float(scale_ * normal({seed_, Domain::test, number_}, i) / std::sqrt(double(cols)));
    add(name, fmt::format("{}, {}", rows, cols), values);
  }
  void vector(const std::string& name, Index size, float value) {
    add(name, fmt::format("{}", size), std::vector<float>(size_t(size), value));
  }
  void write(const std::filesystem::path& path) const {
    const std::string header = "{" + header_ + "}";
    const std::uint64_t length = header.size();
    std::string file(8, '\0');
    std::memcpy(file.data(), &length, 8);
    write_text_atomically(path, file + header + data_);
  }

 private:
  void add(const std::string& name, const std::string& shape, const std::vector<float>& values) {
    ++number_;
    header_ += fmt::format(R"({}"{}": {{"dtype": "F32", "shape": [{}], "data_offsets": [{}, {}]}})",
                           header_.empty() ? "" : ", ", name, shape, data_.size(), data_.size() + 4 * values.size());
    data_.append(reinterpret_cast<const char*>(values.data()), 4 * values.size());
  }

  std::uint64_t seed_;
  double scale_;
  std::string header_, data_;
  std::uint32_t number_ = 0;
};

inline std::string byte_tokenizer() {
  return fmt::format(R"({{"version": "1.0", "model": {{"type": "BPE", "vocab": {{{}}}, "merges": []}},
"pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}},
"decoder": {{"type": "ByteLevel"}}, "added_tokens": []}})",
                     byte_vocabulary());
}

/// A random Llama of 16 channels; `step` moves its weights and makes them larger.
inline void write_llama(const std::filesystem::path& folder, std::uint64_t seed, int step, Index layer_count = 1) {
  constexpr Index channels = 16, inner = 32;
  std::filesystem::create_directories(folder);
  write_text_atomically(
      folder / "config.json",
      fmt::format(R"({{"model_type": "llama", "hidden_size": {}, "intermediate_size": {}, "num_hidden_layers": {},
"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 256, "max_position_embeddings": 64,
"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true}})",
                  channels, inner, layer_count));
  write_text_atomically(folder / "tokenizer.json", byte_tokenizer());
  TensorFile file(seed, 0.5 + 0.1 * std::log(double(step)));
  file.matrix("model.embed_tokens.weight", 256, channels);
  file.vector("model.norm.weight", channels, 1);
  for (Index l = 0; l < layer_count; ++l) {
    const std::string layer = fmt::format("model.layers.{}.", l);
    for (const char* name : {"q", "o"})
      file.matrix(layer + fmt::format("self_attn.{}_proj.weight", name), channels, channels);
    for (const char* name : {"k", "v"})
      file.matrix(layer + fmt::format("self_attn.{}_proj.weight", name), channels / 2, channels);
    file.matrix(layer + "mlp.gate_proj.weight", inner, channels);
    file.matrix(layer + "mlp.up_proj.weight", inner, channels);
    file.matrix(layer + "mlp.down_proj.weight", channels, inner);
    file.vector(layer + "input_layernorm.weight", channels, 1);
    file.vector(layer + "post_attention_layernorm.weight", channels, 1);
  }
  file.write(folder / "model.safetensors");
}

/// A random GPT-NeoX of one layer.
inline void write_neox(const std::filesystem::path& folder, std::uint64_t seed, Index channels) {
  std::filesystem::create_directories(folder);
  write_text_atomically(
      folder / "config.json",
      fmt::format(R"({{"model_type": "gpt_neox", "hidden_size": {}, "intermediate_size": {}, "num_hidden_layers": 1,
"num_attention_heads": 2, "vocab_size": 256, "max_position_embeddings": 2048, "rotary_pct": 0.25,
"rotary_emb_base": 10000, "layer_norm_eps": 1e-5, "hidden_act": "gelu", "use_parallel_residual": true,
"tie_word_embeddings": false}})",
                  channels, 4 * channels));
  write_text_atomically(folder / "tokenizer.json", byte_tokenizer());
  TensorFile file(seed, 1);
  const auto linear = [&](const std::string& name, Index rows, Index cols) {
    file.matrix(name + ".weight", rows, cols);
    file.vector(name + ".bias", rows, 0.01f);
  };
  const auto norm = [&](const std::string& name) {
    file.vector(name + ".weight", channels, 1);
    file.vector(name + ".bias", channels, 0);
  };
  file.matrix("gpt_neox.embed_in.weight", 256, channels);
  norm("gpt_neox.layers.0.input_layernorm"), norm("gpt_neox.layers.0.post_attention_layernorm");
  linear("gpt_neox.layers.0.attention.query_key_value", 3 * channels, channels);
  linear("gpt_neox.layers.0.attention.dense", channels, channels);
  linear("gpt_neox.layers.0.mlp.dense_h_to_4h", 4 * channels, channels);
  linear("gpt_neox.layers.0.mlp.dense_4h_to_h", channels, 4 * channels);
  norm("gpt_neox.final_layer_norm");
  file.matrix("embed_out.weight", 256, channels);
  file.write(folder / "model.safetensors");
}

}  // namespace hone::test
