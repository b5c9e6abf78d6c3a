// The tokens that are cut out of a text before anything else: those of the field `added_tokens` of a tokenizer.json.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

struct AddedToken {
  std::string text;
  std::uint16_t id = 0;
  bool takes_blanks_before = false, takes_blanks_after = false;  ///< `lstrip` and `rstrip`
  bool is_single_word = false;                                   ///< only where no word character is beside it
};

class AddedTokens {
 public:
  AddedTokens() = default;
  /// expects  no token with an empty text
  explicit AddedTokens(std::vector<AddedToken> tokens);

  /// Calls rest(part) and found(token) for the parts of the text in order: at each place the longest token counts, and
  /// one that may not stand there hides the shorter ones. No part is empty.
  /// cost  linear in the text, times the number of tokens that begin with one byte
  void cut(std::string_view text, const std::function<void(std::string_view part)>& rest,
           const std::function<void(const AddedToken& token)>& found) const;

 private:
  std::vector<AddedToken> tokens_;  // longest first
  std::string first_bytes_;
};

}  // namespace hone
