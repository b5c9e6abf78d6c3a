#include "sim/data/tokenizer.hpp"

#include <algorithm>
#include <charconv>
#include <queue>
#include <unordered_set>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

constexpr Index byte_tokens = 256;
constexpr Index largest_vocabulary = 65536;
constexpr size_t longest_word = 128;

std::uint32_t pair_key(std::uint16_t left, std::uint16_t right) {
  return static_cast<std::uint32_t>(left) << 16 | right;
}

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// A distinct word as tokens, and how often it occurs.
struct Word {
  std::vector<std::uint16_t> tokens;
  std::int64_t count = 0;
};

std::vector<Word> distinct_words(std::string_view text) {
  std::unordered_map<std::string_view, std::int64_t> counts;
  for (const std::string_view word : words_of(text)) ++counts[word];
  std::vector<Word> words;
  words.reserve(counts.size());
  for (const auto& [spelling, count] : counts) {
    Word& word = words.emplace_back();
    word.count = count;
    for (const char c : spelling) word.tokens.push_back(static_cast<unsigned char>(c));
  }
  return words;
}

/// Counts of neighbouring pairs, kept up to date while merges are made. Sums of counts do not
/// depend on the order of the words, so neither does the choice of a pair.
class PairCounts {
 public:
  explicit PairCounts(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t w = 0; w < words_.size(); ++w) count_pairs(w, +1);
    for (const auto& [key, pair] : pairs_) queue_.push({pair.count, key});
  }

  /// The most frequent pair, the smallest among equals; count 0 when no pair is left.
  std::pair<std::uint32_t, std::int64_t> best() {
    while (!queue_.empty()) {
      const Entry top = queue_.top();
      const std::int64_t now = pairs_.at(top.key).count;
      if (now == top.count) return {top.key, now};
      queue_.pop();  // out of date; its present count was pushed when it changed
    }
    return {0, 0};
  }

  void merge(std::uint32_t key, std::uint16_t token) {
    touched_.clear();
    const std::unordered_set<size_t> holders = std::move(pairs_.at(key).words);
    for (const size_t w : holders) {
      count_pairs(w, -1);
      replace(words_[w].tokens, key, token);
      count_pairs(w, +1);
    }
    for (const std::uint32_t changed : touched_) queue_.push({pairs_.at(changed).count, changed});
  }

 private:
  struct Pair {
    std::int64_t count = 0;
    std::unordered_set<size_t> words;  // those that hold it, and perhaps some that no longer do
  };
  struct Entry {
    std::int64_t count;
    std::uint32_t key;
    bool operator<(const Entry& other) const { return count != other.count ? count < other.count : key > other.key; }
  };

  void count_pairs(size_t w, int sign) {
    const std::vector<std::uint16_t>& tokens = words_[w].tokens;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const std::uint32_t key = pair_key(tokens[i], tokens[i + 1]);
      Pair& pair = pairs_[key];
      pair.count += sign * words_[w].count;
      if (sign > 0) pair.words.insert(w);
      touched_.insert(key);
    }
  }

  static void replace(std::vector<std::uint16_t>& tokens, std::uint32_t key, std::uint16_t token) {
    size_t kept = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool here = i + 1 < tokens.size() && pair_key(tokens[i], tokens[i + 1]) == key;
      tokens[kept++] = here ? token : tokens[i];
      if (here) ++i;
    }
    tokens.resize(kept);
  }

  std::vector<Word> words_;
  std::unordered_map<std::uint32_t, Pair> pairs_;
  std::unordered_set<std::uint32_t> touched_;
  std::priority_queue<Entry> queue_;
};

FormatError bad_line(const fs::path& file, size_t line, std::string_view fact) {
  return FormatError(fmt::format("{} line {}: {}; train the tokenizer again", file.string(), line, fact));
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    if (is_blank(text[begin])) {
      while (end < text.size() && is_blank(text[end])) ++end;
      // The last blank of a run belongs to the word that follows it.
      if (text[end - 1] == ' ' && end < text.size() && end - begin > 1) --end;
    }
    const bool blanks_only = end > begin + 1 || (end == begin + 1 && text[begin] != ' ');
    if (!blanks_only)
      while (end < text.size() && !is_blank(text[end])) ++end;
    end = std::min(end, begin + longest_word);
    words.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return words;
}

Tokenizer::Tokenizer(std::vector<Merge> merges) : merges_(std::move(merges)) {
  for (Index b = 0; b < byte_tokens; ++b) spelling_.emplace_back(1, static_cast<char>(b));
  for (const Merge& merge : merges_) {
    of_pair_[pair_key(merge.left, merge.right)] = static_cast<std::uint16_t>(spelling_.size());
    spelling_.push_back(spelling_[merge.left] + spelling_[merge.right]);
  }
}

Tokenizer Tokenizer::bytes() { return Tokenizer({}); }

Tokenizer Tokenizer::train_bpe(std::string_view text, Index vocabulary) {
  if (vocabulary <= byte_tokens || vocabulary > largest_vocabulary)
    throw OptionError(fmt::format("tokenizer vocabulary is {}, give {} to {} (or the tokenizer 'bytes')", vocabulary,
                                  byte_tokens + 1, largest_vocabulary));
  PairCounts pairs(distinct_words(text));
  std::vector<Merge> merges;
  for (Index token = byte_tokens; token < vocabulary; ++token) {
    const auto [key, count] = pairs.best();
    if (count < 2)
      throw OptionError(
          fmt::format("a training text of {} bytes has repeated pairs for {} tokens only, not for "
                      "the vocabulary of {}; give a longer corpus or a smaller vocabulary",
                      text.size(), token, vocabulary));
    merges.push_back({static_cast<std::uint16_t>(key >> 16), static_cast<std::uint16_t>(key)});
    pairs.merge(key, static_cast<std::uint16_t>(token));
  }
  return Tokenizer(std::move(merges));
}

void Tokenizer::encode_word(std::string_view word, std::vector<std::uint16_t>& out) const {
  std::vector<std::uint16_t> tokens;
  for (const char c : word) tokens.push_back(static_cast<unsigned char>(c));
  while (tokens.size() > 1) {
    // The earliest merge first, as in training; equal merges from left to right.
    size_t best_at = 0;
    Index best = largest_vocabulary;
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto found = of_pair_.find(pair_key(tokens[i], tokens[i + 1]));
      if (found != of_pair_.end() && found->second < best) best = found->second, best_at = i;
    }
    if (best == largest_vocabulary) break;
    tokens[best_at] = static_cast<std::uint16_t>(best);
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
  out.insert(out.end(), tokens.begin(), tokens.end());
}

std::vector<std::uint16_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::uint16_t> out;
  if (merges_.empty()) {
    for (const char c : text) out.push_back(static_cast<unsigned char>(c));
    return out;
  }
  std::unordered_map<std::string_view, std::vector<std::uint16_t>> known;
  for (const std::string_view word : words_of(text)) {
    auto [found, is_new] = known.try_emplace(word);
    if (is_new) encode_word(word, found->second);
    out.insert(out.end(), found->second.begin(), found->second.end());
  }
  return out;
}

std::string Tokenizer::decode(std::span<const std::uint16_t> tokens) const {
  std::string text;
  for (const std::uint16_t token : tokens) {
    EXPECTS(token < vocabulary(), "decode: token {} of a vocabulary of {}", token, vocabulary());
    text += spelling_[token];
  }
  return text;
}

std::string Tokenizer::name() const { return merges_.empty() ? "bytes" : fmt::format("bpe-{}", vocabulary()); }

std::string Tokenizer::as_text() const {
  std::string text = fmt::format("hone-tokenizer 1\nmerges {}\n", merges_.size());
  for (const Merge& merge : merges_) text += fmt::format("{} {}\n", merge.left, merge.right);
  return text;
}

std::string Tokenizer::sha256() const { return hone::sha256(as_text()); }

void Tokenizer::save(const fs::path& file) const { write_text_atomically(file, as_text()); }

Tokenizer Tokenizer::load(const fs::path& file) {
  const std::string text = read_text(file);
  size_t line = 0, at = 0;
  const auto next_line = [&]() {
    const size_t end = text.find('\n', at);
    ++line;
    if (end == text.npos) throw bad_line(file, line, "the file ends here");
    const std::string_view content = std::string_view(text).substr(at, end - at);
    at = end + 1;
    return content;
  };
  const auto number = [&](std::string_view digits, Index bound) {
    Index value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 0 || value >= bound)
      throw bad_line(file, line, fmt::format("'{}' is not a number from 0 to {}", digits, bound - 1));
    return value;
  };
  if (next_line() != "hone-tokenizer 1") throw bad_line(file, line, "the file is not a tokenizer of version 1");
  const std::string_view header = next_line();
  if (!header.starts_with("merges ")) throw bad_line(file, line, "'merges COUNT' is missing");
  const Index count = number(header.substr(7), largest_vocabulary - byte_tokens + 1);
  std::vector<Merge> merges;
  std::vector<size_t> length(static_cast<size_t>(byte_tokens), 1);
  std::unordered_set<std::uint32_t> seen;
  for (Index k = 0; k < count; ++k) {
    const std::string_view pair = next_line();
    const size_t gap = pair.find(' ');
    if (gap == pair.npos) throw bad_line(file, line, fmt::format("'{}' is not a pair", pair));
    const auto left = static_cast<std::uint16_t>(number(pair.substr(0, gap), byte_tokens + k));
    const auto right = static_cast<std::uint16_t>(number(pair.substr(gap + 1), byte_tokens + k));
    length.push_back(length[left] + length[right]);
    if (length.back() > longest_word) throw bad_line(file, line, "the token is too long");
    if (!seen.insert(pair_key(left, right)).second) throw bad_line(file, line, "the pair is repeated");
    merges.push_back({left, right});
  }
  if (at != text.size()) throw bad_line(file, line + 1, "there is text after the last merge");
  return Tokenizer(std::move(merges));
}

TokenStream tokenize(const Corpus& corpus, const Tokenizer& tokenizer) {
  TokenStream stream;
  stream.train = tokenizer.encode(corpus.train());
  stream.validation = tokenizer.encode(corpus.validation());
  stream.vocabulary = tokenizer.vocabulary();
  stream.name = corpus.name();
  stream.sha256 = corpus.sha256();
  stream.tokenizer = fmt::format("{} {}", tokenizer.name(), tokenizer.sha256());
  stream.bytes_per_token =
      static_cast<double>(corpus.validation().size()) / static_cast<double>(stream.validation.size());
  return stream;
}

}  // namespace hone
