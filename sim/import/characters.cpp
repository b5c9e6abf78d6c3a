#include "sim/import/characters.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace hone {
namespace {

std::uint32_t entry_of(char32_t code_point) {
  const auto& table = detail::character_table;
  const auto above = std::upper_bound(table.begin(), table.end(), std::uint32_t(code_point) << 3 | 7);
  return *(above - 1);
}

}  // namespace

CharacterClass class_of(char32_t code_point) { return static_cast<CharacterClass>(entry_of(code_point) & 3); }

bool may_change_in_nfc(char32_t code_point) { return code_point >= 0x300 && (entry_of(code_point) & 4) != 0; }

Character character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {lead, 1, class_of(lead)};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  char32_t value = lead & (0x7F >> length);
  bool is_valid = lead >= 0xC2 && lead <= 0xF4 && at + length <= text.size();
  for (size_t i = 1; is_valid && i < length; ++i) {
    is_valid = (byte(at + i) & 0xC0) == 0x80;
    value = value << 6 | (byte(at + i) & 0x3F);
  }
  const char32_t least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
  if (!is_valid || value < least || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return {0xFFFD, 1};
  return {value, length, class_of(value)};
}

std::string utf8_of(char32_t c) {
  EXPECTS(c <= 0x10FFFF, "utf8_of: code point {}", std::uint32_t(c));
  if (c < 0x80) return {char(c)};
  if (c < 0x800) return {char(0xC0 | c >> 6), char(0x80 | (c & 63))};
  if (c < 0x10000) return {char(0xE0 | c >> 12), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
  return {char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 63)), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
}

}  // namespace hone
