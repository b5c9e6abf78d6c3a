#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "sim/base/error.hpp"
#include "sim/data/tokenizer.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace hone;
using hone::test::mentions;
using hone::test::message_of;
using hone::test::TemporaryFolder;

namespace {

const std::string sample =
    "the cat sat on the mat and the other cat sat on the other mat\nthe end of the tale of the "
    "cats\n";

std::string joined(const std::vector<std::string_view>& words) {
  std::string text;
  for (const std::string_view word : words) text += word;
  return text;
}

/// Any bytes, or bytes of which many are blanks and letters, so that merges and word borders occur.
std::string text_of(const std::vector<std::uint8_t>& bytes, bool prose) {
  constexpr std::string_view alphabet = "  \n\tthe cats\xe9";
  std::string text;
  for (const std::uint8_t b : bytes) text += prose ? alphabet[b % alphabet.size()] : static_cast<char>(b);
  return text;
}

}  // namespace

TEST_CASE("words: they cover any bytes in order, none is empty, a blank belongs to its word") {
  CHECK(rc::check("words", [](const std::vector<std::uint8_t>& bytes, bool prose) {
    const std::string text = text_of(bytes, prose);
    const auto words = words_of(text);
    RC_ASSERT(joined(words) == text);
    for (const auto word : words) RC_ASSERT(!word.empty() && word.size() <= 128u);
  }));
  const std::vector<std::string_view> expected{"ab", " cd", "  ", " e", "\n", " f", "\n\n", "g", " "};
  CHECK(words_of("ab cd   e\n f\n\ng ") == expected);
}

TEST_CASE("tokenizer: decoding undoes encoding on any bytes") {
  const Tokenizer bpe = Tokenizer::train_bpe(sample, 271);
  CHECK(rc::check("round trip", [&](const std::vector<std::uint8_t>& bytes, bool prose) {
    const std::string text = text_of(bytes, prose);
    RC_ASSERT(bpe.decode(bpe.encode(text)) == text);
    RC_ASSERT(Tokenizer::bytes().decode(Tokenizer::bytes().encode(text)) == text);
  }));
  const std::string run(10000, 'a');
  CHECK(bpe.decode(bpe.encode(run)) == run);
  for (const auto word : words_of(run + std::string(10000, ' '))) CHECK(word.size() <= 128);
}

TEST_CASE("bytes: one token per byte") {
  const auto tokens = Tokenizer::bytes().encode("a\xff");
  CHECK(tokens == std::vector<std::uint16_t>{97, 255});
  CHECK(Tokenizer::bytes().vocabulary() == 256);
  CHECK(Tokenizer::bytes().name() == "bytes");
}

TEST_CASE("bpe: each merge is of the most frequent pair, of the smaller among equals") {
  // Words "abab" x2 and "cd" x4: (a,b) and (c,d) both occur 4 times, (b,a) twice.
  const Tokenizer first = Tokenizer::train_bpe("abab\nabab\ncd\ncd\ncd\ncd\n", 257);
  CHECK(first.encode("abcd") == std::vector<std::uint16_t>{256, 'c', 'd'});
  const Tokenizer third = Tokenizer::train_bpe("abab\nabab\ncd\ncd\ncd\ncd\n", 259);
  CHECK(third.encode("cd") == std::vector<std::uint16_t>{257});
  CHECK(third.encode("abab") == std::vector<std::uint16_t>{258});
}

TEST_CASE("bpe: a word is encoded by the earliest merge first") {
  const Tokenizer bpe = Tokenizer::train_bpe("ab\nab\nab\nbc\nbc\n", 258);
  CHECK(bpe.encode("abc") == std::vector<std::uint16_t>{256, 'c'});
  CHECK(bpe.encode("bc") == std::vector<std::uint16_t>{257});
}

TEST_CASE("bpe: pairs that overlap in a run are counted like any other") {
  const Tokenizer bpe = Tokenizer::train_bpe("aaaa\naaaa\n", 258);
  CHECK(bpe.encode("aaaa") == std::vector<std::uint16_t>{257});
  CHECK(bpe.encode("aaa") == std::vector<std::uint16_t>{256, 'a'});
}

TEST_CASE("bpe: training is the same every time and shortens the text") {
  const Tokenizer a = Tokenizer::train_bpe(sample, 270), b = Tokenizer::train_bpe(sample, 270);
  CHECK(a.sha256() == b.sha256());
  CHECK(a.sha256() != Tokenizer::train_bpe(sample, 269).sha256());
  CHECK(a.encode(sample).size() < sample.size() / 2);
  CHECK(a.name() == "bpe-270");
}

TEST_CASE("bpe: what was saved is loaded") {
  const TemporaryFolder folder;
  for (const Tokenizer& tokenizer : {Tokenizer::bytes(), Tokenizer::train_bpe(sample, 270)}) {
    tokenizer.save(folder.path() / "t");
    const Tokenizer loaded = Tokenizer::load(folder.path() / "t");
    CHECK(loaded.sha256() == tokenizer.sha256());
    CHECK(loaded.encode(sample) == tokenizer.encode(sample));
  }
}

TEST_CASE("bpe: a bad file is refused with its line") {
  const TemporaryFolder folder;
  std::string doubling = "hone-tokenizer 1\nmerges 40\n0 0\n";
  for (int k = 1; k < 40; ++k) doubling += fmt::format("{} {}\n", 255 + k, 255 + k);
  const std::pair<std::string, std::string> bad[] = {
      {"", "line 1"},
      {"hone-tokenizer 2\nmerges 0\n", "line 1"},
      {"hone-tokenizer 1\n", "line 2"},
      {"hone-tokenizer 1\nmerges -1\n", "line 2"},
      {"hone-tokenizer 1\nmerges 99999\n", "line 2"},
      {"hone-tokenizer 1\nmerges 1\n", "line 3"},
      {"hone-tokenizer 1\nmerges 1\n1\n", "line 3"},
      {"hone-tokenizer 1\nmerges 1\n1 256\n", "line 3"},
      {"hone-tokenizer 1\nmerges 1\n1 2x\n", "line 3"},
      {"hone-tokenizer 1\nmerges 2\n1 2\n1 2\n", "line 4"},
      {"hone-tokenizer 1\nmerges 1\n1 2\n3 4\n", "line 4"},
      {doubling, "too long"},
  };
  for (const auto& [content, part] : bad) {
    CAPTURE(content.substr(0, 60));
    const auto file = folder.write("bad.tokenizer", content);
    const std::string message = message_of<FormatError>([&] { Tokenizer::load(file); });
    CHECK(mentions(message, "bad.tokenizer"));
    CHECK(mentions(message, part));
    CHECK(mentions(message, "train the tokenizer again"));
  }
}

TEST_CASE("bpe: each error names the value and the fix") {
  CHECK(mentions(message_of<OptionError>([] { Tokenizer::train_bpe(sample, 256); }), "257"));
  CHECK(mentions(message_of<OptionError>([] { Tokenizer::train_bpe(sample, 65537); }), "65537"));
  const std::string few = message_of<OptionError>([] { Tokenizer::train_bpe("a b", 300); });
  CHECK(mentions(few, "300"));
  CHECK(mentions(few, "smaller vocabulary"));
  const std::vector<std::uint16_t> unknown{256};
  CHECK_THROWS_AS(Tokenizer::bytes().decode(unknown), ContractError);
}

TEST_CASE("tokenize: the stream names its text and tokenizer") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 20; ++i) text += sample;
  const Corpus corpus({.name = "cats", .files = {folder.write("a.txt", text)}, .block_bytes = 200});
  const TokenStream stream = tokenize(corpus, Tokenizer::bytes());
  CHECK(stream.train.size() == corpus.train().size());
  CHECK(stream.validation.size() == corpus.validation().size());
  CHECK(stream.vocabulary == 256);
  CHECK(stream.name == "cats");
  CHECK(stream.sha256 == corpus.sha256());
  CHECK(mentions(stream.tokenizer, "bytes"));
  CHECK_NEAR(stream.bytes_per_token, 1.0, 1e-15, 0);
}
