#include "sim/formats/packing.hpp"

#include "sim/base/error.hpp"

namespace hone {
namespace {

std::size_t packed_size(std::size_t count, int bits) { return (count * static_cast<std::size_t>(bits) + 7) / 8; }

}  // namespace

std::vector<std::uint8_t> pack_codes(const std::vector<int>& codes, int bits, int code_min) {
  EXPECTS(bits >= 1 && bits <= 8, "packing: codes of {} bits; take 1 to 8", bits);
  std::vector<std::uint8_t> bytes(packed_size(codes.size(), bits), 0);
  std::size_t position = 0;
  for (const int code : codes) {
    EXPECTS(code >= code_min && code - code_min < (1 << bits), "packing: code {} is outside {}..{}", code, code_min,
            code_min + (1 << bits) - 1);
    const unsigned shifted = static_cast<unsigned>(code - code_min) << (position % 8);
    bytes[position / 8] |= static_cast<std::uint8_t>(shifted & 0xff);
    if (shifted > 0xff) bytes[position / 8 + 1] |= static_cast<std::uint8_t>(shifted >> 8);
    position += static_cast<std::size_t>(bits);
  }
  return bytes;
}

std::vector<int> unpack_codes(const std::vector<std::uint8_t>& bytes, std::size_t count, int bits, int code_min) {
  EXPECTS(bits >= 1 && bits <= 8, "packing: codes of {} bits; take 1 to 8", bits);
  EXPECTS(bytes.size() == packed_size(count, bits), "packing: {} bytes for {} codes of {} bits", bytes.size(), count,
          bits);
  std::vector<int> codes(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t position = i * static_cast<std::size_t>(bits), byte = position / 8;
    const unsigned next = byte + 1 < bytes.size() ? bytes[byte + 1] : 0u;
    const unsigned window = (bytes[byte] | next << 8) >> (position % 8);
    codes[i] = static_cast<int>(window & ((1u << bits) - 1)) + code_min;
  }
  return codes;
}

}  // namespace hone
