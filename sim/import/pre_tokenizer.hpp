// How a text is cut into pieces before pairs are merged: hand-written scanners for the expressions that byte-level
// tokenizers use. Every piece is a part of the text, in order and without gaps.
#pragma once

#include <string_view>
#include <vector>

namespace hone {

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// source  Radford et al. 2019 (GPT-2); also GPT-NeoX
std::vector<std::string_view> split_gpt2(std::string_view text);

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
/// source  Llama 3 (Grattafiori et al. 2024)
std::vector<std::string_view> split_llama3(std::string_view text);

/// Runs of numbers and runs of the rest.
std::vector<std::string_view> split_number_runs(std::string_view text);
/// Each number alone and runs of the rest.
std::vector<std::string_view> split_single_numbers(std::string_view text);

}  // namespace hone
