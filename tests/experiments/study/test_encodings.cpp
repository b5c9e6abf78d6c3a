// Texts that are not UTF-8: every command on a checkpoint refuses them alike, and takes their bytes when asked to.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "experiments/study/build.hpp"
#include "experiments/study/sources.hpp"
#include "tests/experiments/checkpoint.hpp"
#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// Latin-1 from the fourth byte on.
std::string latin_text() {
  std::string text = "caf\xe9 ";
  while (text.size() < 4000) text += "d\xe9j\xe0 vu, na\xefve; ";
  return text;
}

std::string utf16_text() {
  std::string text = "\xff\xfe";
  while (text.size() < 4000) text += std::string("w\0o\0r\0d\0 \0", 10);
  return text;
}

/// The three commands with short work, on this text.
std::vector<std::vector<std::string>> commands(const Checkpoint& checkpoint, const fs::path& text) {
  const auto command = [&](const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> words = {name,    checkpoint.path(),         "--text",    text.string(),
                                      "--out", checkpoint.out().string(), "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  return {command("measure", {"--windows", "4", "--curvature-windows", "2", "--lanczos-steps", "20", "--eigenpairs",
                              "1", "--slq-steps", "5", "--trace-probes", "2", "--bits", "4"}),
          command("quantize", {"--windows", "4", "--curvature-windows", "2", "--calibration-windows", "4", "--schemes",
                               "rtn", "--bits", "4"}),
          command("decode", {"--windows", "2", "--length", "64", "--copy-windows", "2", "--policies", "token4",
                             "--no-schedules"})};
}

Said with(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  return hone_says(words);
}

TEST_CASE("texts: Latin-1 is refused by every command with file, offset, byte and fix; --keep-bytes takes it") {
  const Checkpoint checkpoint;
  const TemporaryFolder texts;
  const fs::path latin = texts.write("latin.txt", latin_text());
  for (const auto& words : commands(checkpoint, latin)) {
    CAPTURE(words.front());
    const Said refused = hone_says(words);
    CHECK(refused.code == 1);
    CHECK_MESSAGE(count_lines(refused.err) == 1, refused.err);
    CHECK_MESSAGE(mentions(refused.err, latin.string() + ": not UTF-8 at byte 3 (value 0xe9); convert it with iconv"),
                  refused.err);
    CHECK_MESSAGE(mentions(refused.err, "--keep-bytes"), refused.err);
    fs::remove(checkpoint.out());  // a command replaces no result of another
    const Said taken = with(words, {"--keep-bytes"});
    CHECK_MESSAGE((taken.code == 0 || taken.code == 4), taken.err);
    CHECK(mentions(taken.out, "written: "));
  }
}

TEST_CASE("texts: UTF-16 is named; so are other texts than --text and pointers of Git LFS") {
  const Checkpoint checkpoint;
  const TemporaryFolder texts;
  const fs::path wide = texts.write("wide.txt", utf16_text()), good = checkpoint.file("text.txt");
  for (const auto& words : commands(checkpoint, wide)) {
    const Said refused = hone_says(words);
    CHECK(refused.code == 1);
    CHECK_MESSAGE(mentions(refused.err, "byte order mark of UTF-16LE; convert it with iconv -f UTF-16LE"), refused.err);
  }
  const auto good_commands = commands(checkpoint, good);
  const Said calibration = with(good_commands[1], {"--calibration", wide.string()});
  CHECK(calibration.code == 1);
  CHECK_MESSAGE(mentions(calibration.err, "wide.txt: not UTF-8 at byte 0"), calibration.err);
  const Said prompt = with(good_commands[0], {"--continue", "caf\xe9"});
  CHECK(prompt.code == 1);
  CHECK_MESSAGE(mentions(prompt.err, "--continue: not UTF-8 at byte 3"), prompt.err);
  const fs::path pointer = texts.write("lfs.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n");
  const Said lfs = hone_says(commands(checkpoint, pointer)[0]);
  CHECK(lfs.code == 1);
  CHECK_MESSAGE(mentions(lfs.err, "lfs.txt: a Git LFS pointer in place of the file of 7 bytes"), lfs.err);
}

TEST_CASE("corpora: raw_bytes gives the bytes of the files, whatever they are, as tokens; bytes asks for UTF-8") {
  const TemporaryFolder texts;
  std::string bytes = "\xef\xbb\xbf\r\n" + latin_text();
  for (int i = 0; i < 200000; ++i) bytes += char(i * i % 251);
  const std::string file = texts.write("any.txt", bytes).string();
  experiments::DataSpec data;
  data.name = "raw", data.files = {file}, data.tokenizer = "raw_bytes", data.validation_fraction = 0.3;
  experiments::CorpusShelf shelf(texts.path() / "cache");
  const auto stream = shelf.tokens(data);
  CHECK(stream->vocabulary == 256);
  CHECK(stream->train.size() + stream->validation.size() == bytes.size());
  std::vector<std::int64_t> wanted(256), got(256);
  for (const char c : bytes) ++wanted[static_cast<unsigned char>(c)];
  for (const auto* side : {&stream->train, &stream->validation})
    for (const std::uint16_t token : *side) ++got[token];
  CHECK(wanted == got);
  data.name = "text", data.tokenizer = "bytes";
  const std::string message = message_of<FormatError>([&] { shelf.tokens(data); });
  CHECK_MESSAGE(mentions(message, "not UTF-8 at byte 8 (value 0xe9)"), message);
  CHECK_MESSAGE(mentions(message, "tokenizer = \"raw_bytes\""), message);
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
