// Integer codes as they would lie in memory: b bits each, without gaps, the first code in the lowest bits. Makes the
// bits per weight that results report a fact that can be counted.
#pragma once

#include <cstdint>
#include <vector>

namespace hone {

/// Codes in [code_min, code_min + 2^bits - 1], stored as their distance from code_min.
/// expects  1 ≤ bits ≤ 8, all codes in range
/// ensures  ceil(count·bits/8) bytes, the unused bits 0
std::vector<std::uint8_t> pack_codes(const std::vector<int>& codes, int bits, int code_min);

/// The inverse for `count` codes.
/// expects  bytes of exactly the size that pack_codes gives
std::vector<int> unpack_codes(const std::vector<std::uint8_t>& bytes, std::size_t count, int bits, int code_min);

}  // namespace hone
