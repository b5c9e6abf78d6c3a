// Text -> token numbers and back: single bytes, or byte-level BPE (pairs of tokens that are often
// neighbours become one token). Any bytes can be encoded and decoding gives them back unchanged.
// source   Sennrich et al. 2016 (BPE); Radford et al. 2019, sec. 2.2 (bytes as the base, blank
//          glued to its word)
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/data/corpus.hpp"

namespace hone {

class Tokenizer {
 public:
  /// One token per byte, vocabulary 256.
  static Tokenizer bytes();

  /// BPE of `vocabulary` tokens learnt from `text`: 256 bytes and vocabulary-256 merges, each of
  /// the most frequent pair, of the smaller pair among equals. No token crosses the border of a
  /// word.
  /// errors   OptionError when vocabulary is outside 257 … 65536 or the text has too few repeated
  ///          pairs
  /// cost     one pass over the text, then work on its distinct words: seconds for 12 MB and 1024
  ///          tokens
  static Tokenizer train_bpe(std::string_view text, Index vocabulary);

  /// errors  IoError when missing; FormatError naming the line
  static Tokenizer load(const std::filesystem::path& file);
  void save(const std::filesystem::path& file) const;

  std::vector<std::uint16_t> encode(std::string_view text) const;
  /// expects  every token below vocabulary()
  std::string decode(std::span<const std::uint16_t> tokens) const;

  Index vocabulary() const { return static_cast<Index>(256 + merges_.size()); }
  /// "bytes" or "bpe-V".
  std::string name() const;
  /// Of the saved file.
  std::string sha256() const;

 private:
  struct Merge {
    std::uint16_t left, right;
  };
  explicit Tokenizer(std::vector<Merge> merges);
  std::string as_text() const;
  void encode_word(std::string_view word, std::vector<std::uint16_t>& out) const;

  std::vector<Merge> merges_;                                 // merge k makes token 256 + k
  std::vector<std::string> spelling_;                         // bytes of each token
  std::unordered_map<std::uint32_t, std::uint16_t> of_pair_;  // left·2^16 + right -> token
};

/// Words of a text, in order and without gaps: a word is a run of letters with one blank before it,
/// or a run of blanks and line ends; longer runs than 128 bytes are cut, so that hostile text costs
/// no more than prose.
std::vector<std::string_view> words_of(std::string_view text);

/// Both sides of the corpus as tokens.
TokenStream tokenize(const Corpus& corpus, const Tokenizer& tokenizer);

}  // namespace hone
