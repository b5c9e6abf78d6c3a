// Reads tokenizer.json, the file that the library `tokenizers` writes, as far as its model is a BPE.
#pragma once

#include <filesystem>

#include "sim/import/tokenizers/bpe_tokenizer.hpp"

namespace hone {

/// Read are
///   normalizer      NFC, NFD, NFKC, NFKD, Prepend, Replace of a text, Sequence
///   pre_tokenizer   ByteLevel (last), Metaspace, Digits, Split at a text or by the expressions of GPT-2, Llama 3 and
///                   Qwen2, Sequence; none where the model is spelled in characters
///   model           BPE, spelled in bytes after ByteLevel, else in characters, with byte_fallback, unk_token, fuse_unk
///                   and ignore_merges
///   post_processor  at most one special token before a text, which becomes begin_of_text()
/// `truncation` and `padding` are ignored: they are what a caller last set for its batches, and hone takes whole texts.
/// A `dropout` of 0 and empty affixes of words are the same as none.
/// errors  IoError; FormatError naming the field at fault; OptionError for a step that is not supported, and for ids
///         above 65535
BpeTokenizerParts read_tokenizer_json(const std::filesystem::path& file);

}  // namespace hone
