// tokenizer.json with a byte-level BPE: the text is cut at added tokens, then into pieces by the pre-tokenizers of the
// file, each piece is spelled in bytes, and pairs merge in the order of the file's list.
//   source  Radford et al. 2019, sec. 2.2, and the tokenizer.json that the library `tokenizers` writes
#pragma once

#include <functional>
#include <unordered_map>

#include "sim/import/pair_merging.hpp"
#include "sim/import/text_tokenizer.hpp"

namespace hone {

class ByteLevelBpe final : public TextTokenizer {
 public:
  /// errors  IoError; FormatError naming the field; OptionError for a model, normalizer, pre-tokenizer or decoder that
  ///         is not supported, and for ids above 65535
  explicit ByteLevelBpe(const std::filesystem::path& file);

  /// errors  OptionError for a byte without token, and for a character that NFC may change where the file asks for NFC
  std::vector<std::uint16_t> encode(std::string_view text) const override;
  std::string decode(std::span<const std::uint16_t> tokens) const override;
  std::optional<std::uint16_t> begin_of_text() const override { return begin_; }
  Index vocabulary() const override { return Index(spelling_.size()); }
  std::string name() const override { return name_; }

 private:
  friend class ByteLevelBpeReader;
  using Splitter = std::function<std::vector<std::string_view>(std::string_view)>;
  /// Tokens that are cut out of the text before anything else, longest first.
  struct Added {
    std::string text;
    std::uint16_t id = 0;
    bool is_normalized = false;
  };

  void encode_added(std::string_view text, bool normalized, std::vector<std::uint16_t>& out) const;
  void encode_plain(std::string_view text, std::vector<std::uint16_t>& out) const;
  void encode_piece(std::string_view piece, std::vector<std::uint16_t>& out) const;
  void check_nfc(std::string_view text) const;

  std::vector<std::string> spelling_;                     // bytes of each id; "" for unused ids
  std::unordered_map<std::string, std::uint16_t> id_of_;  // bytes -> id, without added tokens
  std::unordered_map<std::uint32_t, PairMerge> merges_;   // left·2^16 + right
  std::vector<Added> added_;
  std::string added_begin_with_;  // first bytes of the added tokens
  std::vector<Splitter> splitters_;
  bool asks_nfc_ = false, puts_blank_ = false, takes_whole_pieces_ = false;
  std::optional<std::uint16_t> begin_;
  std::string file_, name_;
};

}  // namespace hone
