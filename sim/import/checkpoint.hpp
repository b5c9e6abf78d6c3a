// A public checkpoint as hone's transformer: a llama2.c file, or a Hugging Face folder (Llama, GPT-2, GPT-NeoX and
// Pythia) with config.json and safetensors. What it is, is read from the files, never from their names' endings.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/model/transformer.hpp"

namespace hone {

struct ImportOptions {
  /// Context of the imported model, at most that of the checkpoint, which is the default. A table of learned positions
  /// keeps its first rows; rotary positions need no change.
  std::optional<Index> positions;
};

/// An architecture, its parameters, and where they come from.
struct ImportedModel {
  TransformerOptions options;
  AlignedVector<float> theta;  ///< in the order of options.layout()
  AlignedVector<double> wide;  ///< the same before rounding, when a file stores float64; otherwise empty
  std::string source;          ///< path as given
  std::string sha256;          ///< of the file; of a folder: of "NAME DIGEST\n" for config.json and each weight file
  std::string format;          ///< "llama2.c", "llama", "gpt2" or "gpt_neox"
  std::vector<std::string> notes;  ///< where files and config disagree, and which of them the model follows
};

/// Reads a checkpoint.
/// ensures  theta holds finite numbers; equal files give equal bits; nothing outside `path` is read
/// errors   IoError when a file is missing or unreadable; FormatError naming file and tensor when it is damaged;
///          OptionError naming file, field, value and what is supported when the model is one that hone cannot express
/// cost     4 bytes per parameter for llama2.c, else 12 and the largest tensor in double; one pass over the files for
///          the values, one for the hash
/// source   Touvron et al. 2023 (Llama), Radford et al. 2019 (GPT-2), Black et al. 2022 (GPT-NeoX)
ImportedModel import_checkpoint(const std::filesystem::path& path, const ImportOptions& options = {});

/// What a checkpoint is.
struct CheckpointHead {
  TransformerOptions options;
  std::string format;  ///< as in ImportedModel
};

/// A checkpoint without its parameters. Of a folder the values are not read: its tensors must all be there, in their
/// shapes and within their files.
/// errors  those of import_checkpoint, but for the values
CheckpointHead inspect_checkpoint(const std::filesystem::path& path, const ImportOptions& options = {});

/// The hash of ImportedModel without importing the model.
/// errors  those of inspect_checkpoint
/// cost    one pass over the files
std::string checkpoint_sha256(const std::filesystem::path& path);

}  // namespace hone
