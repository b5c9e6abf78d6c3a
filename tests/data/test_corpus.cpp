#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/utf8.hpp"
#include "sim/data/corpus.hpp"
#include "sim/data/extract.hpp"
#include "sim/data/permutation.hpp"
#include "sim/data/tokenizer.hpp"
#include "tests/support/temporary_folder.hpp"

namespace fs = std::filesystem;
using namespace hone;
using hone::test::mentions;
using hone::test::message_of;
using hone::test::TemporaryFolder;

namespace {

/// `count` lines that all differ.
std::string numbered_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += fmt::format("line number {} of a text{}", i, i % 7 == 6 ? "\n\n" : "\n");
  return text;
}

std::multiset<std::string> lines_of(const std::string& text) {
  std::multiset<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != text.npos; begin = end + 1)
    if (end > begin) lines.insert(text.substr(begin, end - begin));
  return lines;
}

fs::path real_corpus() {
  const fs::path module = "/usr/share/sword/modules/comments/zcom/tdavid/ot.czs";
  if (fs::exists(module)) return module;
  const char* folder = std::getenv("HONE_CORPUS_DIR");
  return folder ? fs::path(folder) : fs::path();
}

}  // namespace

TEST_CASE("held_out: as many items as the fraction says, some on each side") {
  for (const Index count : {2, 3, 10, 1000}) {
    for (const double fraction : {1e-9, 0.1, 0.5, 1 - 1e-9}) {
      const auto flags = held_out(count, fraction);
      const auto chosen = std::count(flags.begin(), flags.end(), true);
      CHECK(chosen >= 1);
      CHECK(chosen <= count - 1);
      CHECK(std::abs(double(chosen) - fraction * double(count)) <= 1.0);
    }
  }
  CHECK_THROWS_AS(held_out(1, 0.5), ContractError);
}

TEST_CASE("held_out: the items are drawn from everywhere") {
  const auto flags = held_out(1000, 0.3);
  for (int fifth = 0; fifth < 5; ++fifth) {
    const auto begin = flags.begin() + 200 * fifth;
    // Hypergeometric with mean 60 and standard deviation 5.8.
    CHECK(std::abs(double(std::count(begin, begin + 200, true)) - 60) <= 5 * 5.8);
  }
}

TEST_CASE("blocks: they cover the text in order and end at line ends") {
  const std::string text = numbered_lines(500);
  for (const Index block_bytes : {8, 100, 1000}) {
    std::size_t begin = 0;
    for (const std::size_t end : block_ends(text, block_bytes)) {
      CHECK(end > begin);
      CHECK(end - begin <= 2 * static_cast<std::size_t>(block_bytes));
      if (block_bytes >= 100) CHECK(text[end - 1] == '\n');
      begin = end;
    }
    CHECK(begin == text.size());
  }
  CHECK(block_ends(std::string(40, '\x80'), 8) == std::vector<std::size_t>{16, 32, 40});  // no text, cut all the same
  CHECK(block_ends("", 8).empty());
}

TEST_CASE("blocks: a text without line ends is cut between characters") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "\xe2\x82\xac";
  for (const std::size_t end : block_ends(text, 8)) CHECK(end % 3 == 0);
}

TEST_CASE("blocks: a document ends a block") {
  const std::string text = std::string(70, 'a') + "\n\n" + std::string(200, 'b') + "\n";
  CHECK(block_ends(text, 100).front() == 72);
}

TEST_CASE("corpus: training and validation share no line and together are the text") {
  const TemporaryFolder folder;
  const std::string text = numbered_lines(2000);
  const fs::path file = folder.write("a.txt", text);
  const Corpus corpus({.files = {file}, .validation_fraction = 0.2, .block_bytes = 500});
  auto together = lines_of(corpus.train());
  const auto held = lines_of(corpus.validation());
  for (const std::string& line : held) CHECK(together.count(line) == 0);
  together.insert(held.begin(), held.end());
  CHECK(together == lines_of(text));
  CHECK(corpus.sha256() == sha256(text));
  CHECK(corpus.train().size() + corpus.validation().size() == text.size());
  CHECK(std::abs(double(corpus.validation().size()) / double(text.size()) - 0.2) < 0.02);
}

TEST_CASE("corpus: validation is the held-out blocks, joined") {
  const TemporaryFolder folder;
  const std::string text = numbered_lines(300);
  for (const double fraction : {0.1, 0.5, 0.9}) {
    const Corpus corpus({.files = {folder.write("a.txt", text)}, .validation_fraction = fraction, .block_bytes = 300});
    const auto ends = block_ends(text, 300);
    const auto flags = held_out(corpus.blocks(), fraction);
    REQUIRE(flags.size() == ends.size());
    std::string held;
    for (std::size_t k = 0; k < ends.size(); ++k) {
      const std::size_t begin = k == 0 ? 0 : ends[k - 1];
      if (flags[k]) held += text.substr(begin, ends[k] - begin);
    }
    CHECK(corpus.validation() == held);
  }
}

TEST_CASE("corpus: a folder is its text files in order of name") {
  const TemporaryFolder folder;
  folder.write("b.txt", numbered_lines(30));
  folder.write("a.txt", "first\n");
  folder.write("notes.md", "not part of it");
  const Corpus corpus({.files = {folder.path()}, .block_bytes = 200});
  CHECK(corpus.sha256() == sha256("first\n\n\n" + numbered_lines(30)));
}

TEST_CASE("corpus: a damaged cache is noticed and written again") {
  const TemporaryFolder folder;
  const std::string text = numbered_lines(100);
  const fs::path file = folder.write("a.txt", text);
  const CorpusOptions options{.name = "lines", .files = {file}, .cache = folder.path() / "cache", .block_bytes = 500};
  CHECK(Corpus(options).sha256() == sha256(text));
  fs::path cached;
  for (const auto& entry : fs::directory_iterator(options.cache))
    if (entry.path().extension() == ".txt") cached = entry.path();
  REQUIRE(read_text(cached) == text);
  std::ofstream(cached) << "something else";
  CHECK(Corpus(options).sha256() == sha256(text));
  CHECK(read_text(cached) == text);
  folder.write("a.txt", text + "one more line\n");
  CHECK(Corpus(options).sha256() == sha256(text + "one more line\n"));
}

TEST_CASE("corpus: a sound cache is used in place of the extraction") {
  const TemporaryFolder folder;
  const fs::path file = folder.write("a.txt", numbered_lines(100));
  const CorpusOptions options{.files = {file}, .cache = folder.path() / "cache", .block_bytes = 500};
  CHECK(Corpus(options).name() == "corpus");
  const std::string other = numbered_lines(120);
  for (const auto& entry : fs::directory_iterator(options.cache))
    std::ofstream(entry.path()) << (entry.path().extension() == ".txt" ? other : sha256(other) + "\n");
  CHECK(Corpus(options).sha256() == sha256(other));
}

TEST_CASE("corpus: each error names the fact and the fix") {
  const TemporaryFolder folder;
  const fs::path small = folder.write("small.txt", "a few words\n");
  const std::string short_text = message_of<OptionError>([&] { Corpus({.files = {small}}); });
  CHECK(mentions(short_text, "small.txt"));
  CHECK(mentions(short_text, "12 bytes"));
  CHECK(mentions(short_text, "block_bytes"));
  const std::string options = message_of<OptionError>(
      [&] { Corpus({.name = "a/b", .files = {}, .validation_fraction = NAN, .block_bytes = 0}); });
  for (const char* part : {"a/b", "files", "validation_fraction", "block_bytes", "give"})
    CHECK(mentions(options, part));
  const std::string missing = message_of<IoError>([&] { Corpus({.files = {folder.path() / "absent.czs"}}); });
  CHECK(mentions(missing, "absent.czs"));
  const fs::path page = folder.write("menu.html", "<p>menu</p>");
  CHECK(mentions(message_of<FormatError>([&] { Corpus({.files = {page}}); }), "menu.html"));
  fs::create_directory(folder.path() / "bare");
  CHECK(mentions(message_of<IoError>([&] { Corpus({.files = {folder.path() / "bare"}}); }), "bare"));
}

TEST_CASE("corpus: keeps_bytes takes the files as they are, packed or not, and joins them [CR, mark, no UTF-8]") {
  const TemporaryFolder folder;
  const std::string bytes =
      "\xef\xbb\xbf"
      "caf\xe9\r\n<b>&amp;\xff" +
      std::string(300, '\x80');
  const fs::path one = folder.write("one.html", bytes), two = folder.write("two.txt", "\xfe end");
  const CorpusOptions options{.name = "raw", .files = {one, two}, .keeps_bytes = true, .block_bytes = 8};
  const Corpus corpus(options);
  CHECK(corpus.sha256() == sha256(bytes + "\xfe end"));
  CHECK(corpus.train().size() + corpus.validation().size() == bytes.size() + 5);
  CorpusOptions text = options;
  text.keeps_bytes = false;
  CHECK(mentions(message_of<FormatError>([&] { Corpus{text}; }), "one.html: not UTF-8 at byte 6 (value 0xe9)"));
  CorpusOptions cached = options;
  cached.cache = folder.path() / "cache";
  for (int time = 0; time < 2; ++time) CHECK(Corpus(cached).sha256() == corpus.sha256());
}

TEST_CASE("corpus: the real corpus is prose, and BPE gives it back") {
  const fs::path file = real_corpus();
  if (file.empty()) {
    MESSAGE("SKIPPED: package sword-comm-tdavid is not installed and HONE_CORPUS_DIR is not set");
    return;
  }
  const Corpus corpus({.name = "real", .files = {file}});
  CHECK(corpus.train().size() > 8 * corpus.validation().size());
  CHECK(first_invalid_utf8(corpus.train()) == std::string::npos);
  CHECK(corpus.train().find("<hi") == std::string::npos);
  const Tokenizer tokenizer = Tokenizer::train_bpe(corpus.train(), 1280);
  const TokenStream stream = tokenize(corpus, tokenizer);
  CHECK(tokenizer.decode(stream.train) == corpus.train());
  CHECK(tokenizer.decode(stream.validation) == corpus.validation());
  CHECK(stream.bytes_per_token > 2.0);
  MESSAGE(fmt::format("{} bytes, {} blocks, {} training tokens, {:.3f} bytes per token",
                      corpus.train().size() + corpus.validation().size(), corpus.blocks(), stream.train.size(),
                      stream.bytes_per_token));
}
