#include "sim/data/extract.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/gzip.hpp"
#include "sim/base/utf8.hpp"
#include "sim/data/markup.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

constexpr std::uint64_t largest_unpacked = std::uint64_t(2) << 30;
constexpr std::uint64_t deflate_ratio = 1032;  // the most that deflate can pack; more is a lie

bool ends_with(const fs::path& file, std::string_view ending) { return file.filename().string().ends_with(ending); }

bool is_sword_index(const fs::path& file) {
  const std::string extension = file.extension().string();
  return extension.size() == 4 && extension.ends_with("zs");
}

bool is_html(const fs::path& file) { return ends_with(file, ".html") || ends_with(file, ".htm"); }

fs::path sword_data_of(const fs::path& index) {
  std::string name = index.string();
  name.back() = 'z';
  return name;
}

std::uint64_t little_endian_32(const char* at) {
  std::uint64_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

struct SwordBlock {
  std::uint64_t offset, packed, unpacked;
};

std::vector<SwordBlock> sword_blocks(const fs::path& index_file, std::uint64_t data_bytes) {
  constexpr size_t record_bytes = 12;
  const std::string index = read_text(index_file);
  if (index.size() % record_bytes != 0)
    throw FormatError(fmt::format("{}: {} bytes are not whole records of {}; fetch the module again",
                                  index_file.string(), index.size(), record_bytes));
  std::vector<SwordBlock> blocks;
  std::uint64_t previous_end = 0;
  for (size_t at = 0; at < index.size(); at += record_bytes) {
    const SwordBlock block{little_endian_32(&index[at]), little_endian_32(&index[at + 4]),
                           little_endian_32(&index[at + 8])};
    if (block.packed == 0 && block.unpacked == 0) continue;
    // Overlapping blocks would let a small file unpack to any size.
    const bool inside = block.offset >= previous_end && block.offset + block.packed <= data_bytes;
    if (!inside || block.unpacked > deflate_ratio * block.packed)
      throw FormatError(
          fmt::format("{}: record {} names bytes {} to {} unpacking to {}, but the data file has "
                      "{} bytes and earlier "
                      "records end at {}; fetch the module again",
                      index_file.string(), at / record_bytes, block.offset, block.offset + block.packed, block.unpacked,
                      data_bytes, previous_end));
    previous_end = block.offset + block.packed;
    blocks.push_back(block);
  }
  return blocks;
}

std::vector<std::string> sword_documents(const fs::path& index_file) {
  const fs::path data_file = sword_data_of(index_file);
  if (!fs::is_regular_file(data_file))
    throw IoError(fmt::format("{}: its data file {} is missing; put both into one folder", index_file.string(),
                              data_file.filename().string()));
  const std::string data = read_text(data_file);
  std::vector<std::string> documents;
  for (const SwordBlock& block : sword_blocks(index_file, data.size())) {
    std::string markup(block.unpacked, '\0');
    uLongf length = markup.size();
    const int status = uncompress(reinterpret_cast<Bytef*>(markup.data()), &length,
                                  reinterpret_cast<const Bytef*>(data.data() + block.offset), block.packed);
    if (status != Z_OK || length != block.unpacked)
      throw FormatError(
          fmt::format("{}: the block at byte {} does not unpack to {} bytes (zlib status {}); "
                      "fetch the module again",
                      data_file.string(), block.offset, block.unpacked, status));
    require_utf8(markup, fmt::format("{}: block at byte {}", data_file.string(), block.offset));
    documents.push_back(text_of_sword_markup(markup));
  }
  return documents;
}

std::string plain_text(std::string_view raw) {
  if (raw.starts_with("\xef\xbb\xbf")) raw.remove_prefix(3);
  std::string text;
  text.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i)
    if (raw[i] != '\r' || i + 1 == raw.size() || raw[i + 1] != '\n') text += raw[i];
  return text;
}

}  // namespace

std::string read_gzip(const fs::path& file) { return gunzip(read_text(file), file.string()); }

std::string extract_bytes(const fs::path& file) {
  if (!fs::is_regular_file(file))
    throw IoError(
        fmt::format("{}: no such file; check the path or fetch the corpus with "
                    "experiments/fetch_corpus",
                    file.string()));
  refuse_lfs_pointer(file);
  std::string raw = file.extension() == ".gz" ? read_gzip(file) : read_text(file);
  if (raw.empty()) throw FormatError(fmt::format("{}: the file is empty; give a file with text", file.string()));
  return raw;
}

std::vector<std::string> extract_documents(const fs::path& file) {
  std::vector<std::string> documents;
  if (is_sword_index(file)) {
    if (!fs::is_regular_file(file)) throw IoError(fmt::format("{}: no such file; check the path", file.string()));
    documents = sword_documents(file);
  } else {
    const std::string raw = extract_bytes(file);
    require_utf8(raw, file.string(), ", or learn from its bytes with tokenizer = \"raw_bytes\" in [[data]]");
    documents.push_back(is_html(file.extension() == ".gz" ? file.stem() : file) ? text_of_html(raw) : plain_text(raw));
  }
  std::erase_if(documents, [](const std::string& text) { return text.empty(); });
  return documents;
}

std::vector<fs::path> files_read_for(const fs::path& file) {
  if (is_sword_index(file)) return {file, sword_data_of(file)};
  return {file};
}

bool is_corpus_file(const fs::path& file) {
  const fs::path inner = file.extension() == ".gz" ? file.stem() : file;
  return is_sword_index(file) || is_html(inner) || ends_with(inner, ".txt");
}

}  // namespace hone
