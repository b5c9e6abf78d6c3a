// tokenizer.bin of llama2.c: pieces of text with scores, as SentencePiece's BPE makes them. A text is cut into
// characters (into bytes <0xXX> where the vocabulary lacks one), then the best-scored neighbours join.
//   source  Kudo & Richardson 2018; Karpathy, llama2.c: tokenizer.py (export) and run.c (encode, decode)
#pragma once

#include <unordered_map>

#include "sim/import/tokenizers/text_tokenizer.hpp"

namespace hone {

class ScoredPieces final : public TextTokenizer {
 public:
  /// errors  IoError; FormatError naming the token at fault; OptionError above 65536 tokens
  explicit ScoredPieces(const std::filesystem::path& file);

  /// A blank goes before a text that is not empty, as in training; decode takes one away again.
  std::vector<std::uint16_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::uint16_t> tokens) const override;
  std::optional<std::uint16_t> begin_of_text() const override { return std::uint16_t(1); }
  Index vocabulary() const override { return Index(pieces_.size()); }
  std::string name() const override { return name_; }

 private:
  void add_character(std::string_view character, std::vector<std::uint16_t>& tokens) const;

  std::vector<std::string> pieces_;
  std::vector<float> scores_;
  std::unordered_map<std::string, std::uint16_t> id_of_;
  std::size_t longest_ = 0;
  std::string file_, name_;
};

}  // namespace hone
