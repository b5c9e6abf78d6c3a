#include "sim/data/markup.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>

namespace hone {
namespace {

bool is_blank(char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Collects running text: blanks collapse to one, breaks to one '\n', and neither starts or ends
/// the text.
class Paragraphs {
 public:
  void put(std::string_view text) {
    for (size_t i = 0; i < text.size(); ++i) {
      const bool hard_blank = text.compare(i, 2, "\xc2\xa0") == 0;  // U+00A0
      if (hard_blank || is_blank(text[i]))
        put_gap(' ');
      else
        put_letter(text[i]);
      if (hard_blank) ++i;
    }
  }
  void line_break() { put_gap('\n'); }
  std::string take() { return std::move(text_); }

 private:
  void put_gap(char gap) {
    if (gap_ != '\n') gap_ = gap;
  }
  void put_letter(char letter) {
    if (gap_ != 0 && !text_.empty()) text_ += gap_;
    gap_ = 0;
    text_ += letter;
  }
  std::string text_;
  char gap_ = 0;
};

void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6)), tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12)), tail(6), tail(0);
  } else {
    out += static_cast<char>(0xf0 | (code >> 18)), tail(12), tail(6), tail(0);
  }
}

constexpr std::array<std::pair<std::string_view, std::uint32_t>, 40> named_entities = {{
    {"amp", '&'},       {"lt", '<'},      {"gt", '>'},       {"quot", '"'},     {"apos", '\''},    {"nbsp", ' '},
    {"copy", 0xa9},     {"reg", 0xae},    {"deg", 0xb0},     {"sect", 0xa7},    {"pound", 0xa3},   {"euro", 0x20ac},
    {"laquo", 0xab},    {"raquo", 0xbb},  {"frac12", 0xbd},  {"middot", 0xb7},  {"mdash", 0x2014}, {"ndash", 0x2013},
    {"hellip", 0x2026}, {"bull", 0x2022}, {"lsquo", 0x2018}, {"rsquo", 0x2019}, {"ldquo", 0x201c}, {"rdquo", 0x201d},
    {"agrave", 0xe0},   {"aacute", 0xe1}, {"acirc", 0xe2},   {"auml", 0xe4},    {"ccedil", 0xe7},  {"egrave", 0xe8},
    {"eacute", 0xe9},   {"ecirc", 0xea},  {"euml", 0xeb},    {"iacute", 0xed},  {"ntilde", 0xf1},  {"oacute", 0xf3},
    {"ocirc", 0xf4},    {"ouml", 0xf6},   {"uuml", 0xfc},    {"aelig", 0xe6},
}};

std::optional<std::uint32_t> code_of_entity(std::string_view name) {
  if (name.size() >= 2 && name[0] == '#') {
    const bool hexadecimal = name[1] == 'x' || name[1] == 'X';
    const std::string_view digits = name.substr(hexadecimal ? 2 : 1);
    std::uint32_t code = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, hexadecimal ? 16 : 10);
    const bool whole = error == std::errc() && end == digits.data() + digits.size();
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (whole && code > 0 && code <= 0x10ffff && !surrogate) return code;
    return std::nullopt;
  }
  for (const auto& [known, code] : named_entities)
    if (known == name) return code;
  return std::nullopt;
}

std::string decode_entities(std::string_view text) {
  constexpr size_t longest_entity = 12;
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = text[i] == '&' ? text.substr(i, longest_entity).find(';') : text.npos;
    const auto code = end == text.npos ? std::nullopt : code_of_entity(text.substr(i + 1, end - 1));
    if (code) {
      append_utf8(out, *code);
      i += end + 1;
    } else {
      out += text[i++];
    }
  }
  return out;
}

/// A tag, comment or declaration at the front of `rest`; length 0 when the '<' is only a character.
struct Tag {
  std::string name;  ///< lower case, empty for comments and declarations
  bool closing = false;
  bool self_closing = false;
  size_t length = 0;
};

Tag tag_at(std::string_view rest) {
  Tag tag;
  if (rest.starts_with("<!--")) {
    const size_t end = rest.find("-->", 4);
    tag.length = end == rest.npos ? rest.size() : end + 3;
    return tag;
  }
  if (rest.size() < 2) return tag;
  tag.closing = rest[1] == '/';
  const size_t begin = tag.closing ? 2 : 1;
  const bool declaration = rest[1] == '!' || rest[1] == '?';
  if (!declaration && (begin >= rest.size() || !is_letter(rest[begin]))) return tag;
  const size_t end = rest.find('>');
  if (end == rest.npos) return tag;
  tag.length = end + 1;
  tag.self_closing = rest[end - 1] == '/';
  for (size_t i = begin; !declaration && i < end && !is_blank(rest[i]) && rest[i] != '/'; ++i)
    tag.name += is_letter(rest[i]) ? static_cast<char>(rest[i] | 0x20) : rest[i];
  return tag;
}

/// Calls on_text(text) and on_tag(tag) for the parts of `markup`, in order.
template <class OnText, class OnTag>
void walk(std::string_view markup, OnText&& on_text, OnTag&& on_tag) {
  // Once a '<' has no '>' behind it no later one has; without this a file of '<a<a<a…' costs n².
  const size_t last_close = markup.rfind('>');
  size_t text_begin = 0;
  for (size_t i = 0; i < markup.size();) {
    const bool candidate = markup[i] == '<' && last_close != markup.npos && i < last_close;
    const Tag tag = candidate ? tag_at(markup.substr(i)) : Tag{};
    if (tag.length == 0) {
      ++i;
      continue;
    }
    on_text(markup.substr(text_begin, i - text_begin));
    on_tag(tag);
    i += tag.length;
    text_begin = i;
  }
  on_text(markup.substr(text_begin));
}

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 15> unread_elements = {"script", "style",  "nav",  "header", "footer",
                                                              "head",   "pre",    "code", "table",  "form",
                                                              "button", "select", "svg",  "aside",  "title"};
constexpr std::array<std::string_view, 20> html_blocks = {"p",  "div",     "li",         "h1", "h2", "h3", "h4",
                                                          "h5", "h6",      "blockquote", "dd", "dt", "br", "tr",
                                                          "dl", "section", "article",    "ul", "ol", "hr"};
constexpr std::array<std::string_view, 14> sword_blocks = {
    "p", "br", "l", "lg", "div", "milestone", "title", "chapter", "item", "list", "table", "row", "cm", "cl"};

std::string prose_lines(std::string_view text) {
  constexpr size_t least_bytes = 60;
  constexpr std::ptrdiff_t least_blanks = 8;
  std::string out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.size() >= least_bytes && std::count(line.begin(), line.end(), ' ') >= least_blanks) {
      if (!out.empty()) out += '\n';
      out += line;
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string text_of_html(std::string_view html) {
  Paragraphs paragraphs;
  std::string unread;  // the element being skipped; only its own end tag ends it
  int depth = 0;
  walk(
      html,
      [&](std::string_view text) {
        if (depth == 0) paragraphs.put(decode_entities(text));
      },
      [&](const Tag& tag) {
        if (depth > 0) {
          if (tag.name == unread) depth += tag.closing ? -1 : 1;
        } else if (!tag.closing && !tag.self_closing && contains(unread_elements, tag.name)) {
          unread = tag.name, depth = 1;
        }
        if (contains(html_blocks, tag.name)) paragraphs.line_break();
      });
  return prose_lines(paragraphs.take());
}

std::string text_of_sword_markup(std::string_view markup) {
  Paragraphs paragraphs;
  walk(
      markup,
      [&](std::string_view text) {
        while (!text.empty()) {
          const size_t end = std::min(text.find('\n'), text.size());
          paragraphs.put(decode_entities(text.substr(0, end)));
          if (end < text.size()) paragraphs.line_break();
          text.remove_prefix(std::min(end + 1, text.size()));
        }
      },
      [&](const Tag& tag) {
        if (contains(sword_blocks, tag.name)) paragraphs.line_break();
      });
  return paragraphs.take();
}

}  // namespace hone
