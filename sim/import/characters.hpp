// Text as code points: UTF-8 read one character at a time, and the class of each, which is what the pre-tokenizers'
// expressions ask for (\p{L}, \p{N}, \s).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace hone {

enum class CharacterClass : std::uint8_t { letter, number, blank, other };

/// One code point of a text; a byte that is no valid UTF-8 is a character of its own with value U+FFFD.
struct Character {
  char32_t value = 0;
  size_t bytes = 0;
  CharacterClass kind = CharacterClass::other;
};

/// The character that begins at byte `at`.   expects  at < text.size()
Character character_at(std::string_view text, size_t at);

/// Class of a code point, exact for all that Unicode 14 assigns.
CharacterClass class_of(char32_t code_point);

/// Whether normalization to NFC could change a text that holds this code point.
bool may_change_in_nfc(char32_t code_point);

/// UTF-8 of one code point.   expects  a code point up to U+10FFFF
std::string utf8_of(char32_t code_point);

namespace detail {
inline constexpr size_t character_runs = 1203;
/// First code point of each run·8 + 4·(may change in NFC) + class, ascending.
extern const std::array<std::uint32_t, character_runs> character_table;
}  // namespace detail

}  // namespace hone
