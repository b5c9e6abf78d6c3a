// A tokenizer read from an input, tried on texts of every kind of character.
#pragma once

#include <array>

#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "tests/fuzz/target.hpp"

namespace hone::fuzz {

/// Reads `bytes` as a tokenizer. A text is refused or becomes ids of the vocabulary, which decode to some text.
inline void try_tokenizer(std::string_view bytes) {
  limit_time();
  static InputFile input;
  const std::filesystem::path& file = input.holding(bytes);
  std::unique_ptr<TextTokenizer> tokenizer;
  if (!is_read(file.string(), [&] { tokenizer = import_tokenizer(file); })) return;
  if (tokenizer->vocabulary() < 1 || tokenizer->vocabulary() > 65536) fail("a vocabulary beyond 16 bits");
  static const std::array<std::string, 5> texts = {
      "", "It's 1984, \xC3\xA9t\xC3\xA9 \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x99\x82\r\n\n  end",
      std::string("\0\x80\xFF", 3), std::string(300, 'a'), "<s></s><|endoftext|> <0x41>"};
  for (const std::string& text : texts)
    is_read(file.string(), [&] {
      const std::vector<std::uint16_t> tokens = tokenizer->encode(text);
      for (const std::uint16_t token : tokens)
        if (token >= tokenizer->vocabulary()) fail("an id beyond the vocabulary");
      (void)tokenizer->decode(tokens);
    });
}

}  // namespace hone::fuzz
