#include "experiments/commands/option_words.hpp"

#include <algorithm>

namespace hone::experiments {
namespace {

/// Characters of a field's name; / and - belong to no field, but tell paths and options from fields.
bool is_part_of_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '/' || c == '-';
}

const OptionWord* find(std::span<const OptionWord> words, std::string_view field) {
  const auto at = std::find_if(words.begin(), words.end(), [&](const OptionWord& word) { return word.field == field; });
  return at == words.end() ? nullptr : &*at;
}

/// The entry for a whole word of the message that `rest` follows.
const OptionWord* entry_of(std::string_view word, std::string_view rest, std::span<const OptionWord> words) {
  const size_t dot = word.rfind('.');
  const bool is_name = word.find_first_of("_.") != word.npos || rest.starts_with(" = ");
  if (!is_name || word.find_first_of("/-") != word.npos) return nullptr;
  if (const OptionWord* whole = find(words, word)) return whole;
  return dot == word.npos ? nullptr : find(words, word.substr(dot + 1));
}

}  // namespace

std::string in_option_words(std::string_view message, std::span<const OptionWord> words) {
  std::string out;
  while (!message.empty()) {
    size_t end = 0;
    while (end < message.size() && is_part_of_word(message[end])) ++end;
    if (end == 0) {
      out += message.front();
      message.remove_prefix(1);
      continue;
    }
    const size_t whole = end;
    while (end > 0 && message[end - 1] == '.') --end;  // the end of a sentence
    const OptionWord* entry = entry_of(message.substr(0, end), message.substr(end), words);
    out += entry ? entry->option : message.substr(0, end);
    out += message.substr(end, whole - end);
    message.remove_prefix(whole);
  }
  return out;
}

}  // namespace hone::experiments
