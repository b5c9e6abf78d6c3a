#include "sim/import/byte_level_bpe.hpp"

#include "sim/base/error.hpp"
#include "sim/import/characters.hpp"

namespace hone {

void ByteLevelBpe::check_nfc(std::string_view text) const {
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    if (may_change_in_nfc(c.value))
      throw OptionError(
          fmt::format("{}: its normalizer NFC may change the character U+{:04X} at byte {} of the text; "
                      "normalize the text to NFC without combining marks",
                      file_, std::uint32_t(c.value), at));
    at += c.bytes;
  }
}

void ByteLevelBpe::encode_piece(std::string_view piece, std::vector<std::uint16_t>& out) const {
  if (takes_whole_pieces_) {
    const auto whole = id_of_.find(std::string(piece));
    if (whole != id_of_.end()) return out.push_back(whole->second);
  }
  std::vector<std::uint16_t> tokens;
  for (const char c : piece) {
    const auto single = id_of_.find(std::string(1, c));
    if (single == id_of_.end())
      throw OptionError(fmt::format("{}: no token for the byte 0x{:02X}; leave it out of the text", file_,
                                    static_cast<unsigned char>(c)));
    tokens.push_back(single->second);
  }
  tokens = merge_pairs(tokens, [&](std::uint16_t left, std::uint16_t right) -> std::optional<PairMerge> {
    const auto found = merges_.find(std::uint32_t(left) << 16 | right);
    if (found == merges_.end()) return {};
    return found->second;
  });
  out.insert(out.end(), tokens.begin(), tokens.end());
}

void ByteLevelBpe::encode_plain(std::string_view text, std::vector<std::uint16_t>& out) const {
  if (text.empty()) return;
  const std::string with_blank = puts_blank_ && text[0] != ' ' ? fmt::format(" {}", text) : std::string();
  std::vector<std::string_view> pieces = {with_blank.empty() ? text : std::string_view(with_blank)};
  for (const Splitter& split : splitters_) {
    std::vector<std::string_view> finer;
    for (const std::string_view piece : pieces) {
      const std::vector<std::string_view> parts = split(piece);
      finer.insert(finer.end(), parts.begin(), parts.end());
    }
    pieces = std::move(finer);
  }
  std::unordered_map<std::string_view, std::vector<std::uint16_t>> known;
  for (const std::string_view piece : pieces) {
    const auto [found, is_new] = known.try_emplace(piece);
    if (is_new) encode_piece(piece, found->second);
    out.insert(out.end(), found->second.begin(), found->second.end());
  }
}

void ByteLevelBpe::encode_added(std::string_view text, bool normalized, std::vector<std::uint16_t>& out) const {
  const auto encode_rest = [&](std::string_view rest) {
    if (normalized) return encode_plain(rest, out);
    if (asks_nfc_) check_nfc(rest);
    encode_added(rest, true, out);
  };
  size_t begin = 0;
  for (size_t at = 0; (at = text.find_first_of(added_begin_with_, at)) != text.npos;) {
    const Added* found = nullptr;
    for (const Added& added : added_)
      if (!found && added.is_normalized == normalized && text.substr(at).starts_with(added.text)) found = &added;
    if (!found) {
      ++at;
      continue;
    }
    encode_rest(text.substr(begin, at - begin));
    out.push_back(found->id);
    begin = at += found->text.size();
  }
  encode_rest(text.substr(begin));
}

std::vector<std::uint16_t> ByteLevelBpe::encode(std::string_view text) const {
  std::vector<std::uint16_t> tokens;
  encode_added(text, false, tokens);
  return tokens;
}

std::string ByteLevelBpe::decode(std::span<const std::uint16_t> tokens) const {
  std::string text;
  for (const std::uint16_t token : tokens) {
    EXPECTS(token < spelling_.size(), "decode: token {} of a vocabulary of {}", token, spelling_.size());
    text += spelling_[token];
  }
  return text;
}

}  // namespace hone
