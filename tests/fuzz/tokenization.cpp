// A text of any bytes: UTF-8 characters, and the ids of the stored tokenizers, are those of naive twins. The first byte
// chooses the tokenizer.
#include <algorithm>
#include <array>
#include <optional>

#include "sim/data/tokenizer.hpp"
#include "sim/import/tokenizers/characters.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "tests/fuzz/naive_pattern.hpp"
#include "tests/fuzz/naive_tokenizer.hpp"
#include "tests/fuzz/target.hpp"

namespace {

using namespace hone;

/// A tokenizer, its twin, and whether the twin is good for ASCII only because the file normalizes.
struct Pair {
  std::string name;
  std::unique_ptr<TextTokenizer> tokenizer;
  fuzz::NaiveEncode naive;
  bool normalizes = false;
};

std::array<Pair, 5> stored_pairs() {
  const std::filesystem::path folder = std::filesystem::path(HONE_GOLDEN) / "import";
  const auto pair = [&](const char* name, bool normalizes = false) {
    const std::filesystem::path file = folder / name / "tokenizer.json";
    return Pair{name, import_tokenizer(file), fuzz::naive_byte_level_bpe(file), normalizes};
  };
  const std::filesystem::path pieces = folder / "llama2c" / "tokenizer.bin";
  return {pair("gpt2"), pair("neox", true), pair("llama"), pair("llama_tied_gqa"),
          Pair{"llama2c", import_tokenizer(pieces), fuzz::naive_scored_pieces(pieces)}};
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void compare_characters(std::string_view text) {
  size_t at = 0;
  for (const fuzz::NaiveCharacter& naive : fuzz::naive_characters(text)) {
    const Character c = character_at(text, at);
    const CharacterClass kind = naive.is_valid ? class_of(naive.value) : CharacterClass::other;
    if (c.value != naive.value || c.bytes != naive.bytes || c.kind != kind)
      fuzz::fail(fmt::format("byte {}: U+{:04X} of {} bytes, the twin has U+{:04X} of {}", at, std::uint32_t(c.value),
                             c.bytes, std::uint32_t(naive.value), naive.bytes));
    at += c.bytes;
  }
}

void compare_ids(const Pair& pair, std::string_view text) {
  std::vector<std::uint16_t> tokens;
  const bool is_encoded = fuzz::is_read("tokenizer", [&] { tokens = pair.tokenizer->encode(text); });
  if (!is_encoded || (pair.normalizes && !is_ascii(text))) return;
  if (tokens != pair.naive(text)) fuzz::fail(pair.name + ": other ids than the twin's");
  // Decoding leaves out begin-of-text, which a text may spell.
  const std::optional<std::uint16_t> begin = pair.tokenizer->begin_of_text();
  if (begin && std::count(tokens.begin(), tokens.end(), *begin) > 0) return;
  if (pair.tokenizer->decode(tokens) != text) fuzz::fail(pair.name + ": the ids decode to another text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hone::fuzz::limit_time();
  if (size == 0) return 0;
  static const std::array<Pair, 5> pairs = stored_pairs();
  static const Tokenizer learnt =
      Tokenizer::train_bpe("it was the best of times, it was the worst of times; it was the age of wisdom", 264);
  const std::string_view text = fuzz::text_of(data + 1, size - 1);
  compare_characters(text);
  compare_ids(pairs[data[0] % pairs.size()], text);
  if (learnt.decode(learnt.encode(text)) != text) fuzz::fail("learnt tokens decode to another text");
  return 0;
}
