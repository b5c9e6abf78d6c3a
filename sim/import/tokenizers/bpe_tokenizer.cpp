#include "sim/import/tokenizers/bpe_tokenizer.hpp"

#include "sim/base/error.hpp"

namespace hone {

void BpeTokenizer::encode_normalized(std::string_view text, bool begins_text, std::vector<std::uint16_t>& out) const {
  Pieces pieces{{text}, {}, begins_text};
  for (const PreTokenizerStep& step : parts_.pre_tokenizers) step(pieces);
  std::unordered_map<std::string_view, std::vector<std::uint16_t>> known;
  for (const std::string_view piece : pieces.views) {
    const auto [found, is_new] = known.try_emplace(piece);
    if (is_new) parts_.model.encode(piece, parts_.file, found->second);
    out.insert(out.end(), found->second.begin(), found->second.end());
  }
}

void BpeTokenizer::encode_raw(std::string_view text, bool begins_text, std::vector<std::uint16_t>& out) const {
  const std::string rewritten = normalized_by(parts_.normalizers, text, parts_.file);
  const char* const begin = rewritten.data();
  parts_.normalized_added.cut(
      rewritten, [&](std::string_view part) { encode_normalized(part, begins_text && part.data() == begin, out); },
      [&](const AddedToken& token) { out.push_back(token.id); });
}

std::vector<std::uint16_t> BpeTokenizer::encode(std::string_view text) const {
  std::vector<std::uint16_t> tokens;
  parts_.raw_added.cut(
      text, [&](std::string_view part) { encode_raw(part, part.data() == text.data(), tokens); },
      [&](const AddedToken& token) { tokens.push_back(token.id); });
  return tokens;
}

std::string BpeTokenizer::decode(std::span<const std::uint16_t> tokens) const {
  std::string text;
  bool is_first = true;
  for (const std::uint16_t token : tokens) {
    EXPECTS(token < parts_.spelling.size(), "decode: token {} of a vocabulary of {}", token, parts_.spelling.size());
    if (token == parts_.begin) {
      is_first = true;
      continue;
    }
    const std::string_view spelling = parts_.spelling[token];
    text += parts_.puts_blank && is_first && spelling.starts_with(' ') ? spelling.substr(1) : spelling;
    is_first = false;
  }
  return text;
}

}  // namespace hone
