// config.json of a Hugging Face folder -> options of hone's transformer. Three families are known: llama, gpt2 and
// gpt_neox (Pythia); whatever in them hone's transformer cannot express is refused by name, never ignored.
#pragma once

#include <filesystem>
#include <optional>

#include "sim/model/transformer.hpp"

namespace hone {

/// Most layers that are read: far above every public model, and small enough that no product of extents overflows.
inline constexpr Index most_imported_layers = 1024;

enum class Family { llama, gpt2, gpt_neox };

struct FolderConfig {
  Family family = Family::llama;
  TransformerOptions options;  ///< positions are those asked for
  Index stored_positions = 0;  ///< positions the checkpoint was made for
};

/// Reads the architecture; absent fields take the defaults of the configuration classes of the family.
/// errors  IoError, FormatError (no JSON, a field of another type); OptionError naming the file, the field, the value
///         and what is supported; OptionError when more `positions` are asked for than the checkpoint has
FolderConfig read_folder_config(const std::filesystem::path& file, std::optional<Index> positions = {});

/// `positions` asked for, or all that are stored.
/// errors  OptionError when there are fewer
Index chosen_positions(const std::string& file, Index stored, std::optional<Index> positions);

}  // namespace hone
