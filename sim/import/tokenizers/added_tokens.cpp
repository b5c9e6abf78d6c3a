#include "sim/import/tokenizers/added_tokens.hpp"

#include <algorithm>

#include "sim/import/tokenizers/characters.hpp"

namespace hone {
namespace {

/// Begin of the character that ends before byte `end`.
size_t character_before(std::string_view text, size_t end) {
  for (size_t length = 2; length <= 4 && length <= end; ++length)
    if (character_at(text.substr(0, end), end - length).bytes == length) return end - length;
  return end - 1;
}

bool is_word_at(std::string_view text, size_t at) {
  return at < text.size() && is_word_character(character_at(text, at).value);
}

bool may_stand(const AddedToken& token, std::string_view text, size_t begin, size_t end) {
  if (!token.is_single_word) return true;
  return !is_word_at(text, end) && (begin == 0 || !is_word_at(text, character_before(text, begin)));
}

bool is_blank_at(std::string_view text, size_t at) { return character_at(text, at).kind == CharacterClass::blank; }

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.text.size() > b.text.size(); });
  for (const AddedToken& token : tokens_)
    if (first_bytes_.find(token.text[0]) == first_bytes_.npos) first_bytes_ += token.text[0];
}

void AddedTokens::cut(std::string_view text, const std::function<void(std::string_view part)>& rest,
                      const std::function<void(const AddedToken& token)>& found) const {
  size_t done = 0;
  for (size_t at = 0; (at = text.find_first_of(first_bytes_, at)) != text.npos;) {
    const auto token = std::find_if(tokens_.begin(), tokens_.end(), [&](const AddedToken& candidate) {
      return text.substr(at).starts_with(candidate.text);
    });
    if (token == tokens_.end()) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + token->text.size();
    at = end;
    if (!may_stand(*token, text, begin, end)) continue;
    if (token->takes_blanks_before)
      while (begin > done && is_blank_at(text, character_before(text, begin))) begin = character_before(text, begin);
    begin = std::max(begin, done);
    if (token->takes_blanks_after)
      while (end < text.size() && is_blank_at(text, end)) end += character_at(text, end).bytes;
    if (done < begin) rest(text.substr(done, begin - done));
    found(*token);
    done = end;
  }
  if (done < text.size()) rest(text.substr(done));
}

}  // namespace hone
