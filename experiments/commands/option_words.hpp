// Error messages in the words of the command line. Studies and libraries name a value by its field, such as
// quantize.scheme_bits; a user of a command knows the option that set it, such as --bits.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "sim/base/error.hpp"

namespace hone::experiments {

/// A field as some layer names it, and the option that sets it. A field with dots is sought whole, then by its last
/// part: {"grid", "--grid"} is also for weights.grid, unless weights.grid has an entry of its own.
struct OptionWord {
  std::string_view field, option;
};

/// `message` with each field replaced by its option. A plain word is a field only before " = ", so that words of English
/// and parts of paths stay.
std::string in_option_words(std::string_view message, std::span<const OptionWord> words);

/// Calls `act`; an OptionError leaves with its fields replaced.
template <class Act>
auto with_option_words(std::span<const OptionWord> words, Act&& act) {
  try {
    return std::forward<Act>(act)();
  } catch (const OptionError& error) {
    throw OptionError(in_option_words(error.what(), words));
  }
}

}  // namespace hone::experiments
