// Checkpoints of llama2.c in float32: the first format (seven numbers, then all tensors) and version 1 (magic "ak42",
// a header of 256 bytes, norms first). The header must account for every byte of the file.
//   source  Karpathy, llama2.c: export.py (legacy_export, version1_export) and run.c (memory_map_weights)
#pragma once

#include <filesystem>
#include <optional>

#include "sim/model/transformer.hpp"

namespace hone {

struct Llama2cModel {
  TransformerOptions options;
  AlignedVector<float> theta;
};

/// Llama with interleaved rotary pairs and eps 1e-5, as that program evaluates it.
/// errors  IoError; FormatError when the header's numbers are impossible or need another number of bytes than the file
///         has; OptionError for a quantized version, a vocabulary above 65536 or too many `positions`
Llama2cModel read_llama2c(const std::filesystem::path& file, std::optional<Index> positions = {});

}  // namespace hone
