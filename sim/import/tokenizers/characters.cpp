#include "sim/import/tokenizers/characters.hpp"

#include <unicode/uchar.h>

#include <array>
#include <vector>

namespace hone {
namespace {

struct Range {
  char32_t first, last;
};

constexpr char32_t code_points = 0x110000;
constexpr int class_version = 16;  // of Unicode

/// Letters, digits and marks that Unicode 15.1 and 16.0 assigned, for an ICU that is older (ICU 72 has Unicode 15.0).
constexpr std::array new_letters = {
    Range{0x1C89, 0x1C8A},   Range{0xA7CB, 0xA7CD},   Range{0xA7DA, 0xA7DC},   Range{0x105C0, 0x105F3},
    Range{0x10D4A, 0x10D65}, Range{0x10D6F, 0x10D85}, Range{0x10EC2, 0x10EC4}, Range{0x11380, 0x11389},
    Range{0x1138B, 0x1138B}, Range{0x1138E, 0x1138E}, Range{0x11390, 0x113B5}, Range{0x113B7, 0x113B7},
    Range{0x113D1, 0x113D1}, Range{0x113D3, 0x113D3}, Range{0x11BC0, 0x11BE0}, Range{0x13460, 0x143FA},
    Range{0x16100, 0x1611D}, Range{0x16D40, 0x16D6C}, Range{0x18CFF, 0x18CFF}, Range{0x1E5D0, 0x1E5ED},
    Range{0x1E5F0, 0x1E5F0}, Range{0x2EBF0, 0x2EE5D}};
constexpr std::array new_numbers = {Range{0x10D40, 0x10D49}, Range{0x116D0, 0x116E3}, Range{0x11BF0, 0x11BF9},
                                    Range{0x16130, 0x16139}, Range{0x16D70, 0x16D79}, Range{0x1CCF0, 0x1CCF9},
                                    Range{0x1E5F1, 0x1E5FA}};
constexpr std::array new_marks = {Range{0x897, 0x897},     Range{0x10D69, 0x10D6D}, Range{0x10EFC, 0x10EFC},
                                  Range{0x113B8, 0x113C0}, Range{0x113C2, 0x113C2}, Range{0x113C5, 0x113C5},
                                  Range{0x113C7, 0x113CA}, Range{0x113CC, 0x113D0}, Range{0x113D2, 0x113D2},
                                  Range{0x113E1, 0x113E2}, Range{0x11F5A, 0x11F5A}, Range{0x1611E, 0x1612F},
                                  Range{0x1E5EE, 0x1E5EF}};
/// Numbers that Unicode 17.0 assigned.
constexpr std::array newest_numbers = {Range{0x11DE0, 0x11DE9}, Range{0x16FF4, 0x16FF6}};

CharacterClass class_in_icu(UChar32 c) {
  const std::uint32_t category = U_GET_GC_MASK(c);
  if (category & U_GC_L_MASK) return CharacterClass::letter;
  if (category & U_GC_N_MASK) return CharacterClass::number;
  return u_isUWhiteSpace(c) ? CharacterClass::blank : CharacterClass::other;
}

bool is_word_in_icu(UChar32 c) {
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) ||
         (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

struct Properties {
  CharacterClass kind = CharacterClass::other;
  bool is_word = false;
};

std::vector<Properties> all_properties() {
  std::vector<Properties> all(code_points);
  for (UChar32 c = 0; c < UChar32(code_points); ++c) {
    UVersionInfo age;
    u_charAge(c, age);
    if (age[0] <= class_version) all[size_t(c)] = {class_in_icu(c), is_word_in_icu(c)};
  }
  const auto complete = [&](const auto& ranges, CharacterClass kind) {
    for (const Range& range : ranges)
      for (char32_t c = range.first; c <= range.last; ++c) all[c] = {kind, true};
  };
  complete(new_letters, CharacterClass::letter);
  complete(new_numbers, CharacterClass::number);
  complete(new_marks, CharacterClass::other);
  return all;
}

Properties properties_of(char32_t code_point) {
  static const std::vector<Properties> all = all_properties();
  return code_point < code_points ? all[code_point] : Properties();
}

}  // namespace

CharacterClass class_of(char32_t code_point) { return properties_of(code_point).kind; }

bool is_numeric(char32_t code_point) {
  if (class_of(code_point) == CharacterClass::number) return true;
  for (const Range& range : newest_numbers)
    if (code_point >= range.first && code_point <= range.last) return true;
  return false;
}

bool is_word_character(char32_t code_point) { return properties_of(code_point).is_word; }

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

}  // namespace hone
