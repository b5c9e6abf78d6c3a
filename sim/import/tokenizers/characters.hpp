// Text as code points: UTF-8 read one character at a time, and the class of each, which is what the pre-tokenizers'
// expressions ask for (\p{L}, \p{N}, \s). Properties come from ICU; what differs is the version of Unicode: the library
// `tokenizers` 0.23, whose ids are the reference, matches expressions by Unicode 16.
#pragma once

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

/// The character that begins at byte `at`.
/// expects  at < text.size()
Character character_at(std::string_view text, size_t at);

/// Class of a code point in Unicode 16: letter = \p{L}, number = \p{N}, blank = \s. All that is none of them is
/// `other`: private use, noncharacters, surrogates and what Unicode 16 does not assign. The answer does not depend on
/// the version of ICU: an older ICU is completed by the ranges that later versions assigned, and what a newer one has
/// beyond Unicode 16 counts as unassigned.
/// cost  one look-up; the first call fills a table of 2.2 MB
CharacterClass class_of(char32_t code_point);

/// Rust's char::is_numeric, which the pre-tokenizer Digits asks: \p{N} of Unicode 17.
bool is_numeric(char32_t code_point);

/// \w of Rust's expressions (Unicode TS 18, annex C) in Unicode 16, which decides on added tokens that must be single
/// words.
bool is_word_character(char32_t code_point);

}  // namespace hone
