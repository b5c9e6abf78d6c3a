#include "sim/import/tokenizers/pre_tokenizer.hpp"

#include "sim/base/error.hpp"
#include "sim/import/tokenizers/characters.hpp"
#include "sim/import/tokenizers/normalizer.hpp"

namespace hone {
namespace {

/// The end of the run of class `kind` that begins at `at`, after at most `most` characters.
size_t run_end(std::string_view text, size_t at, CharacterClass kind, size_t most = std::string_view::npos) {
  while (at < text.size() && most > 0) {
    const Character c = character_at(text, at);
    if (c.kind != kind) break;
    at += c.bytes;
    --most;
  }
  return at;
}

bool is_at(std::string_view text, size_t at, CharacterClass kind) {
  return at < text.size() && character_at(text, at).kind == kind;
}

constexpr std::string_view long_s = "\u017f";  // equals s where case does not count

bool is_line_end(char c) { return c == '\r' || c == '\n'; }

/// Length of a contraction at `at`, 0 for none.
size_t contraction(std::string_view text, size_t at, bool any_case) {
  if (text[at] != '\'') return 0;
  if (any_case && text.substr(at + 1).starts_with(long_s)) return 1 + long_s.size();
  const auto letter = [&](size_t i) {
    const char c = at + i < text.size() ? text[at + i] : '\0';
    return any_case && c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  };
  const char a = letter(1), b = letter(2);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/// \s+(?!\S)|\s+ : all blanks up to the end of the text, or all but the last before something else.
size_t blanks_end(std::string_view text, size_t at) {
  size_t end = at, last = at;
  while (is_at(text, end, CharacterClass::blank)) {
    last = end;
    end += character_at(text, end).bytes;
  }
  return end == text.size() || last == at ? end : last;
}

size_t gpt2_end(std::string_view text, size_t at) {
  if (const size_t length = contraction(text, at, false)) return at + length;
  const size_t begin = at + (text[at] == ' ');
  for (const auto kind : {CharacterClass::letter, CharacterClass::number, CharacterClass::other})
    if (is_at(text, begin, kind)) return run_end(text, begin, kind);
  return blanks_end(text, at);
}

size_t llama3_end(std::string_view text, size_t at, size_t most_numbers) {
  if (const size_t length = contraction(text, at, true)) return at + length;
  const Character first = character_at(text, at);
  if (first.kind == CharacterClass::letter) return run_end(text, at, CharacterClass::letter);
  if (first.kind == CharacterClass::number) return run_end(text, at, CharacterClass::number, most_numbers);
  if (!is_line_end(text[at]) && is_at(text, at + first.bytes, CharacterClass::letter))
    return run_end(text, at + first.bytes, CharacterClass::letter);
  const size_t begin = at + (text[at] == ' ');
  if (is_at(text, begin, CharacterClass::other)) {
    size_t end = run_end(text, begin, CharacterClass::other);
    while (end < text.size() && is_line_end(text[end])) ++end;
    return end;
  }
  const std::string_view blanks = text.substr(at, run_end(text, at, CharacterClass::blank) - at);
  const size_t line_end = blanks.find_last_of("\r\n");
  return line_end != blanks.npos ? at + line_end + 1 : blanks_end(text, at);
}

template <class End>
std::vector<std::string_view> split(std::string_view text, End&& end_of) {
  std::vector<std::string_view> pieces;
  for (size_t at = 0; at < text.size();) {
    const size_t end = end_of(text, at);
    pieces.push_back(text.substr(at, end - at));
    at = end;
  }
  return pieces;
}

/// End of the run of numbers, at most `most` of them, or of the run of the rest.
size_t numbers_end(std::string_view text, size_t at, size_t most) {
  const bool begins = is_numeric(character_at(text, at).value);
  for (size_t count = 0; at < text.size() && is_numeric(character_at(text, at).value) == begins; ++count) {
    if (begins && count == most) break;
    at += character_at(text, at).bytes;
  }
  return at;
}

}  // namespace

std::vector<std::string_view> split_gpt2(std::string_view text) { return split(text, gpt2_end); }

std::vector<std::string_view> split_llama3(std::string_view text) {
  return split(text, [](std::string_view t, size_t at) { return llama3_end(t, at, 3); });
}

std::vector<std::string_view> split_qwen2(std::string_view text) {
  return split(text, [](std::string_view t, size_t at) { return llama3_end(t, at, 1); });
}

std::vector<std::string_view> split_number_runs(std::string_view text) {
  return split(text, [](std::string_view t, size_t at) { return numbers_end(t, at, t.npos); });
}

std::vector<std::string_view> split_single_numbers(std::string_view text) {
  return split(text, [](std::string_view t, size_t at) { return numbers_end(t, at, 1); });
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view delimiter, SplitBehavior behavior) {
  EXPECTS(!delimiter.empty(), "split_at: nothing to look for");
  std::vector<std::string_view> parts;
  const auto add = [&](size_t begin, size_t end) {
    if (begin < end) parts.push_back(text.substr(begin, end - begin));
  };
  size_t begin = 0;
  for (size_t at = 0; (at = text.find(delimiter, at)) != text.npos;) {
    const size_t end = at + delimiter.size();
    add(begin, behavior == SplitBehavior::merged_with_previous ? end : at);
    if (behavior == SplitBehavior::isolated) add(at, end);
    begin = behavior == SplitBehavior::merged_with_next ? at : end;
    at = end;
  }
  add(begin, text.size());
  return parts;
}

PreTokenizerStep splitting(Splitter split) {
  return [split = std::move(split)](Pieces& pieces) {
    std::vector<std::string_view> finer;
    for (const std::string_view piece : pieces.views) {
      const std::vector<std::string_view> parts = split(piece);
      finer.insert(finer.end(), parts.begin(), parts.end());
    }
    // A step that removes what it finds may remove the beginning.
    pieces.begin_text &= !finer.empty() && finer[0].data() == pieces.views[0].data();
    pieces.views = std::move(finer);
  };
}

PreTokenizerStep byte_level(bool add_prefix_space, bool use_regex) {
  return [=, cut = splitting(split_gpt2)](Pieces& pieces) {
    for (std::string_view& piece : pieces.views)
      if (add_prefix_space && !piece.starts_with(' ')) piece = pieces.rewritten.emplace_back(fmt::format(" {}", piece));
    if (use_regex) cut(pieces);
  };
}

PreTokenizerStep metaspace(const std::string& sign, PrependScheme prepend, bool split) {
  EXPECTS(!sign.empty(), "metaspace: no sign for a blank");
  const PreTokenizerStep cut =
      splitting([sign](std::string_view piece) { return split_at(piece, sign, SplitBehavior::merged_with_next); });
  return [=](Pieces& pieces) {
    for (size_t i = 0; i < pieces.views.size(); ++i) {
      std::string piece = replaced(pieces.views[i], " ", sign);
      const bool is_due =
          prepend == PrependScheme::always || (prepend == PrependScheme::first && i == 0 && pieces.begin_text);
      if (is_due && !piece.starts_with(sign)) piece.insert(0, sign);
      pieces.views[i] = pieces.rewritten.emplace_back(std::move(piece));
    }
    if (split) cut(pieces);
  };
}

}  // namespace hone
