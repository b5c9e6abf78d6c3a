// Characters and ids against the library `tokenizers`: stored answers to every Unicode scalar value (make_unicode.py)
// and to texts over five layouts of tokenizer.json and variants of them (fuzz_tokenizers.py --golden).
#include <set>

#include "sim/base/hash.hpp"
#include "sim/import/tokenizers/characters.hpp"
#include "sim/import/tokenizers/normalizer.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "tests/import/stored.hpp"
#include "tests/support/utf8_of.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

constexpr char32_t code_points = 0x110000;

bool is_surrogate(char32_t c) { return c >= 0xD800 && c < 0xE000; }

/// For each code point, whether it lies in one of the stored ranges.
std::vector<bool> members(const json& ranges) {
  std::vector<bool> in(code_points);
  for (const json& range : ranges)
    for (char32_t c = range[0]; c <= range[1].get<char32_t>(); ++c) in[c] = true;
  return in;
}

/// Code points where the two differ, at most ten of them.
template <class Is>
std::vector<std::string> differences(const json& ranges, Is&& is) {
  const std::vector<bool> in = members(ranges);
  std::vector<std::string> out;
  for (char32_t c = 0; c < code_points && out.size() < 10; ++c)
    if (is(c) != in[c]) out.push_back(fmt::format("U+{:04X}", std::uint32_t(c)));
  return out;
}

json stored_unicode() { return json::parse(read_text(stored_layout("unicode"))); }

using Names = std::vector<std::string>;

TEST_SUITE_BEGIN("import");

TEST_CASE("characters: all code points have the class of the library's expressions, surrogates none") {
  const json stored = stored_unicode();
  const auto has = [](CharacterClass kind) { return [kind](char32_t c) { return class_of(c) == kind; }; };
  CHECK(differences(stored["letter"], has(CharacterClass::letter)) == Names{});
  CHECK(differences(stored["number"], has(CharacterClass::number)) == Names{});
  CHECK(differences(stored["blank"], has(CharacterClass::blank)) == Names{});
  CHECK(class_of(0x110000) == CharacterClass::other);
}

TEST_CASE("characters: all code points are words and digits where they are to the library") {
  const json stored = stored_unicode();
  CHECK(differences(stored["word"], is_word_character) == Names{});
  CHECK(differences(stored["digit"], is_numeric) == Names{});
}

TEST_CASE("normalizer: all scalar values, alone and between marks, have the library's normal forms") {
  std::string text;
  for (char32_t c = 0; c < code_points; ++c)
    if (!is_surrogate(c)) text += fmt::format("{0}\na\u0301{0}\u0323\n", utf8_of(c));
  const json stored = stored_unicode();
  CHECK(sha256(normalized(text, NormalForm::nfc)) == stored["NFC"]);
  CHECK(sha256(normalized(text, NormalForm::nfd)) == stored["NFD"]);
  CHECK(sha256(normalized(text, NormalForm::nfkc)) == stored["NFKC"]);
  CHECK(sha256(normalized(text, NormalForm::nfkd)) == stored["NFKD"]);
}

TEST_CASE(
    "tokenizer.json: ids are the library's [5 layouts, 24 variants; scripts, marks, emoji, blanks, added tokens]") {
  const TemporaryFolder folder;
  size_t compared = 0;
  for (const json& layout : json::parse(read_text(stored_layout("golden")))) {
    json file = json::parse(read_text(stored_layout(layout["base"])));
    file.merge_patch(layout["patch"]);
    const auto tokenizer = import_tokenizer(folder.write("tokenizer.json", file.dump()));
    CAPTURE(layout["base"].dump());
    CAPTURE(layout["patch"].dump());
    for (size_t i = 0; i < layout["texts"].size(); ++i, ++compared) {
      CAPTURE(layout["texts"][i].dump(-1, ' ', true));
      CHECK(tokenizer->encode(layout["texts"][i].get<std::string>()) ==
            layout["ids"][i].get<std::vector<std::uint16_t>>());
    }
  }
  CHECK(compared > 600);
}

TEST_CASE("tokenizer.json: decode gives the text back, but for the blank that the tokenizer puts before it") {
  for (const char* name : {"gpt2", "llama3", "llama2"}) {
    const auto tokenizer = import_tokenizer(stored_layout(name));
    for (const std::string text :
         {"It's 12,345 stars.\n\n  Ünïcode गाँव 你好 👩‍🚀", "a", "two  blanks ", "\t\n"})
      CHECK(tokenizer->decode(tokenizer->encode(text)) == text);
  }
  const auto tokenizer = import_tokenizer(stored_layout("llama2"));
  std::vector<std::uint16_t> tokens = tokenizer->encode("it was");
  REQUIRE(tokenizer->begin_of_text() == std::uint16_t(1));
  tokens.insert(tokens.begin(), 1);
  CHECK(tokenizer->decode(tokens) == "it was");
  CHECK(mentions(tokenizer->name(), fmt::format("byte-fallback BPE {} ", tokenizer->vocabulary())));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
