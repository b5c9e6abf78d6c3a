// How a text is rewritten before it is cut: the four normal forms of Unicode, and the replacement of one text by
// another, as the field `normalizer` of a tokenizer.json asks for them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

enum class NormalForm { nfc, nfd, nfkc, nfkd };

/// The text in a normal form of Unicode 9, the version of the library `tokenizers`: what was assigned later stays as it
/// is. The form is decided by the text, by ICU. A byte that is no valid UTF-8 stays where it is.
/// expects  fewer than 2^31 bytes
/// cost     linear
std::string normalized(std::string_view text, NormalForm form);

/// The text with each `from` replaced by `to`, from left to right without overlap.
/// expects  `from` is not empty
std::string replaced(std::string_view text, std::string_view from, std::string_view to);

/// One step of a normalizer. The text it gets is not empty.
using NormalizerStep = std::function<std::string(std::string_view text)>;

/// Longest text, in bytes, that a step may put before a text or in place of another.
inline constexpr std::size_t largest_insertion = 64;

/// The text after all steps, of which none gets an empty text; `origin` names their file.
/// errors  OptionError when it becomes 64 times as long, which only a hostile file asks for
std::string normalized_by(const std::vector<NormalizerStep>& steps, std::string_view text, const std::string& origin);

}  // namespace hone
