// The tokenizer that belongs to an imported checkpoint: text -> ids of that checkpoint and back. Two kinds are read, BPE
// (tokenizer.json) and scored pieces (tokenizer.bin of llama2.c); both are values behind this interface.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/data/corpus.hpp"

namespace hone {

class TextTokenizer {
 public:
  virtual ~TextTokenizer() = default;

  /// Ids of a text. No begin-of-text token is put before it.
  /// errors  OptionError naming a byte or character that the vocabulary cannot express
  virtual std::vector<std::uint16_t> encode(std::string_view text) const = 0;

  /// Text of ids; ids without a spelling, and begin and end of text, give nothing.
  /// ensures  decode(encode(text)) == text, unless the tokenizer itself puts a blank before a text
  virtual std::string decode(std::span<const std::uint16_t> tokens) const = 0;

  /// The token the checkpoint expects before a text, where it has one.
  virtual std::optional<std::uint16_t> begin_of_text() const = 0;

  /// Highest id plus 1; the model's vocabulary may be padded above it.
  virtual Index vocabulary() const = 0;

  /// For example "byte-level BPE 50254" and the SHA-256 of the file: what a record keeps.
  virtual std::string name() const = 0;
};

/// Reads a tokenizer: the file itself, or tokenizer.json, tokenizer.bin or tok512.bin of a folder, in this order.
/// errors  IoError; FormatError for a damaged file and for a Git LFS pointer in its place; OptionError for an
///         unsupported step or more than 65536 ids
std::unique_ptr<TextTokenizer> import_tokenizer(const std::filesystem::path& path);

/// Both sides of the corpus as tokens, each with begin_of_text before it where there is one.
TokenStream tokenize(const Corpus& corpus, const TextTokenizer& tokenizer);

}  // namespace hone
