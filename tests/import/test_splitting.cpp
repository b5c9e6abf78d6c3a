// Characters and the scanners that cut text into pieces.
#include "sim/import/tokenizers/characters.hpp"
#include "sim/import/tokenizers/normalizer.hpp"
#include "sim/import/tokenizers/pair_merging.hpp"
#include "sim/import/tokenizers/pre_tokenizer.hpp"
#include "tests/import/stored.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/utf8_of.hpp"

namespace hone::test {
namespace {

using Pieces = std::vector<std::string_view>;

/// Merges the best pair, found by a scan from left to right, until none is left.
std::vector<std::uint16_t> merged_by_scanning(std::vector<std::uint16_t> tokens, const auto& merge_of) {
  for (;;) {
    std::optional<PairMerge> best;
    size_t place = 0;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto merge = merge_of(tokens[i], tokens[i + 1]);
      if (merge && (!best || merge->rank < best->rank)) best = merge, place = i;
    }
    if (!best) return tokens;
    tokens[place] = best->token;
    tokens.erase(tokens.begin() + std::ptrdiff_t(place) + 1);
  }
}

TEST_SUITE_BEGIN("import");

TEST_CASE("characters: classes are Unicode's [samples of every kind, borders of runs]") {
  for (const char32_t c : {U'a', U'Z', U'\u00e9', U'\u00aa', U'\u03a9', U'\u0416', U'\u4f60', U'\uac00', U'\U00020000'})
    CHECK(class_of(c) == CharacterClass::letter);
  for (const char32_t c : {U'0', U'9', U'\u00b2', U'\u00bd', U'\u0663', U'\u2167', U'\uff15'})
    CHECK(class_of(c) == CharacterClass::number);
  for (const char32_t c : {U' ', U'\t', U'\n', U'\r', U'\u0085', U'\u00a0', U'\u2003', U'\u2028', U'\u3000'})
    CHECK(class_of(c) == CharacterClass::blank);
  for (const char32_t c : {U'\0', U'\x1f', U'!', U'_', U'~', U'\u00d7', U'\u2014', U'\u201c', U'\u200b', U'\u0301',
                           U'\U0001f600', U'\U0010ffff'})
    CHECK(class_of(c) == CharacterClass::other);
}

TEST_CASE("normalizer: a text in NFC stays as it is, whatever characters it holds [Hindi, Tamil, Arabic, IPA, jamo]") {
  for (const std::string text : {"गाँव की सड़क", "கதவைத் திறந்தான்", "خبزًا مُسرعًا", "x̂ ± σ̄, [ʃɑ̃sɔ̃]", "\u1100\u11ff", "plain"})
    CHECK(normalized(text, NormalForm::nfc) == text);
}

TEST_CASE("normalizer: forms compose, decompose, order marks and fold, and leave wrong bytes where they are") {
  CHECK(normalized("e\u0301", NormalForm::nfc) == "\u00e9");
  CHECK(normalized("\u0958", NormalForm::nfc) == "\u0915\u093c");  // excluded from composition
  CHECK(normalized("q\u0307\u0323", NormalForm::nfc) == "q\u0323\u0307");
  CHECK(normalized("\u00e9", NormalForm::nfd) == "e\u0301");
  CHECK(normalized("\ufb01\u00bd", NormalForm::nfkc) == "fi1\u20442");
  CHECK(normalized("\uac01", NormalForm::nfkd) == "\u1100\u1161\u11a8");
  CHECK(normalized("e\xff\u0301\xc3", NormalForm::nfc) == "e\xff\u0301\xc3");
  CHECK(normalized("", NormalForm::nfd).empty());
}

TEST_CASE("normalizer: replaced finds from left to right without overlap") {
  CHECK(replaced(" a  b ", " ", "__") == "__a____b__");
  CHECK(replaced("aaa", "aa", "b") == "ba");
  CHECK(replaced("", " ", "_").empty());
}

TEST_CASE("pre-tokenizer: split_at keeps what its behaviour says [runs, both ends, nothing found]") {
  const auto split = [](SplitBehavior behavior) { return split_at("__a_b_", "_", behavior); };
  CHECK(split(SplitBehavior::isolated) == Pieces{"_", "_", "a", "_", "b", "_"});
  CHECK(split(SplitBehavior::removed) == Pieces{"a", "b"});
  CHECK(split(SplitBehavior::merged_with_previous) == Pieces{"_", "_", "a_", "b_"});
  CHECK(split(SplitBehavior::merged_with_next) == Pieces{"_", "_a", "_b", "_"});
  CHECK(split_at("ab", "_", SplitBehavior::removed) == Pieces{"ab"});
}

TEST_CASE("pre-tokenizer: metaspace puts its sign before every piece, the first of the text, or none") {
  const auto pieces = [](PrependScheme prepend, bool begins, bool split) {
    hone::Pieces text{{"a b", " c"}, {}, begins};
    metaspace("_", prepend, split)(text);
    return std::vector<std::string>(text.views.begin(), text.views.end());
  };
  using Texts = std::vector<std::string>;
  CHECK(pieces(PrependScheme::always, false, true) == Texts{"_a", "_b", "_c"});
  CHECK(pieces(PrependScheme::first, true, false) == Texts{"_a_b", "_c"});
  CHECK(pieces(PrependScheme::first, false, false) == Texts{"a_b", "_c"});
  CHECK(pieces(PrependScheme::never, true, true) == Texts{"a", "_b", "_c"});
}

TEST_CASE("characters: every code point survives UTF-8, and a wrong byte is one character") {
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x900 ? 1 : 997) {
    const std::string text = utf8_of(c);
    const Character read = character_at(text, 0);
    const bool is_surrogate = c >= 0xD800 && c < 0xE000;
    CHECK((is_surrogate || (read.value == c && read.bytes == text.size())));
  }
  for (const std::string wrong : {"\x80", "\xc0\xaf", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xff",
                                  "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xc3("}) {
    const Character read = character_at(wrong, 0);
    CHECK(read.value == 0xFFFD);
    CHECK(read.bytes == 1);
    CHECK(read.kind == CharacterClass::other);
  }
}

TEST_CASE("pre-tokenizer: pieces of the GPT-2 expression [contractions, blanks, numbers, marks]") {
  CHECK(split_gpt2("it's we've I'M don't''s") ==
        Pieces{"it", "'s", " we", "'ve", " I", "'", "M", " don", "'t", "''", "s"});
  CHECK(split_gpt2("a  b\n\n c \t") == Pieces{"a", " ", " b", "\n\n", " c", " \t"});
  CHECK(split_gpt2("12ab34 56 !?x") == Pieces{"12", "ab", "34", " 56", " !?", "x"});
  CHECK(split_gpt2("a\u00a0\u00a0b") == Pieces{"a", "\u00a0", "\u00a0", "b"});
  CHECK(split_gpt2("").empty());
  CHECK(split_gpt2(" ") == Pieces{" "});
  CHECK(split_gpt2("\uf8ff's") == Pieces{"\uf8ff'", "s"});                    // private use is no letter
  CHECK(split_gpt2("a\U000e0fff\u0378") == Pieces{"a", "\U000e0fff\u0378"});  // nor is what is not assigned
}

TEST_CASE("pre-tokenizer: pieces of the Llama 3 expression [three digits, line ends, marks before letters]") {
  CHECK(split_llama3("It'Sx 12345 (x) !?\n\n y") ==
        Pieces{"It", "'S", "x", " ", "123", "45", " (", "x", ")", " !?\n\n", " y"});
  CHECK(split_llama3("it'\u017f\u017f") == Pieces{"it", "'\u017f", "\u017f"});  // long s
  CHECK(split_llama3("a  \n \n  b\tc") == Pieces{"a", "  \n \n", " ", " b", "\tc"});
  CHECK(split_llama3("_x-y  ") == Pieces{"_x", "-y", "  "});
  CHECK(split_qwen2("It'S 123\n x") == Pieces{"It", "'S", " ", "1", "2", "3", "\n", " x"});
}

TEST_CASE("pre-tokenizer: pieces of digits") {
  CHECK(split_single_numbers("ab123 4") == Pieces{"ab", "1", "2", "3", " ", "4"});
  CHECK(split_number_runs("ab123 4") == Pieces{"ab", "123", " ", "4"});
  CHECK(split_number_runs("") == Pieces{});
}

TEST_CASE("pre-tokenizer: pieces put together are the text, none is empty [random bytes]") {
  const std::string alphabet = " \n\t'sStrelvdm1?\xc3\xa9\xe2\x80\x83\xff";
  for (std::uint32_t number = 0; number < 300; ++number) {
    std::string text;
    for (const std::uint16_t i : ids<std::uint16_t>(number % 23, alphabet.size(), number)) text += alphabet[i];
    for (const auto split : {split_gpt2, split_llama3, split_qwen2, split_number_runs, split_single_numbers}) {
      std::string together;
      for (const std::string_view piece : split(text)) {
        CHECK_FALSE(piece.empty());
        together += piece;
      }
      CHECK(together == text);
    }
  }
}

TEST_CASE("merge_pairs: gives what a scan for the best pair gives [random tokens, equal ranks, chains]") {
  const auto merge_of = [](std::uint16_t left, std::uint16_t right) -> std::optional<PairMerge> {
    if ((left + 2 * right) % 3 == 0 || left + right > 9) return {};
    return PairMerge{double((7 * left + right) % 4), std::uint16_t((left + right) % 7)};
  };
  for (std::uint32_t number = 0; number < 200; ++number) {
    const auto tokens = ids<std::uint16_t>(number % 40, 5, number);
    CHECK(merge_pairs(tokens, merge_of) == merged_by_scanning(tokens, merge_of));
  }
}

TEST_CASE("merge_pairs: a run of 200000 equal tokens is merged in well under a second's work") {
  int calls = 0;
  const auto merged = merge_pairs(std::vector<std::uint16_t>(200000, 0), [&](auto left, auto right) {
    ++calls;
    return left == right && left < 17 ? std::optional(PairMerge{double(left), std::uint16_t(left + 1)}) : std::nullopt;
  });
  CHECK(merged.size() < 20);
  CHECK(calls < 2'000'000);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
