// A regular expression of a tokenizer, matched by trying every way: the naive twin of the hand-written scanners.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hone::fuzz {

/// One character of a text; a byte that begins no UTF-8 character is U+FFFD.
struct NaiveCharacter {
  char32_t value = 0;
  std::size_t bytes = 0;
  bool is_valid = true;
};

/// UTF-8 of a text by its definition: bytes are a character when its encoding gives them back.
std::vector<NaiveCharacter> naive_characters(std::string_view text);

/// An expression of alternatives, (?i: ), (?! ), [ ], \p{L}, \p{N}, \s, \S, \r, \n and the greedy ? * + {m,n}.
class NaivePattern {
 public:
  explicit NaivePattern(std::string_view expression);
  ~NaivePattern();

  /// The matches of the expression in order; they must leave no gap.
  std::vector<std::string_view> split(std::string_view text) const;

  struct Node;

 private:
  std::unique_ptr<Node> root_;
};

}  // namespace hone::fuzz
