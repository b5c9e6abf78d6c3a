// The tensors of a Hugging Face folder -> hone's flat parameter vector. A table says for each block of the layout
// which tensor holds it and how (transposed, fused, interleaved per head, only the first rows); the table is checked
// against the folder both ways, so that a tensor that is missing or that is not needed has a name in the message.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/import/folder_config.hpp"

namespace hone {

/// Element (r, c) of a block lies in the tensor at
/// offset + (r/group)·group_stride + (r mod group)·row_stride + c·column_stride. Norms and biases are columns.
struct TensorSlice {
  std::string tensor;
  std::vector<Index> shape;  ///< of the whole tensor
  Index offset = 0, row_stride = 0, column_stride = 1;
  Index group = 0, group_stride = 0;  ///< group 0: all rows are one group
};

/// Where each block of the layout lies, in the layout's order.
std::vector<TensorSlice> tensor_slices(const FolderConfig& config);

/// The parameters, and the names of the weight files in the order they were listed.
struct FolderWeights {
  TransformerOptions options;  ///< those of the config; untied when a file stores another head than the embedding
  AlignedVector<double> theta;
  bool has_float64 = false;
  std::vector<std::filesystem::path> files;
};

/// Reads model.safetensors, or the files that model.safetensors.index.json lists.
/// errors  IoError; FormatError naming file and tensor: damaged, missing, there twice, unexpected, of another shape,
///         in contradiction to the config (redundant_tensors.hpp)
/// cost    8 bytes per parameter and per value of the largest tensor
FolderWeights read_folder_weights(const std::filesystem::path& folder, FolderConfig config);

/// The same without the values: `theta` is empty.
/// errors  those of read_folder_weights, but for values that are no finite numbers
FolderWeights check_folder_weights(const std::filesystem::path& folder, FolderConfig config);

}  // namespace hone
