#include "sim/import/checkpoint.hpp"

#include <cmath>
#include <fstream>

#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/import/folder_config.hpp"
#include "sim/import/folder_weights.hpp"
#include "sim/import/llama2c.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

std::string name_of(Family family) {
  return family == Family::llama ? "llama" : family == Family::gpt2 ? "gpt2" : "gpt_neox";
}

std::string digest_of(const fs::path& config, const std::vector<fs::path>& weights) {
  std::string lines = fmt::format("{} {}\n", config.filename().string(), sha256_of_file(config));
  for (const fs::path& file : weights) lines += fmt::format("{} {}\n", file.filename().string(), sha256_of_file(file));
  return sha256(lines);
}

ImportedModel import_folder(const fs::path& folder, const ImportOptions& options) {
  const FolderConfig config = read_folder_config(folder / "config.json", options.positions);
  FolderWeights weights = read_folder_weights(folder, config);
  ImportedModel model;
  model.options = weights.options;
  if (weights.options.head != config.options.head)
    model.notes.push_back(
        fmt::format("{}: tie_word_embeddings = true, but the files store a head that differs from the embedding; the "
                    "model is read untied",
                    (folder / "config.json").string()));
  model.theta.assign(weights.theta.begin(), weights.theta.end());
  for (size_t i = 0; i < model.theta.size(); ++i)
    if (!std::isfinite(model.theta[i]))
      throw FormatError(
          fmt::format("{}: the parameter {} is no finite float; scale the model", folder.string(), weights.theta[i]));
  if (weights.has_float64) model.wide = std::move(weights.theta);
  model.sha256 = digest_of(folder / "config.json", weights.files);
  model.format = name_of(config.family);
  return model;
}

/// The beginning of a file, as much as tells formats apart.
std::string first_bytes(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw IoError(fmt::format("{}: cannot be read; check the path and the permissions", file.string()));
  std::string bytes(9, '\0');
  in.read(bytes.data(), std::streamsize(bytes.size()));
  bytes.resize(size_t(in.gcount()));
  return bytes;
}

void expect_config(const fs::path& folder) {
  if (!fs::exists(folder / "config.json"))
    throw IoError(fmt::format("{}: holds no config.json; give the folder of a Hugging Face model or a llama2.c file",
                              folder.string()));
}

}  // namespace

ImportedModel import_checkpoint(const fs::path& path, const ImportOptions& options) {
  ImportedModel model;
  if (fs::is_directory(path)) {
    expect_config(path);
    model = import_folder(path, options);
  } else {
    const std::string bytes = first_bytes(path);
    if (bytes.starts_with('{') || (bytes.size() == 9 && bytes[8] == '{'))
      throw FormatError(
          fmt::format("{}: is one file of a Hugging Face model; give the folder that holds it and its "
                      "config.json",
                      path.string()));
    Llama2cModel read = read_llama2c(path, options.positions);
    model.options = read.options;
    model.theta = std::move(read.theta);
    model.sha256 = sha256_of_file(path);
    model.format = "llama2.c";
  }
  model.source = path.string();
  return model;
}

CheckpointHead inspect_checkpoint(const fs::path& path, const ImportOptions& options) {
  if (!fs::is_directory(path)) {
    const ImportedModel model = import_checkpoint(path, options);
    return {model.options, model.format};
  }
  expect_config(path);
  const FolderConfig config = read_folder_config(path / "config.json", options.positions);
  return {check_folder_weights(path, config).options, name_of(config.family)};
}

std::string checkpoint_sha256(const fs::path& path) {
  if (!fs::is_directory(path)) return sha256_of_file(path);
  expect_config(path);
  const fs::path config = path / "config.json";
  return digest_of(config, check_folder_weights(path, read_folder_config(config)).files);
}

}  // namespace hone
