#include "tests/fuzz/naive_pattern.hpp"

#include <optional>

#include "sim/import/tokenizers/characters.hpp"
#include "tests/fuzz/target.hpp"

namespace hone::fuzz {
namespace {

std::string encoded(char32_t c) {
  if (c < 0x80) return {char(c)};
  const std::string last = {char(0x80 | (c & 63))};
  if (c < 0x800) return char(0xC0 | c >> 6) + last;
  const std::string middle = {char(0x80 | (c >> 6 & 63))};
  if (c < 0x10000) return char(0xE0 | c >> 12) + middle + last;
  return std::string{char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 63))} + middle + last;
}

char32_t folded(char32_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

}  // namespace

std::vector<NaiveCharacter> naive_characters(std::string_view text) {
  std::vector<NaiveCharacter> characters;
  for (size_t at = 0; at < text.size(); at += characters.back().bytes) {
    NaiveCharacter found{0xFFFD, 1, false};
    char32_t tail = 0;
    for (size_t length = 1; length <= 4 && at + length <= text.size() && !found.is_valid; ++length) {
      const auto lead = static_cast<unsigned char>(text[at]);
      if (length > 1) tail = tail << 6 | (static_cast<unsigned char>(text[at + length - 1]) & 63);
      const char32_t head = length == 1 ? lead : lead & (0x7Fu >> length);
      const char32_t value = head << (6 * (length - 1)) | tail;
      const bool is_scalar = value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
      if (is_scalar && encoded(value) == text.substr(at, length)) found = {value, length, true};
    }
    characters.push_back(found);
  }
  return characters;
}

/// A part of an expression. `parts` are alternatives, a sequence, or what is repeated or looked ahead for.
struct NaivePattern::Node {
  enum class Kind { alternatives, sequence, set, repeat, not_ahead };
  explicit Node(Kind k) : kind(k) {}

  Kind kind;
  std::vector<Node> parts;
  size_t least = 1, most = 1;
  std::vector<char32_t> characters;
  std::string classes;  // of L, N, s, S
  bool is_negated = false, any_case = false;

  bool holds(char32_t c, CharacterClass kind_of_c) const {
    bool is_in = false;
    for (const char32_t one : characters) is_in |= one == c || (any_case && folded(one) == folded(c));
    for (const char name : classes)
      is_in |= name == 'L'   ? kind_of_c == CharacterClass::letter
               : name == 'N' ? kind_of_c == CharacterClass::number
                             : (kind_of_c == CharacterClass::blank) == (name == 's');
    return is_in != is_negated;
  }
};

namespace {

using Node = NaivePattern::Node;

class Parser {
 public:
  explicit Parser(std::string_view expression) : rest_(expression) {}

  Node alternatives() {
    Node node{Node::Kind::alternatives};
    do node.parts.push_back(sequence());
    while (takes("|"));
    return node;
  }

 private:
  bool takes(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  char next() {
    if (rest_.empty()) fail("an expression ends too early");
    const char c = rest_[0];
    rest_.remove_prefix(1);
    return c;
  }

  Node sequence() {
    Node node{Node::Kind::sequence};
    while (!rest_.empty() && rest_[0] != '|' && rest_[0] != ')') node.parts.push_back(repeated(atom()));
    return node;
  }

  Node atom() {
    if (takes("(?i:")) return group(true, Node::Kind::alternatives);
    if (takes("(?!")) return group(any_case_, Node::Kind::not_ahead);
    Node set{Node::Kind::set};
    set.any_case = any_case_;
    if (!takes("[")) {
      add_to(set);
      return set;
    }
    set.is_negated = takes("^");
    while (!takes("]")) add_to(set);
    return set;
  }

  Node group(bool any_case, Node::Kind kind) {
    const bool before = any_case_;
    any_case_ = any_case;
    Node inner = alternatives();
    any_case_ = before;
    if (!takes(")")) fail("a group without end");
    if (kind == Node::Kind::alternatives) return inner;
    Node node{kind};
    node.parts.push_back(std::move(inner));
    return node;
  }

  void add_to(Node& set) {
    if (takes("\\p{L}")) return set.classes.push_back('L');
    if (takes("\\p{N}")) return set.classes.push_back('N');
    if (takes("\\s")) return set.classes.push_back('s');
    if (takes("\\S")) return set.classes.push_back('S');
    if (takes("\\r")) return set.characters.push_back('\r');
    if (takes("\\n")) return set.characters.push_back('\n');
    set.characters.push_back(char32_t(next()));
  }

  Node repeated(Node inner) {
    constexpr size_t no_limit = ~size_t(0);
    size_t least = 1, most = 1;
    if (takes("?"))
      least = 0;
    else if (takes("*"))
      least = 0, most = no_limit;
    else if (takes("+"))
      most = no_limit;
    else if (takes("{")) {
      least = size_t(next() - '0');
      if (next() != ',') fail("a count that is no range");
      most = size_t(next() - '0');
      if (next() != '}') fail("a count of more than one digit");
    } else
      return inner;
    Node node{Node::Kind::repeat};
    node.parts.push_back(std::move(inner));
    node.least = least, node.most = most;
    return node;
  }

  std::string_view rest_;
  bool any_case_ = false;
};

/// Backtracking: match(node, at, then) tries every way in which the node can match at `at`, in the order of preference,
/// until then(end) accepts one.
class Matcher {
 public:
  explicit Matcher(const std::vector<NaiveCharacter>& text) : text_(text) {
    for (const NaiveCharacter& c : text) kinds_.push_back(c.is_valid ? class_of(c.value) : CharacterClass::other);
  }

  using Then = std::function<bool(size_t end)>;

  bool match(const Node& node, size_t at, const Then& then) const {
    switch (node.kind) {
      case Node::Kind::alternatives:
        for (const Node& part : node.parts)
          if (match(part, at, then)) return true;
        return false;
      case Node::Kind::sequence: return match_from(node, 0, at, then);
      case Node::Kind::set: return at < text_.size() && node.holds(text_[at].value, kinds_[at]) && then(at + 1);
      case Node::Kind::repeat: return match_repeat(node, 0, at, then);
      case Node::Kind::not_ahead: return !match(node.parts[0], at, [](size_t) { return true; }) && then(at);
    }
    return false;
  }

 private:
  bool match_from(const Node& node, size_t part, size_t at, const Then& then) const {
    if (part == node.parts.size()) return then(at);
    return match(node.parts[part], at, [&](size_t end) { return match_from(node, part + 1, end, then); });
  }

  bool match_repeat(const Node& node, size_t count, size_t at, const Then& then) const {
    const auto again = [&](size_t end) { return match_repeat(node, count + 1, end, then); };
    if (count < node.most && match(node.parts[0], at, again)) return true;
    return count >= node.least && then(at);
  }

  const std::vector<NaiveCharacter>& text_;
  std::vector<CharacterClass> kinds_;
};

}  // namespace

NaivePattern::NaivePattern(std::string_view expression)
    : root_(std::make_unique<Node>(Parser(expression).alternatives())) {}

NaivePattern::~NaivePattern() = default;

std::vector<std::string_view> NaivePattern::split(std::string_view text) const {
  const std::vector<NaiveCharacter> characters = naive_characters(text);
  const Matcher matcher(characters);
  std::vector<std::string_view> pieces;
  size_t byte = 0;
  for (size_t at = 0; at < characters.size();) {
    size_t end = at;
    if (!matcher.match(*root_, at, [&](size_t place) { return (end = place) > at; }))
      fail("an expression leaves a gap");
    size_t bytes = 0;
    for (; at < end; ++at) bytes += characters[at].bytes;
    pieces.push_back(text.substr(byte, bytes));
    byte += bytes;
  }
  return pieces;
}

}  // namespace hone::fuzz
