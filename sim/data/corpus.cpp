#include "sim/data/corpus.hpp"

#include <algorithm>
#include <string_view>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/data/extract.hpp"
#include "sim/data/permutation.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

constexpr std::string_view document_separator = "\n\n";

std::vector<fs::path> expanded(const std::vector<fs::path>& given) {
  std::vector<fs::path> files;
  for (const fs::path& path : given) {
    if (!fs::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.is_regular_file() && is_corpus_file(entry.path())) inside.push_back(entry.path());
    if (inside.empty())
      throw IoError(
          fmt::format("{}: the folder holds no .txt, .html, .gz or .czs file; name the files, or "
                      "fetch a corpus with experiments/fetch_corpus",
                      path.string()));
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

std::string extract_text(const std::vector<fs::path>& files, bool keeps_bytes) {
  std::string text;
  for (const fs::path& file : files) {
    if (keeps_bytes) {
      text += extract_bytes(file);
      continue;
    }
    for (const std::string& document : extract_documents(file)) {
      if (!text.empty()) text += document_separator;
      text += document;
    }
  }
  if (text.empty())
    throw FormatError(
        fmt::format("{}: no text was found in it; check that it is a text, a page or the index of "
                    "a SWORD module",
                    files.front().string()));
  return text;
}

/// Changes with the content and the order of the files and with the extractor, not with their
/// folder.
std::string content_key(const std::vector<fs::path>& files, bool keeps_bytes) {
  std::string description = keeps_bytes ? "bytes\n" : fmt::format("extractor {}\n", extractor_version);
  for (const fs::path& file : files)
    for (const fs::path& read : files_read_for(file))
      description += fmt::format("{} {}\n", read.filename().string(), sha256_of_file(read));
  return sha256(description).substr(0, 12);
}

std::string cached_text(const CorpusOptions& options, const std::vector<fs::path>& files) {
  const fs::path text_file =
      options.cache / fmt::format("{}-{}.txt", options.name, content_key(files, options.keeps_bytes));
  const fs::path hash_file = fs::path(text_file).concat(".sha256");
  if (fs::is_regular_file(text_file) && fs::is_regular_file(hash_file)) {
    std::string text = read_text(text_file);
    if (read_text(hash_file) == sha256(text) + "\n") return text;
  }
  std::string text = extract_text(files, options.keeps_bytes);
  ensure_writable_folder(options.cache);
  write_text_atomically(text_file, text);
  write_text_atomically(hash_file, sha256(text) + "\n");
  return text;
}

}  // namespace

void CorpusOptions::validate() const {
  std::string complaints;
  const auto complain = [&](const std::string& what) { complaints += (complaints.empty() ? "" : "; ") + what; };
  if (name.empty() || name.find('/') != name.npos)
    complain(fmt::format("corpus name is '{}', give a word without '/'", name));
  if (files.empty()) complain("corpus files is empty, give at least one file or folder");
  if (!(validation_fraction > 0 && validation_fraction < 1))
    complain(fmt::format("corpus validation_fraction is {}, give a value between 0 and 1", validation_fraction));
  if (block_bytes < 8) complain(fmt::format("corpus block_bytes is {}, give at least 8", block_bytes));
  if (!complaints.empty()) throw OptionError(complaints);
}

Corpus::Corpus(const CorpusOptions& options) : name_(options.name) {
  options.validate();
  const std::vector<fs::path> files = expanded(options.files);
  for (const fs::path& file : files)
    for (const fs::path& read : files_read_for(file))
      if (!fs::is_regular_file(read))
        throw IoError(
            fmt::format("{}: no such file; check the path or fetch the corpus with "
                        "experiments/fetch_corpus",
                        read.string()));
  const std::string text =
      options.cache.empty() ? extract_text(files, options.keeps_bytes) : cached_text(options, files);
  sha256_ = hone::sha256(text);
  const std::vector<std::size_t> ends = block_ends(text, options.block_bytes);
  blocks_ = static_cast<Index>(ends.size());
  if (blocks_ < 2)
    throw OptionError(
        fmt::format("corpus {} ({}) has {} bytes, one block of block_bytes = {}, and the split "
                    "needs two; give a longer corpus or smaller block_bytes",
                    name_, files.front().string(), text.size(), options.block_bytes));
  const std::vector<bool> validates = held_out(blocks_, options.validation_fraction);
  std::size_t begin = 0;
  for (Index k = 0; k < blocks_; ++k) {
    (validates[k] ? validation_ : train_).append(text, begin, ends[k] - begin);
    begin = ends[k];
  }
}

std::vector<std::size_t> block_ends(std::string_view text, Index block_bytes) {
  EXPECTS(block_bytes >= 8, "block_ends: block_bytes is {}", block_bytes);
  const std::size_t size = static_cast<std::size_t>(block_bytes);
  std::vector<std::size_t> ends;
  std::size_t begin = 0;
  while (text.size() - begin > size) {
    const std::string_view rest = text.substr(begin, 2 * size);
    std::size_t length = rest.substr(0, size).find(document_separator, size / 2);
    length = length == rest.npos ? rest.find('\n', size) : length + 1;
    if (length == rest.npos) {
      length = rest.size();
      const auto continues = [&](std::size_t at) {
        return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
      };
      // A character has at most three bytes after its first; a longer run of such bytes is no text.
      std::size_t back = 0;
      while (back < 4 && continues(begin + length - back)) ++back;
      if (back < 4) length -= back;
    } else {
      ++length;
    }
    begin += length;
    ends.push_back(begin);
  }
  if (begin < text.size()) ends.push_back(text.size());
  return ends;
}

}  // namespace hone
