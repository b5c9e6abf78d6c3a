// A public checkpoint made on the spot: a Hugging Face folder of a random Llama with a tokenizer of single bytes, and a
// text to look at it with. What the tests of the commands on checkpoints start from.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "sim/base/atomic_file.hpp"
#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/temporary_folder.hpp"

namespace hone::test {

inline constexpr Index width = 16, mlp = 32, layers = 2, context = 32;

/// The printable stand-in of each byte in a byte-level vocabulary.
inline std::string byte_vocabulary() {
  std::string entries;
  int spare = 256;
  for (int b = 0; b < 256; ++b) {
    const bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    entries += fmt::format("{}\"\\u{:04x}\": {}", b ? ", " : "", plain ? b : spare++, b);
  }
  return entries;
}

/// Llama of the sizes above.
class Checkpoint {
 public:
  Checkpoint() {
    write("config.json",
          fmt::format(R"({{"model_type": "llama", "hidden_size": {}, "intermediate_size": {}, "num_hidden_layers": {},
"num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 256, "max_position_embeddings": {},
"rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false}})",
                      width, mlp, layers, context));
    write("tokenizer.json",
          fmt::format(R"({{"version": "1.0", "model": {{"type": "BPE", "vocab": {{{}}}, "merges": []}},
"pre_tokenizer": {{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}},
"decoder": {{"type": "ByteLevel"}}, "added_tokens": []}})",
                      byte_vocabulary()));
    add("model.embed_tokens.weight", 256, width);
    add("lm_head.weight", 256, width);
    add("model.norm.weight", width, 0);
    for (Index l = 0; l < layers; ++l) {
      const std::string layer = fmt::format("model.layers.{}.", l);
      for (const char* name : {"q", "k", "v", "o"})
        add(layer + fmt::format("self_attn.{}_proj.weight", name), width, width);
      add(layer + "mlp.gate_proj.weight", mlp, width);
      add(layer + "mlp.up_proj.weight", mlp, width);
      add(layer + "mlp.down_proj.weight", width, mlp);
      add(layer + "input_layernorm.weight", width, 0);
      add(layer + "post_attention_layernorm.weight", width, 0);
    }
    const std::string header = "{" + header_ + "}";
    const std::uint64_t length = header.size();
    std::string file(8, '\0');
    std::memcpy(file.data(), &length, 8);
    write("model.safetensors", file + header + data_);
    std::string text;
    for (int i = 0; i < 120; ++i) text += fmt::format("The {} sheep of the {} hill slept; ", i * i % 17, i % 5);
    write("text.txt", text);
  }

  std::string path() const { return folder_.path().string(); }
  std::filesystem::path out() const { return folder_.path() / "out" / "m.h5"; }
  std::filesystem::path file(const char* name) const { return folder_.path() / name; }

 private:
  void write(const char* name, const std::string& content) { write_text_atomically(folder_.path() / name, content); }
  /// A matrix of normal entries, or a vector of ones.
  void add(const std::string& name, Index rows, Index cols) {
    const Index count = rows * std::max<Index>(cols, 1);
    std::vector<float> values(size_t(count), 1.0f);
    if (cols > 0)
      for (Index i = 0; i < count; ++i)
        values[size_t(i)] = float(normal({7, Domain::test, number_}, std::uint64_t(i)) / std::sqrt(double(cols)));
    ++number_;
    const std::string shape = cols > 0 ? fmt::format("{}, {}", rows, cols) : fmt::format("{}", rows);
    header_ += fmt::format(R"({}"{}": {{"dtype": "F32", "shape": [{}], "data_offsets": [{}, {}]}})",
                           header_.empty() ? "" : ", ", name, shape, data_.size(), data_.size() + 4 * size_t(count));
    data_.append(reinterpret_cast<const char*>(values.data()), 4 * size_t(count));
  }

  TemporaryFolder folder_;
  std::string header_, data_;
  std::uint32_t number_ = 0;
};

}  // namespace hone::test
