// Naive twins of the imported tokenizers: the rules of the file carried out word by word, without a queue, an index or a
// scanner. For the tokenizers of tests/golden/import only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hone::fuzz {

/// Text -> ids.
using NaiveEncode = std::function<std::vector<std::uint16_t>(std::string_view)>;

/// Byte-level BPE of a tokenizer.json: added tokens, Digits and expressions, merges in the order of the list. A
/// normalizer is left out.
NaiveEncode naive_byte_level_bpe(const std::filesystem::path& file);

/// tokenizer.bin of llama2.c: the pair whose joined piece has the highest score merges first.
NaiveEncode naive_scored_pieces(const std::filesystem::path& file);

}  // namespace hone::fuzz
