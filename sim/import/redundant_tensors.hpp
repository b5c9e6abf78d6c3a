// Tensors that some writers add and that hold no parameters of their own: causal masks, the value of masked scores,
// rotary frequencies. Each repeats what the config says, and is left out only after its values were
// compared, for a file and its config may contradict each other.
#pragma once

#include <filesystem>
#include <string>

#include "sim/import/folder_config.hpp"
#include "sim/import/safetensors.hpp"

namespace hone {

/// True when the tensor repeats what the config says; false when it is of no known redundant kind. `part` is its name
/// without the prefix of the model or of its layer, such as "attn.bias".
/// errors  FormatError naming file, tensor, place and both values when it is of such a kind and says something else
/// cost    8 bytes per value of the tensor
bool is_redundant(const std::filesystem::path& file, const StoredTensor& tensor, const std::string& part,
                  const FolderConfig& config);

}  // namespace hone
