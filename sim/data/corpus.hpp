// A text corpus: files -> cleaned UTF-8 text (or, if asked for, their bytes) -> blocks -> training and validation text that share
// no block. The cleaned text is what is hashed, so a recorded sha256 names exactly the characters
// that were learnt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/matrix.hpp"

namespace hone {

struct CorpusOptions {
  std::string name = "corpus";                    ///< used in messages and in names of cached files
  std::vector<std::filesystem::path> files = {};  ///< files, or folders (their text files in order of name)
  std::filesystem::path cache = {};               ///< folder for the cleaned text; empty = extract every time
  double validation_fraction = 0.1;               ///< of the blocks, in (0, 1)
  bool keeps_bytes = false;                       ///< the files as they are, joined, instead of text
  Index block_bytes = 65536;                      ///< least length of a block (half of it where a document ends)

  /// errors  OptionError with all complaints
  void validate() const;
};

/// Cleaned text, cut into blocks at line ends and split by blocks.
class Corpus {
 public:
  /// errors   OptionError for bad options or a text of fewer than two blocks; IoError for a missing
  ///          file; FormatError for an empty or damaged file, and for bytes that are not UTF-8 unless
  ///          keeps_bytes
  /// cost     reads the files; with a cache the extraction is done once per content of the files
  explicit Corpus(const CorpusOptions& options);

  const std::string& name() const { return name_; }
  /// Of the whole cleaned text, training and validation.
  const std::string& sha256() const { return sha256_; }
  /// The blocks of each side, joined in the order of the text.
  const std::string& train() const { return train_; }
  const std::string& validation() const { return validation_; }
  Index blocks() const { return blocks_; }

 private:
  std::string name_, sha256_, train_, validation_;
  Index blocks_ = 0;
};

/// Ends of the blocks of `text`: a block ends at the first blank line (the end of a document or of
/// a paragraph) past block_bytes/2, else at the first line end past block_bytes, else at
/// 2·block_bytes between two characters (where the text is UTF-8). The last block may be shorter.
/// expects  block_bytes ≥ 8
std::vector<std::size_t> block_ends(std::string_view text, Index block_bytes);

/// A corpus as token numbers.
struct TokenStream {
  std::vector<std::uint16_t> train, validation;
  Index vocabulary = 0;
  std::string name;            ///< of the corpus
  std::string sha256;          ///< of the corpus's cleaned text
  std::string tokenizer;       ///< name and sha256 of the tokenizer
  double bytes_per_token = 1;  ///< of the validation text: bits per byte = loss_nats / (ln 2 · this)
};

}  // namespace hone
