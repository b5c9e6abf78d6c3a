// Folders whose tensors do not fit the config: missing, unexpected, twice, of another shape, redundant, renamed.
#include "sim/import/folder_weights.hpp"

#include <cmath>
#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "sim/import/safetensors.hpp"
#include "tests/import/stored.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

using nlohmann::json;
using Tensors = std::map<std::string, std::pair<std::vector<Index>, std::vector<double>>>;

Tensors stored_tensors(const std::string& name) {
  Tensors tensors;
  for (const auto& entry : fs::directory_iterator(stored_folder(name)))
    if (entry.path().filename().string().starts_with("model") && entry.path().extension() == ".safetensors")
      for (const StoredTensor& t : list_safetensors(entry.path()))
        tensors[t.name] = {t.shape, read_tensor(entry.path(), t)};
  return tensors;
}

std::string safetensors_of(const Tensors& tensors) {
  json header = json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = data.size();
    for (const double value : tensor.second) data += bytes_of(value);
    header[name] = {{"dtype", "F64"}, {"shape", tensor.first}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors_bytes(header.dump(), data);
}

FolderConfig stored_config(const std::string& name) { return read_folder_config(stored_folder(name) / "config.json"); }

AlignedVector<double> read(const std::string& name, const Tensors& tensors) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", safetensors_of(tensors));
  return read_folder_weights(folder.path(), stored_config(name)).theta;
}

std::string complaint(const std::string& name, const Tensors& tensors) {
  return message_of<FormatError>([&] { read(name, tensors); });
}

TEST_SUITE_BEGIN("import");

TEST_CASE("weights: missing and unexpected tensors are named together") {
  Tensors tensors = stored_tensors("llama");
  CHECK(complaint("llama", tensors).empty());
  tensors.erase("model.layers.1.mlp.up_proj.weight");
  tensors["model.layers.2.mlp.up_proj.weight"] = {{1}, {0.0}};
  CHECK(mentions(complaint("llama", tensors),
                 "tensors missing: 1 (model.layers.1.mlp.up_proj.weight); unexpected: 1 "
                 "(model.layers.2.mlp.up_proj.weight)"));
  CHECK(mentions(complaint("llama", {}), "holds no tensors"));
  tensors = stored_tensors("llama");
  tensors["model.layers.0.self_attn.sinks"] = {{1}, {0.0}};
  CHECK(mentions(complaint("llama", tensors), "missing: 0 (none); unexpected: 1 (model.layers.0.self_attn.sinks)"));
}

TEST_CASE("weights: a tensor of another shape is named with both shapes") {
  Tensors tensors = stored_tensors("neox");
  auto& fused = tensors["gpt_neox.layers.0.attention.query_key_value.weight"];
  std::swap(fused.first[0], fused.first[1]);
  CHECK(mentions(complaint("neox", tensors),
                 "'gpt_neox.layers.0.attention.query_key_value.weight' has shape (16, 48), "
                 "the config asks for (48, 16)"));
}

/// The stored model with a tensor more.
std::string complaint_with(const std::string& model, const std::string& name, std::vector<Index> shape,
                           std::vector<double> values) {
  Tensors tensors = stored_tensors(model);
  tensors[name] = {std::move(shape), std::move(values)};
  return complaint(model, tensors);
}

TEST_CASE("weights: a tensor that repeats the config is left out, one that contradicts it is named with both values") {
  const auto fits = [](const std::string& said) { return said.empty(); };
  const std::string gpt_mask = "transformer.h.0.attn.bias", neox_mask = "gpt_neox.layers.1.attention.bias";
  CHECK(fits(complaint_with("gpt2", gpt_mask, {1, 1, 3, 3}, {1, 0, 0, 1, 1, 0, 1, 1, 1})));
  CHECK(mentions(complaint_with("gpt2", gpt_mask, {1, 1, 3, 3}, {1, 0, 0, 1, 1, 0, 0, 1, 1}),
                 "'transformer.h.0.attn.bias' is no causal mask: 0 for position 0 of position 2"));
  CHECK(mentions(complaint_with("gpt2", gpt_mask, {2, 2}, {1, 1, 1, 1}), "1 for position 1 of position 0"));
  CHECK(mentions(complaint_with("gpt2", gpt_mask, {4}, {1, 0, 1, 1}), "of shape (4) is no square mask"));
  CHECK(fits(complaint_with("neox", neox_mask, {1, 1, 2, 2}, {1, 0, 1, 1})));
  CHECK(mentions(complaint_with("neox", neox_mask, {1, 1, 2, 2}, {1, 0, 0, 1}), "is no causal mask"));
  CHECK(mentions(complaint_with("llama", "model.layers.0.self_attn.bias", {2, 2}, {1, 0, 1, 1}), "unexpected: 1"));
  CHECK(mentions(complaint_with("gpt2", "transformer.h.7.attn.bias", {2, 2}, {1, 0, 1, 1}), "unexpected: 1"));

  for (const double score : {-1e4, -1e9, -HUGE_VAL})
    CHECK(fits(complaint_with("gpt2", "transformer.h.1.attn.masked_bias", {}, {score})));
  CHECK(mentions(complaint_with("gpt2", "transformer.h.1.attn.masked_bias", {}, {-10}), "the score -10"));
  CHECK(mentions(complaint_with("neox", "gpt_neox.layers.0.attention.masked_bias", {}, {0}), "the score 0"));

  CHECK(fits(complaint_with("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", {2}, {1, 0.01})));
  CHECK(mentions(complaint_with("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", {2}, {1, 0.02}),
                 "holds the rotary frequency 0.02 at place 1, rope_theta = 10000 gives 0.01"));
  CHECK(mentions(complaint_with("llama", "model.layers.0.self_attn.rotary_emb.inv_freq", {1}, {1}),
                 "holds 1 rotary frequencies, the config asks for 2"));
  CHECK(fits(complaint_with("neox", "gpt_neox.layers.0.attention.rotary_emb.inv_freq", {2}, {1, 0.01})));
  CHECK(mentions(complaint_with("neox", "gpt_neox.layers.0.attention.rotary_emb.inv_freq", {2}, {0.5, 0.01}),
                 "holds the rotary frequency 0.5 at place 0"));
  CHECK(mentions(complaint_with("gpt2", "transformer.h.0.attn.rotary_emb.inv_freq", {2}, {1, 0.01}), "asks for 0"));
}

TEST_CASE("weights: rotary frequencies of a scaled model may be stored before or after the scaling") {
  const std::string name = "model.layers.0.self_attn.rotary_emb.inv_freq";
  const TransformerOptions o = stored_config("llama3_rope").options;
  std::vector<double> plain(8), scaled(8);
  for (Index i = 0; i < 8; ++i) {
    plain[size_t(i)] = rope_frequency(o.rope_base, 16, i);
    scaled[size_t(i)] = rope_frequency(o.rope_base, 16, i, o.rope_scaling);
  }
  CHECK(complaint_with("llama3_rope", name, {8}, plain).empty());
  CHECK(complaint_with("llama3_rope", name, {8}, scaled).empty());
  scaled[7] = plain[7];
  CHECK(mentions(complaint_with("llama3_rope", name, {8}, scaled), "at place 7"));
}

TEST_CASE("weights: biases of zero on a model without biases change nothing, others are unexpected") {
  const std::string bias = "model.layers.1.mlp.up_proj.bias";
  CHECK(complaint_with("llama", bias, {20}, std::vector<double>(20, 0.0)).empty());
  CHECK(mentions(complaint_with("llama", bias, {20}, std::vector<double>(20, 0.5)), "unexpected: 1 (" + bias + ")"));
}

TEST_CASE("weights: a stored head beside tied embeddings is dropped when equal and used when it differs") {
  for (const auto& [model, embedding, head] : {std::tuple{"gpt2", "transformer.wte.weight", "lm_head.weight"},
                                               {"llama_tied_gqa", "model.embed_tokens.weight", "lm_head.weight"}}) {
    CAPTURE(model);
    Tensors tensors = stored_tensors(model);
    const auto theta = read(model, tensors);
    tensors[head] = tensors[embedding];
    CHECK(read(model, tensors) == theta);
    tensors.erase(embedding);  // writers that keep one name of a shared tensor may keep this one
    CHECK(read(model, tensors) == theta);
    tensors = stored_tensors(model);
    tensors[head] = tensors[embedding];
    tensors[head].second.back() += 1e-3;
    const TemporaryFolder folder;
    folder.write("model.safetensors", safetensors_of(tensors));
    const FolderWeights weights = read_folder_weights(folder.path(), stored_config(model));
    REQUIRE(weights.options.head == Head::untied);
    const ParamLayout layout = weights.options.layout();
    CHECK(view(weights.theta.data(), layout.at("head.weight")).reshaped<Eigen::RowMajor>().tail(1)[0] ==
          tensors[head].second.back());
    CHECK(std::equal(theta.begin(), theta.end(), weights.theta.begin()));
  }
  Tensors tensors = stored_tensors("llama");  // untied by its config
  tensors.erase("lm_head.weight");
  CHECK(mentions(complaint("llama", tensors), "missing: 1 (lm_head.weight)"));
}

TEST_CASE("weights: GPT-2's first names without prefix give the same parameters") {
  Tensors renamed;
  for (const auto& [name, tensor] : stored_tensors("gpt2")) renamed[name.substr(name.find('.') + 1)] = tensor;
  CHECK(read("gpt2", renamed) == read("gpt2", stored_tensors("gpt2")));
}

TEST_CASE("weights: the fused projection of each family is cut where its library cuts it") {
  const FolderConfig gpt = stored_config("gpt2"), neox = stored_config("neox");
  const ParamLayout gpt_layout = gpt.options.layout(), neox_layout = neox.options.layout();
  const auto value = [](const Tensors& tensors, const char* name, Index r, Index c) {
    const auto& [shape, values] = tensors.at(name);
    return values[size_t(r * shape[1] + c)];
  };
  Tensors tensors = stored_tensors("gpt2");
  auto theta = read("gpt2", tensors);  // Conv1D: (in, q k v side by side)
  CHECK(view(theta.data(), gpt_layout.at("layers.1.wk"))(3, 5) ==
        value(tensors, "transformer.h.1.attn.c_attn.weight", 5, 16 + 3));
  tensors = stored_tensors("neox");
  theta = read("neox", tensors);  // head by head: q, k, v of 8 rows each
  CHECK(view(theta.data(), neox_layout.at("layers.0.wv"))(8 + 2, 7) ==
        value(tensors, "gpt_neox.layers.0.attention.query_key_value.weight", 24 + 16 + 2, 7));
}

TEST_CASE("weights: a tensor in two files of a folder is named with both") {
  const TemporaryFolder folder;
  const std::string bytes = safetensors_of(stored_tensors("llama"));
  folder.write("one.safetensors", bytes);
  folder.write("two.safetensors", bytes);
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"lm_head.weight":"one.safetensors","model.norm.weight":"two.safetensors"}})");
  const std::string message =
      message_of<FormatError>([&] { read_folder_weights(folder.path(), stored_config("llama")); });
  CHECK(mentions(message, "two.safetensors: tensor 'lm_head.weight' is also in"));
}

TEST_CASE("weights: an index that leads out of its folder, or to no file, is refused") {
  const TemporaryFolder folder;
  const auto refused = [&](const char* index) {
    folder.write("model.safetensors.index.json", index);
    return message_of<Error>([&] { read_folder_weights(folder.path(), stored_config("llama")); });
  };
  for (const char* file : {"\"../x.safetensors\"", "\"/etc/passwd\"", "\"..\"", "\"\"", "3"})
    CHECK(
        mentions(refused(fmt::format(R"({{"weight_map":{{"t":{}}}}})", file).c_str()), "not in a file of the folder"));
  CHECK(mentions(refused("{}"), "has no weight_map"));
  CHECK(mentions(refused(R"({"weight_map":{}})"), "holds no tensors"));
  CHECK(mentions(refused(R"({"weight_map":{"t":"absent.safetensors"}})"), "absent.safetensors: cannot be read"));
  fs::remove(folder.path() / "model.safetensors.index.json");
  CHECK(mentions(message_of<FormatError>([&] { read_folder_weights(folder.path(), stored_config("llama")); }),
                 "holds neither model.safetensors nor model.safetensors.index.json"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
