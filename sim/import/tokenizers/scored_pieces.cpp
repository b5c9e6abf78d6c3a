#include "sim/import/tokenizers/scored_pieces.hpp"

#include <cmath>
#include <cstring>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/import/tokenizers/characters.hpp"
#include "sim/import/tokenizers/pair_merging.hpp"

namespace hone {
namespace {

constexpr size_t begin_id = 1, end_id = 2;

/// The byte that a piece <0xXX> stands for.
std::optional<char> byte_of(const std::string& piece) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return {};
  const int high = digit(piece[3]), low = digit(piece[4]);
  if (high < 0 || low < 0) return {};
  return char(16 * high + low);
}

}  // namespace

ScoredPieces::ScoredPieces(const std::filesystem::path& file) : file_(file.string()) {
  const std::string bytes = read_text(file);
  size_t at = 0;
  const auto wrong = [&](std::string_view what) {
    return FormatError(
        fmt::format("{}: token {} at byte {}: {}; export the tokenizer again", file_, pieces_.size(), at, what));
  };
  const auto read = [&](auto& value) {
    if (bytes.size() - at < sizeof value) throw wrong("the file ends here");
    std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
  };
  std::int32_t longest = 0;
  read(longest);
  if (longest < 1) throw wrong(fmt::format("the longest token is said to have {} bytes", longest));
  while (at < bytes.size()) {
    float score = 0;
    std::int32_t length = 0;
    read(score);
    read(length);
    if (!std::isfinite(score)) throw wrong(fmt::format("its score is {}", score));
    if (length < 0 || length > longest) throw wrong(fmt::format("it has {} bytes, the longest {}", length, longest));
    if (size_t(length) > bytes.size() - at) throw wrong("the file ends within it");
    if (pieces_.size() == 65536)
      throw OptionError(fmt::format("{}: more than 65536 tokens (supported: ids of 16 bits)", file_));
    pieces_.push_back(bytes.substr(at, size_t(length)));
    scores_.push_back(score);
    at += size_t(length);
    longest_ = std::max(longest_, pieces_.back().size());
    id_of_.emplace(pieces_.back(), std::uint16_t(pieces_.size() - 1));
  }
  if (pieces_.size() <= end_id) throw wrong("the file has no tokens beyond unknown, begin and end");
  name_ = fmt::format("scored pieces {} {}", pieces_.size(), sha256(bytes));
}

void ScoredPieces::add_character(std::string_view character, std::vector<std::uint16_t>& tokens) const {
  const auto whole = id_of_.find(std::string(character));
  if (whole != id_of_.end()) return tokens.push_back(whole->second);
  for (const char c : character) {
    const auto single = id_of_.find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(c)));
    if (single == id_of_.end())
      throw OptionError(fmt::format("{}: no token for the byte 0x{:02X}; leave the character out of the text", file_,
                                    static_cast<unsigned char>(c)));
    tokens.push_back(single->second);
  }
}

std::vector<std::uint16_t> ScoredPieces::encode(std::string_view text) const {
  std::vector<std::uint16_t> tokens;
  if (text.empty()) return tokens;
  add_character(" ", tokens);
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_at(text, at).bytes;
    add_character(text.substr(at, length), tokens);
    at += length;
  }
  return merge_pairs(tokens, [&](std::uint16_t left, std::uint16_t right) -> std::optional<PairMerge> {
    if (pieces_[left].size() + pieces_[right].size() > longest_) return {};
    const auto joined = id_of_.find(pieces_[left] + pieces_[right]);
    if (joined == id_of_.end()) return {};
    return PairMerge{-double(scores_[joined->second]), joined->second};
  });
}

std::string ScoredPieces::decode(std::span<const std::uint16_t> tokens) const {
  std::string text;
  bool is_first = true;
  for (const std::uint16_t token : tokens) {
    EXPECTS(token < pieces_.size(), "decode: token {} of a vocabulary of {}", token, pieces_.size());
    if (token == begin_id || token == end_id) {
      is_first = true;
      continue;
    }
    const std::string& piece = pieces_[token];
    if (const auto byte = byte_of(piece))
      text += *byte;
    else
      text += is_first && piece.starts_with(' ') ? piece.substr(1) : piece;
    is_first = false;
  }
  return text;
}

}  // namespace hone
