#include "sim/import/safetensors.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/base/error.hpp"
#include "sim/base/utf8.hpp"
#include "sim/import/json_file.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

using nlohmann::json;

struct TypeEntry {
  const char* name;
  StoredType type;
  std::uint64_t bytes;
};
constexpr std::array<TypeEntry, 15> known_types = {{{"F64", StoredType::float64, 8},
                                                    {"F32", StoredType::float32, 4},
                                                    {"F16", StoredType::float16, 2},
                                                    {"BF16", StoredType::bfloat16, 2},
                                                    {"I64", StoredType::other, 8},
                                                    {"U64", StoredType::other, 8},
                                                    {"I32", StoredType::other, 4},
                                                    {"U32", StoredType::other, 4},
                                                    {"I16", StoredType::other, 2},
                                                    {"U16", StoredType::other, 2},
                                                    {"I8", StoredType::other, 1},
                                                    {"U8", StoredType::byte, 1},
                                                    {"BOOL", StoredType::byte, 1},
                                                    {"F8_E4M3", StoredType::other, 1},
                                                    {"F8_E5M2", StoredType::other, 1}}};

FormatError fault(const fs::path& file, std::string_view what) {
  return FormatError(fmt::format("{}: {}; fetch the file again", file.string(), what));
}

std::ifstream open_binary(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in || fs::is_directory(file))
    throw IoError(fmt::format("{}: cannot be read; check the path and the permissions", file.string()));
  return in;
}

template <class T>
T load_little_endian(const char* bytes) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

/// The header's text; `data_begin` becomes the place of the first tensor byte.
std::string read_header(const fs::path& file, std::uint64_t file_size, std::uint64_t& data_begin) {
  std::ifstream in = open_binary(file);
  if (file_size < 8) throw fault(file, fmt::format("{} bytes are too few for a safetensors file", file_size));
  char length_bytes[8];
  if (!in.read(length_bytes, 8)) throw fault(file, "the length of the header cannot be read");
  const auto length = load_little_endian<std::uint64_t>(length_bytes);
  if (length < 2 || length > safetensors_header_limit || length > file_size - 8)
    throw fault(file, fmt::format("the header claims {} bytes (expected 2 to {}, in a file of {})", length,
                                  safetensors_header_limit, file_size));
  std::string header(length, '\0');
  if (!in.read(header.data(), std::streamsize(length))) throw fault(file, "the header cannot be read");
  data_begin = 8 + length;
  return header;
}

/// A whole number from 0 that fits 63 bits, or the fault.
std::uint64_t natural(const fs::path& file, const std::string& name, const char* field, const json& value) {
  const bool good = value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() >> 63 == 0);
  if (!good || value.get<std::int64_t>() < 0)
    throw fault(file, fmt::format("tensor '{}': {} holds {}, not a whole number from 0", shown(name), field,
                                  shown_json(value)));
  return value.get<std::uint64_t>();
}

/// One entry; its range is relative to the first tensor byte. `data_bytes` bounds every product.
StoredTensor read_entry(const fs::path& file, const std::string& name, const json& entry, std::uint64_t data_bytes) {
  const auto wrong = [&](std::string_view what) {
    return fault(file, fmt::format("tensor '{}': {}", shown(name), what));
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") || !entry.contains("data_offsets") ||
      !entry["dtype"].is_string() || !entry["shape"].is_array() || !entry["data_offsets"].is_array() ||
      entry["data_offsets"].size() != 2)
    throw wrong("the entry is not dtype, shape and data_offsets of two numbers");
  StoredTensor tensor;
  tensor.name = name;
  tensor.type_name = entry["dtype"].get<std::string>();
  const auto type = std::find_if(known_types.begin(), known_types.end(),
                                 [&](const TypeEntry& known) { return tensor.type_name == known.name; });
  if (type == known_types.end()) throw wrong(fmt::format("dtype '{}' is unknown", shown(tensor.type_name)));
  tensor.type = type->type;
  std::uint64_t bytes = type->bytes;
  if (entry["shape"].size() > 8) throw wrong(fmt::format("shape has {} axes, at most 8", entry["shape"].size()));
  for (const json& extent : entry["shape"]) {
    const std::uint64_t n = natural(file, name, "shape", extent);
    if (n != 0 && bytes > data_bytes / n) throw wrong("shape needs more bytes than the file has");
    bytes *= n;
    tensor.shape.push_back(Index(n));
  }
  const std::uint64_t begin = natural(file, name, "data_offsets", entry["data_offsets"][0]);
  const std::uint64_t end = natural(file, name, "data_offsets", entry["data_offsets"][1]);
  if (begin > end || end > data_bytes)
    throw wrong(fmt::format("bytes {} to {} lie outside the {} bytes of the file", begin, end, data_bytes));
  if (end - begin != bytes) throw wrong(fmt::format("{} bytes where dtype and shape need {}", end - begin, bytes));
  tensor.begin = begin;
  tensor.bytes = bytes;
  return tensor;
}

}  // namespace

Index StoredTensor::size() const {
  Index size = 1;
  for (const Index extent : shape) size *= extent;
  return size;
}

double from_float16(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const double fraction = bits & 1023;
  double value = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) value = fraction == 0 ? HUGE_VAL : std::nan("");
  return bits & 0x8000 ? -value : value;
}

double from_bfloat16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t(bits) << 16); }

std::vector<StoredTensor> list_safetensors(const fs::path& file) {
  std::error_code error;
  const std::uint64_t file_size = fs::file_size(file, error);
  if (error) throw IoError(fmt::format("{}: cannot be read ({}); check the path", file.string(), error.message()));
  refuse_lfs_pointer(file);
  std::uint64_t data_begin = 0;
  const json header = parse_json(read_header(file, file_size, data_begin), file.string() + " header");
  if (!header.is_object()) throw fault(file, "the header is not a JSON object");
  std::vector<StoredTensor> tensors;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") tensors.push_back(read_entry(file, name, entry, file_size - data_begin));
  std::sort(tensors.begin(), tensors.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair(a.begin, a.begin + a.bytes) < std::pair(b.begin, b.begin + b.bytes);
  });
  std::uint64_t end = 0;
  for (StoredTensor& tensor : tensors) {
    if (tensor.begin != end)
      throw fault(file, fmt::format("tensor '{}' begins at byte {} where the one before it ends at {}",
                                    shown(tensor.name), tensor.begin, end));
    end += tensor.bytes;
    tensor.begin += data_begin;
  }
  if (data_begin + end != file_size)
    throw fault(file, fmt::format("{} bytes after the last tensor", file_size - data_begin - end));
  return tensors;
}

std::vector<double> read_buffer(const fs::path& file, const StoredTensor& tensor) {
  if (tensor.type == StoredType::other)
    throw fault(file, fmt::format("tensor '{}' is {}, not F16, BF16, F32, F64, U8 or BOOL", shown(tensor.name),
                                  tensor.type_name));
  std::ifstream in = open_binary(file);
  in.seekg(std::streamoff(tensor.begin));
  std::vector<char> bytes(tensor.bytes);
  if (!in.read(bytes.data(), std::streamsize(bytes.size())))
    throw fault(file, fmt::format("tensor '{}' cannot be read whole", shown(tensor.name)));
  std::vector<double> values(size_t(tensor.size()));
  for (size_t i = 0; i < values.size(); ++i) switch (tensor.type) {
      case StoredType::float16: values[i] = from_float16(load_little_endian<std::uint16_t>(&bytes[2 * i])); break;
      case StoredType::bfloat16: values[i] = from_bfloat16(load_little_endian<std::uint16_t>(&bytes[2 * i])); break;
      case StoredType::float32: values[i] = load_little_endian<float>(&bytes[4 * i]); break;
      case StoredType::float64: values[i] = load_little_endian<double>(&bytes[8 * i]); break;
      case StoredType::byte: values[i] = double(static_cast<unsigned char>(bytes[i])); break;
      case StoredType::other: break;
    }
  return values;
}

std::vector<double> read_tensor(const fs::path& file, const StoredTensor& tensor) {
  if (tensor.type == StoredType::other || tensor.type == StoredType::byte)
    throw fault(file,
                fmt::format("tensor '{}' is {}, not F16, BF16, F32 or F64", shown(tensor.name), tensor.type_name));
  std::vector<double> values = read_buffer(file, tensor);
  for (size_t i = 0; i < values.size(); ++i)
    if (!std::isfinite(values[i]))
      throw fault(file, fmt::format("tensor '{}' holds {} at place {}", shown(tensor.name), values[i], i));
  return values;
}

}  // namespace hone
