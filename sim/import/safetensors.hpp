// Reader of safetensors files: 8 bytes with the length of a JSON header, the header (name -> dtype, shape, range of
// bytes), the bytes of the tensors. Everything the header claims is checked against the real size of the file before
// one tensor is read, so that no hostile or truncated file leads to an over-read or a large allocation.
//   source  the format's description in the safetensors project, version 0.3 and later
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/base/matrix.hpp"

namespace hone {

/// Longest header that is read, the format's own limit.
inline constexpr std::uint64_t safetensors_header_limit = 100'000'000;

/// How the numbers of a tensor are stored; `byte` holds 0 to 255 or flags, `other` (wider integers, signed bytes, 8-bit
/// floats) can be listed, not read.
enum class StoredType { float16, bfloat16, float32, float64, byte, other };

/// One entry of the header.
struct StoredTensor {
  std::string name;
  StoredType type = StoredType::float32;
  std::string type_name;     ///< as the header spells it
  std::vector<Index> shape;  ///< row-major; empty for a scalar
  std::uint64_t begin = 0;   ///< first byte in the file
  std::uint64_t bytes = 0;

  Index size() const;
};

/// All tensors of a file, in the order of their bytes.
/// ensures  ranges lie in the file, do not overlap, leave no gap, and fit dtype and shape
/// errors   IoError when it cannot be read; FormatError naming the file, the tensor and the fault
std::vector<StoredTensor> list_safetensors(const std::filesystem::path& file);

/// The values of one tensor, which every stored type converts to exactly.
/// expects  `tensor` comes from list_safetensors(file)
/// errors   FormatError for a type that is no float, for a value that is not finite, for a file that has shrunk
/// cost     the tensor's bytes and 8 bytes per value in memory
std::vector<double> read_tensor(const std::filesystem::path& file, const StoredTensor& tensor);

/// The same for a tensor that holds no parameters: bytes, flags and infinite values are read too.
/// errors   FormatError for type `other`, for a file that has shrunk
std::vector<double> read_buffer(const std::filesystem::path& file, const StoredTensor& tensor);

/// IEEE 754 half precision, and the upper half of a float, to double.
double from_float16(std::uint16_t bits);
double from_bfloat16(std::uint16_t bits);

}  // namespace hone
