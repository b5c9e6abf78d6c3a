#include "sim/import/tokenizers/text_tokenizer.hpp"

#include <fstream>

#include "sim/base/error.hpp"
#include "sim/base/utf8.hpp"
#include "sim/import/tokenizers/scored_pieces.hpp"
#include "sim/import/tokenizers/tokenizer_json.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

fs::path tokenizer_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* name : {"tokenizer.json", "tokenizer.bin", "tok512.bin"})
    if (fs::exists(path / name)) return path / name;
  throw IoError(
      fmt::format("{}: holds no tokenizer.json, tokenizer.bin or tok512.bin; put the checkpoint's tokenizer "
                  "there",
                  path.string()));
}

/// JSON begins with a brace, perhaps after blanks; the other format with a small number.
bool is_json(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw IoError(fmt::format("{}: cannot be read; check the path and the permissions", file.string()));
  char c = 0;
  while (in.get(c) && (c == ' ' || c == '\n' || c == '\r' || c == '\t')) continue;
  return c == '{';
}

std::vector<std::uint16_t> side(std::string_view text, const TextTokenizer& tokenizer) {
  std::vector<std::uint16_t> tokens = tokenizer.encode(text);
  if (const auto begin = tokenizer.begin_of_text()) tokens.insert(tokens.begin(), *begin);
  return tokens;
}

}  // namespace

std::unique_ptr<TextTokenizer> import_tokenizer(const fs::path& path) {
  const fs::path file = tokenizer_file(path);
  refuse_lfs_pointer(file);
  if (is_json(file)) return std::make_unique<BpeTokenizer>(read_tokenizer_json(file));
  return std::make_unique<ScoredPieces>(file);
}

TokenStream tokenize(const Corpus& corpus, const TextTokenizer& tokenizer) {
  TokenStream stream;
  stream.train = side(corpus.train(), tokenizer);
  stream.validation = side(corpus.validation(), tokenizer);
  stream.vocabulary = tokenizer.vocabulary();
  stream.name = corpus.name();
  stream.sha256 = corpus.sha256();
  stream.tokenizer = tokenizer.name();
  stream.bytes_per_token = double(corpus.validation().size()) / double(stream.validation.size());
  return stream;
}

}  // namespace hone
