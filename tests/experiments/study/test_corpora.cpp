#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// Sentences of words drawn with a steep preference for the first of a list.
std::string english_like(size_t bytes) {
  const std::vector<std::string> words = {"the",     "of",     "and",     "a",      "to",    "in",    "he",    "was",
                                          "that",    "his",    "water",   "stone",  "light", "under", "every", "house",
                                          "morning", "letter", "spoke",   "never",  "would", "there", "which", "before",
                                          "little",  "great",  "because", "should", "their", "found"};
  const Stream stream{.seed = 5, .domain = Domain::test};
  std::string text;
  for (std::uint64_t i = 0; text.size() < bytes; ++i) {
    const double u = uniform(stream, i);
    text += words[size_t(double(words.size()) * u * u)];
    text += i % 11 == 10 ? ".\n" : " ";
  }
  return text;
}

/// A model on its own text file.
std::string text_model(const std::string& name, const std::string& file) {
  return fmt::format(
      "[[data]]\nname = \"{0}\"\nkind = \"text\"\nfiles = ['{1}']\nvalidation_fraction = 0.1\n"
      "[[models]]\nname = \"{0}\"\ndata = \"{0}\"\nlayers = 1\nwidth = 16\nheads = 2\n"
      "mlp_width = 32\ncontext = 32\ntokens = 61440\nfirst_tokens = 5120\ncheckpoints = 3\n"
      "lr = 1e-2\n",
      name, file);
}

/// The line of `text` that holds `part`, "" when none or several do.
std::string only_line(const std::string& text, const std::string& part) {
  std::string found;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    if (mentions(line, part)) {
      if (!found.empty()) return "";
      found = line;
    }
    begin = end + 1;
  }
  return found;
}

}  // namespace

TEST_CASE("run: bad corpora are one line each, and the other runs of the study finish") {
  const TemporaryFolder texts;
  const std::string missing = texts.path() / "missing.txt";
  const std::string empty = texts.write("empty.txt", "");
  const std::string latin = texts.write("latin.txt", english_like(20000) + "caf\xe9 noir\n");
  const std::string brief = texts.write("brief.txt", english_like(40));
  const std::string small = texts.write("small.txt", english_like(140000));
  const std::string wide = replaced(replaced(text_model("small", small), "context = 32", "context = 8192"),
                                    "tokens = 61440\nfirst_tokens = 5120", "tokens = 614400\nfirst_tokens = 512000");
  const Workplace place(text_model("missing", missing) + text_model("empty", empty) + text_model("latin", latin) +
                        text_model("brief", brief) + wide + tiny_text());
  const Said said = place.says("run", alone);
  CHECK(said.code == 1);
  CHECK_MESSAGE(mentions(said.out, "1 runs finished, 0 were done before, 5 failed"), said.out);
  CHECK_MESSAGE(count_lines(said.err) == 6, said.err);
  const auto expect = [&](const std::string& name, const std::vector<std::string>& parts) {
    const std::string line = only_line(said.err, name + "-s1-");
    for (const std::string& part : parts)
      CHECK_MESSAGE(mentions(line, part), part << " not in: " << line << "\n" << said.err);
  };
  expect("missing", {"failed: ", missing});
  expect("empty", {"failed: ", empty});
  expect("latin", {"failed: ", latin, "UTF-8", std::to_string(english_like(20000).size() + 3)});
  expect("brief", {"failed: ", brief, "40 bytes", "give a longer corpus"});
  expect("small", {"failed: ", "one batch needs 131088", "smaller batch/context"});
  expect("mlp", {"finished"});
  CHECK(std::filesystem::exists(place.finished(5)));
  for (size_t i = 0; i < 5; ++i) CHECK(!std::filesystem::exists(place.finished(i)));
}

TEST_CASE("run: an unknown corpus fails without any download, and names the known ones") {
  const Workplace place(
      replaced(replaced(tiny_text(), "kind = \"teacher\"\ninputs = 8", "kind = \"text\"\ncorpora = [\"bible\"]"),
               "kind = \"mlp\"\ndata = \"teacher\"\nwidths = [8]",
               "data = \"teacher\"\nlayers = 1\nwidth = 16\nheads = 2\ncontext = 16"));
  const Said said = place.says("run", alone);
  CHECK(said.code == 1);
  CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
  CHECK_MESSAGE((mentions(said.err, "'bible'") && mentions(said.err, "tdavid")), said.err);
}

TEST_CASE("run: a transformer learns a local text file, with bytes and with byte pairs") {
  const TemporaryFolder texts;
  const std::string file = texts.write("text.txt", english_like(300000));
  const std::string bpe =
      replaced(text_model("bpe", file), "kind = \"text\"", "kind = \"text\"\ntokenizer = \"bpe\"\nvocabulary = 300");
  std::string rest = tiny_text();
  rest = rest.substr(rest.find("[train]"));
  const Workplace place("[study]\nname = \"text\"\n" + text_model("bytes", file) + bpe + rest);
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  for (size_t i = 0; i < 2; ++i) {
    const RunFile run = place.read(i);
    const std::vector<double>& loss = run.group("checkpoints").doubles("loss_nats");
    REQUIRE(loss.size() == 3);
    const double start = run.group("series").doubles("loss_nats").front();
    CHECK_NEAR(start, std::log(i == 0 ? 256.0 : 300.0), 0.0, 0.5);
    CHECK(loss[1] < loss[0]);
    CHECK(loss[2] < loss[1] - 0.1);
    CHECK(loss[2] < 0.6 * start);
    CHECK(std::get<std::string>(run.group("manifest").attribute("corpus_sha256")).size() == 64);
    CHECK(std::get<std::int64_t>(run.group("manifest").attribute("data_epochs")) == 0);
  }
}

}  // namespace hone::test

TEST_SUITE_END();
