// How a text is cut into pieces before pairs are merged: hand-written scanners for the expressions that tokenizers use,
// and the steps of the field `pre_tokenizer` of a tokenizer.json, which run one after another over all pieces.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

/// Cuts a text into parts, in order and without gaps.
using Splitter = std::function<std::vector<std::string_view>(std::string_view text)>;

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// source  Radford et al. 2019 (GPT-2); also GPT-NeoX
std::vector<std::string_view> split_gpt2(std::string_view text);

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
/// where s without case is also U+017F.
/// source  Llama 3 (Grattafiori et al. 2024)
std::vector<std::string_view> split_llama3(std::string_view text);
/// The same with each number alone: \p{N} in place of \p{N}{1,3}.
/// source  Qwen2 (Yang et al. 2024)
std::vector<std::string_view> split_qwen2(std::string_view text);

/// Runs of numbers and runs of the rest.
std::vector<std::string_view> split_number_runs(std::string_view text);
/// Each number alone and runs of the rest.
std::vector<std::string_view> split_single_numbers(std::string_view text);

/// What becomes of a text that a Split step looks for.
enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next };

/// Cuts at each `delimiter`; `removed` leaves gaps. No part is empty.
/// expects  `delimiter` is not empty
std::vector<std::string_view> split_at(std::string_view text, std::string_view delimiter, SplitBehavior behavior);

/// The pieces of one part of a text, in order; what a step has rewritten lies in `rewritten`.
struct Pieces {
  std::vector<std::string_view> views;
  std::deque<std::string> rewritten;
  bool begin_text = false;  ///< whether the first piece begins the text; no added token is before it
};

using PreTokenizerStep = std::function<void(Pieces& pieces)>;

/// Cuts every piece.
PreTokenizerStep splitting(Splitter split);

/// ByteLevel: puts a blank before every piece without one where `add_prefix_space`, and cuts by split_gpt2 where
/// `use_regex`. The bytes stay bytes; the vocabulary's spelling of them is the model's matter.
PreTokenizerStep byte_level(bool add_prefix_space, bool use_regex);

enum class PrependScheme { always, first, never };

/// Metaspace: every blank becomes `sign`; one is put before each piece that does not begin with one (`first`: only
/// where the text begins); `split` cuts before every sign.
/// expects  `sign` is not empty
PreTokenizerStep metaspace(const std::string& sign, PrependScheme prepend, bool split);

}  // namespace hone
