#include "sim/import/tokenizers/bpe_model.hpp"

#include "sim/base/error.hpp"
#include "sim/import/tokenizers/characters.hpp"

namespace hone {
namespace {

OptionError no_token(const std::string& origin, std::string_view text, const Character& c) {
  if (c.bytes == 1 && (c.value < 0x80 || c.value == 0xFFFD))
    return OptionError(fmt::format("{}: no token for the byte 0x{:02X}; leave it out of the text", origin,
                                   static_cast<unsigned char>(text[0])));
  return OptionError(
      fmt::format("{}: no token for the character U+{:04X}, and neither byte tokens nor an unk_token; "
                  "leave it out of the text",
                  origin, std::uint32_t(c.value)));
}

std::vector<std::uint16_t> spelled_in_bytes(const BpeModel& model, std::string_view piece, const std::string& origin) {
  std::vector<std::uint16_t> tokens;
  for (size_t at = 0; at < piece.size(); ++at) {
    const auto found = model.id_of.find(std::string(1, piece[at]));
    if (found == model.id_of.end()) throw no_token(origin, piece.substr(at), {0xFFFD, 1});
    tokens.push_back(found->second);
  }
  return tokens;
}

/// An unknown character waits until the next one that has a token of its own; byte tokens pass it. So do the ids of the
/// library `tokenizers`.
std::vector<std::uint16_t> spelled_in_characters(const BpeModel& model, std::string_view piece,
                                                 const std::string& origin) {
  std::vector<std::uint16_t> tokens;
  bool is_waiting = false;
  for (size_t at = 0; at < piece.size();) {
    const Character c = character_at(piece, at);
    const std::string_view text = piece.substr(at, c.bytes);
    at += c.bytes;
    if (const auto found = model.id_of.find(std::string(text)); found != model.id_of.end()) {
      if (is_waiting) tokens.push_back(*model.unknown);
      is_waiting = false;
      tokens.push_back(found->second);
      continue;
    }
    std::vector<std::uint16_t> bytes;
    for (const char byte : text)
      if (const auto token = model.byte_token[static_cast<unsigned char>(byte)]) bytes.push_back(*token);
    if (bytes.size() == text.size()) {
      tokens.insert(tokens.end(), bytes.begin(), bytes.end());
      continue;
    }
    if (!model.unknown) throw no_token(origin, text, c);
    if (is_waiting && !model.joins_unknown) tokens.push_back(*model.unknown);
    is_waiting = true;
  }
  if (is_waiting) tokens.push_back(*model.unknown);
  return tokens;
}

}  // namespace

void BpeModel::encode(std::string_view piece, const std::string& origin, std::vector<std::uint16_t>& out) const {
  if (takes_whole_pieces) {
    const auto whole = id_of.find(std::string(piece));
    if (whole != id_of.end()) return out.push_back(whole->second);
  }
  const auto merged = merge_pairs(alphabet == Alphabet::bytes ? spelled_in_bytes(*this, piece, origin)
                                                              : spelled_in_characters(*this, piece, origin),
                                  [&](std::uint16_t left, std::uint16_t right) -> std::optional<PairMerge> {
                                    const auto found = merges.find(std::uint32_t(left) << 16 | right);
                                    if (found == merges.end()) return {};
                                    return found->second;
                                  });
  out.insert(out.end(), merged.begin(), merged.end());
}

}  // namespace hone
