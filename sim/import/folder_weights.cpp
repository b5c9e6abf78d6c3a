#include "sim/import/folder_weights.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/base/error.hpp"
#include "sim/import/json_file.hpp"
#include "sim/import/redundant_tensors.hpp"
#include "sim/import/safetensors.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

/// Names of one family. A layer's tensors are PREFIX layers . N . NAME.
struct Names {
  std::string layers, embedding, position, norm, head;
  std::map<std::string, std::string> in_layer;  ///< block of hone -> tensor, without weight or bias
};

const Names& names_of(Family family) {
  static const Names llama = {"model.layers.",
                              "model.embed_tokens",
                              "",
                              "model.norm",
                              "lm_head",
                              {{"attn_norm", "input_layernorm"},
                               {"q", "self_attn.q_proj"},
                               {"k", "self_attn.k_proj"},
                               {"v", "self_attn.v_proj"},
                               {"o", "self_attn.o_proj"},
                               {"mlp_norm", "post_attention_layernorm"},
                               {"gate", "mlp.gate_proj"},
                               {"up", "mlp.up_proj"},
                               {"down", "mlp.down_proj"}}};
  static const Names gpt2 = {"transformer.h.",
                             "transformer.wte",
                             "transformer.wpe",
                             "transformer.ln_f",
                             "lm_head",
                             {{"attn_norm", "ln_1"},
                              {"q", "attn.c_attn"},
                              {"k", "attn.c_attn"},
                              {"v", "attn.c_attn"},
                              {"o", "attn.c_proj"},
                              {"mlp_norm", "ln_2"},
                              {"up", "mlp.c_fc"},
                              {"down", "mlp.c_proj"}}};
  static const Names neox = {"gpt_neox.layers.",
                             "gpt_neox.embed_in",
                             "",
                             "gpt_neox.final_layer_norm",
                             "embed_out",
                             {{"attn_norm", "input_layernorm"},
                              {"q", "attention.query_key_value"},
                              {"k", "attention.query_key_value"},
                              {"v", "attention.query_key_value"},
                              {"o", "attention.dense"},
                              {"mlp_norm", "post_attention_layernorm"},
                              {"up", "mlp.dense_h_to_4h"},
                              {"down", "mlp.dense_4h_to_h"}}};
  return family == Family::llama ? llama : family == Family::gpt2 ? gpt2 : neox;
}

/// "wq", "bq", "w_gate", "b_up", "attn_norm.weight" -> the key of Names::in_layer, and weight or bias.
std::pair<std::string, std::string> part_of(const std::string& block) {
  const size_t dot = block.find('.');
  if (dot != block.npos) return {block.substr(0, dot), block.substr(dot + 1)};
  return {block.substr(block[1] == '_' ? 2 : 1), block[0] == 'w' ? "weight" : "bias"};
}

/// Rows `part` (0 q, 1 k, 2 v) of a fused projection of GPT-2 (side by side) or GPT-NeoX (per head).
void cut_from_fused(TensorSlice& slice, const FolderConfig& config, Index part, bool is_matrix) {
  const Index C = config.options.width, hd = config.options.head_width();
  if (config.family == Family::gpt2) {
    slice.shape.back() = 3 * C;
    slice.offset = part * C;
    if (is_matrix) slice.column_stride = 3 * C;
  } else {
    slice.shape.front() = 3 * C;
    slice.offset = part * hd * slice.row_stride;
    slice.group = hd;
    slice.group_stride = 3 * hd * slice.row_stride;
  }
}

TensorSlice slice_of(const ParamBlock& block, const FolderConfig& config) {
  const Names& names = names_of(config.family);
  const bool is_vector = block.role == Role::norm || block.role == Role::bias;
  TensorSlice slice;
  slice.shape = is_vector ? std::vector<Index>{block.cols} : std::vector<Index>{block.rows, block.cols};
  slice.row_stride = is_vector ? 1 : block.cols;
  if (block.role == Role::embedding) slice.tensor = names.embedding + ".weight";
  if (block.role == Role::head) slice.tensor = names.head + ".weight";
  if (block.role == Role::position) {
    slice.tensor = names.position + ".weight";
    slice.shape[0] = config.stored_positions;
  }
  if (block.layer < 0 && block.role == Role::norm) slice.tensor = names.norm + block.name.substr(block.name.find('.'));
  if (block.layer < 0) return slice;

  const auto [part, kind] = part_of(block.name.substr(block.name.find('.', 7) + 1));  // after "layers.N."
  slice.tensor = fmt::format("{}{}.{}.{}", names.layers, block.layer, names.in_layer.at(part), kind);
  if (config.family == Family::gpt2 && !is_vector) {  // Conv1D keeps (in, out)
    std::swap(slice.shape[0], slice.shape[1]);
    slice.row_stride = 1;
    slice.column_stride = block.rows;
  }
  const size_t fused = std::string("qkv").find(part);
  if (config.family != Family::llama && fused != std::string::npos)
    cut_from_fused(slice, config, Index(fused), !is_vector);
  return slice;
}

/// Files named by the index, or the one file.
std::vector<fs::path> weight_files(const fs::path& folder) {
  const fs::path whole = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  if (fs::exists(whole)) return {whole};
  if (!fs::exists(index))
    throw FormatError(
        fmt::format("{}: holds neither model.safetensors nor model.safetensors.index.json; save the "
                    "model with safe serialization",
                    folder.string()));
  const nlohmann::json object = read_json(index);
  if (!object.is_object() || !object.contains("weight_map") || !object["weight_map"].is_object())
    throw FormatError(fmt::format("{}: has no weight_map; fetch the file again", index.string()));
  std::set<std::string> names;
  for (const auto& [tensor, file] : object["weight_map"].items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name != fs::path(name).filename().string() || name == "." || name == "..")
      throw FormatError(
          fmt::format("{}: tensor '{}' is said to lie in {}, not in a file of the folder; fetch the file "
                      "again",
                      index.string(), shown(tensor), shown_json(file)));
    names.insert(name);
  }
  std::vector<fs::path> files;
  files.reserve(names.size());
  for (const std::string& name : names) files.push_back(folder / name);
  return files;
}

struct Located {
  fs::path file;
  StoredTensor tensor;
};

/// All tensors by name. GPT-2's first files leave out "transformer."; the name here always has it.
std::map<std::string, Located> locate(const fs::path& folder, const FolderConfig& config,
                                      const std::vector<fs::path>& files) {
  std::map<std::string, Located> located;
  for (const fs::path& file : files)
    for (StoredTensor& tensor : list_safetensors(file)) {
      const bool is_short = config.family == Family::gpt2 && !tensor.name.starts_with("transformer.") &&
                            !tensor.name.starts_with("lm_head.");
      const std::string name = is_short ? "transformer." + tensor.name : tensor.name;
      const auto [first, is_new] = located.emplace(name, Located{file, std::move(tensor)});
      if (!is_new)
        throw FormatError(fmt::format("{}: tensor '{}' is also in {}; fetch the folder again", file.string(),
                                      shown(name), first->second.file.string()));
    }
  if (located.empty()) throw FormatError(fmt::format("{}: holds no tensors; fetch the folder again", folder.string()));
  return located;
}

/// A tied head that is stored all the same. One that differs from the embedding makes the model untied, as its library
/// reads it; one without an embedding beside it is the embedding.
void settle_tied_head(FolderConfig& config, std::map<std::string, Located>& located) {
  if (config.options.head != Head::tied) return;
  const Names& names = names_of(config.family);
  const auto head = located.find(names.head + ".weight"), embedding = located.find(names.embedding + ".weight");
  if (head == located.end()) return;
  if (embedding == located.end()) {
    located.emplace(names.embedding + ".weight", head->second);
  } else if (head->second.tensor.shape != embedding->second.tensor.shape ||
             read_tensor(head->second.file, head->second.tensor) !=
                 read_tensor(embedding->second.file, embedding->second.tensor)) {
    config.options.head = Head::untied;
    return;
  }
  located.erase(head);
}

/// `name` without the prefix of the model or of one of its layers.
std::string part_within(const std::string& name, const FolderConfig& config) {
  const std::string& layers = names_of(config.family).layers;
  for (Index l = 0; l < config.options.layers; ++l)
    if (const std::string layer = fmt::format("{}{}.", layers, l); name.starts_with(layer))
      return name.substr(layer.size());
  const std::string model = layers.substr(0, layers.find('.') + 1);
  return name.starts_with(model) ? name.substr(model.size()) : name;
}

/// A bias of zeros on a linear or norm of the model that has none.
bool is_zero_bias(const std::string& name, const Located& place, const std::set<std::string>& wanted) {
  if (!name.ends_with(".bias") || !wanted.contains(name.substr(0, name.size() - 4) + "weight")) return false;
  const std::vector<double> values = read_buffer(place.file, place.tensor);
  return std::all_of(values.begin(), values.end(), [](double value) { return value == 0; });
}

/// Each slice has its tensor in the right shape, and each tensor its slice.
void check_tensors(const fs::path& folder, const FolderConfig& config, const std::vector<TensorSlice>& slices,
                   const std::map<std::string, Located>& located) {
  std::set<std::string> wanted;
  std::vector<std::string> missing, unexpected;
  for (const TensorSlice& slice : slices) {
    const auto found = located.find(slice.tensor);
    if (found == located.end()) {
      if (!wanted.contains(slice.tensor)) missing.push_back(slice.tensor);
    } else if (found->second.tensor.shape != slice.shape) {
      throw FormatError(fmt::format("{}: tensor '{}' has shape ({}), the config asks for ({}); fetch both files again",
                                    found->second.file.string(), slice.tensor,
                                    fmt::join(found->second.tensor.shape, ", "), fmt::join(slice.shape, ", ")));
    }
    wanted.insert(slice.tensor);
  }
  for (const auto& [name, place] : located)
    if (!wanted.contains(name) && !is_zero_bias(name, place, wanted) &&
        !is_redundant(place.file, place.tensor, part_within(name, config), config))
      unexpected.push_back(shown(name));
  if (missing.empty() && unexpected.empty()) return;
  const auto first_few = [](std::vector<std::string>& names) {
    const size_t count = names.size();
    names.resize(std::min<size_t>(count, 5));
    return fmt::format("{} ({})", count, count == 0 ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  };
  throw FormatError(fmt::format("{}: tensors missing: {}; unexpected: {}; give the folder of the whole model",
                                folder.string(), first_few(missing), first_few(unexpected)));
}

void copy_slice(const std::vector<double>& tensor, const TensorSlice& slice, const ParamBlock& block, double* out) {
  const bool is_vector = block.role == Role::norm || block.role == Role::bias;
  const Index rows = is_vector ? block.cols : block.rows, cols = is_vector ? 1 : block.cols;
  const Index group = slice.group > 0 ? slice.group : rows;
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < cols; ++c)
      out[r * cols + c] = tensor[size_t(slice.offset + r / group * slice.group_stride + r % group * slice.row_stride +
                                        c * slice.column_stride)];
}

}  // namespace

std::vector<TensorSlice> tensor_slices(const FolderConfig& config) {
  std::vector<TensorSlice> slices;
  const ParamLayout layout = config.options.layout();
  for (const ParamBlock& block : layout.blocks()) slices.push_back(slice_of(block, config));
  return slices;
}

namespace {

/// All but the values; `config` and `located` become what the files hold.
FolderWeights checked_weights(const fs::path& folder, FolderConfig& config, std::map<std::string, Located>& located) {
  FolderWeights weights;
  weights.files = weight_files(folder);
  located = locate(folder, config, weights.files);
  settle_tied_head(config, located);
  weights.options = config.options;
  check_tensors(folder, config, tensor_slices(config), located);
  return weights;
}

}  // namespace

FolderWeights check_folder_weights(const fs::path& folder, FolderConfig config) {
  std::map<std::string, Located> located;
  return checked_weights(folder, config, located);
}

FolderWeights read_folder_weights(const fs::path& folder, FolderConfig config) {
  std::map<std::string, Located> located;
  FolderWeights weights = checked_weights(folder, config, located);
  const std::vector<TensorSlice> slices = tensor_slices(config);
  const ParamLayout layout = config.options.layout();
  weights.theta.resize(size_t(layout.size()));
  std::map<std::string, std::vector<int>> blocks_of;  // so that a fused tensor is read once
  for (size_t i = 0; i < slices.size(); ++i) blocks_of[slices[i].tensor].push_back(int(i));
  for (const auto& [name, blocks] : blocks_of) {
    const Located& place = located.at(name);
    const std::vector<double> values = read_tensor(place.file, place.tensor);
    weights.has_float64 |= place.tensor.type == StoredType::float64;
    for (const int i : blocks)
      copy_slice(values, slices[size_t(i)], layout[i], weights.theta.data() + layout[i].offset);
  }
  return weights;
}

}  // namespace hone
