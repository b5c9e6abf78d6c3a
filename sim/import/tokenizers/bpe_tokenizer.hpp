// The tokenizer of a tokenizer.json with a BPE model: the text is cut at added tokens, normalized, cut at the added
// tokens of the normalized text, then into pieces by the pre-tokenizers of the file, and each piece becomes tokens.
//   source  the library `tokenizers`, whose ids this class gives
#pragma once

#include "sim/import/tokenizers/added_tokens.hpp"
#include "sim/import/tokenizers/bpe_model.hpp"
#include "sim/import/tokenizers/normalizer.hpp"
#include "sim/import/tokenizers/pre_tokenizer.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"

namespace hone {

/// What a tokenizer.json says, see tokenizer_json.hpp.
struct BpeTokenizerParts {
  AddedTokens raw_added, normalized_added;  ///< of the text as it is, and of the normalized text
  std::vector<NormalizerStep> normalizers;
  std::vector<PreTokenizerStep> pre_tokenizers;
  BpeModel model;
  std::vector<std::string> spelling;   ///< bytes of each id, "" for unused ids
  std::optional<std::uint16_t> begin;  ///< the token before a text
  bool puts_blank = false;             ///< whether encode puts a blank before a text that decode takes away again
  std::string file, name;              ///< for messages and for records
};

class BpeTokenizer final : public TextTokenizer {
 public:
  explicit BpeTokenizer(BpeTokenizerParts parts) : parts_(std::move(parts)) {}

  /// The ids of the whole text, however long: truncation and padding, which a file may ask for, are settings of one
  /// caller's batches and not of the tokenizer. A byte that is no valid UTF-8 is a character of its own: the normalizer
  /// leaves it, and the token of that byte stands for it.
  /// errors  OptionError for a byte or character without token, and for a normalizer that lengthens a text 64-fold
  std::vector<std::uint16_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::uint16_t> tokens) const override;
  std::optional<std::uint16_t> begin_of_text() const override { return parts_.begin; }
  Index vocabulary() const override { return Index(parts_.spelling.size()); }
  std::string name() const override { return parts_.name; }

 private:
  void encode_raw(std::string_view text, bool begins_text, std::vector<std::uint16_t>& out) const;
  void encode_normalized(std::string_view text, bool begins_text, std::vector<std::uint16_t>& out) const;

  BpeTokenizerParts parts_;
};

}  // namespace hone
