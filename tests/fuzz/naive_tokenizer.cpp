#include "tests/fuzz/naive_tokenizer.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "sim/base/atomic_file.hpp"
#include "sim/import/tokenizers/characters.hpp"
#include "tests/fuzz/naive_pattern.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/support/utf8_of.hpp"

namespace hone::fuzz {
namespace {

using nlohmann::json;
using Pieces = std::vector<std::string>;

/// The expression of ByteLevel with use_regex, as the library documents it.
constexpr const char* byte_level_expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// Joins the neighbours of least rank, the leftmost among equals, until no pair has one. rank < 0: the pair never joins.
void join_all(Pieces& pieces, const std::function<double(const std::string&, const std::string&)>& rank) {
  while (true) {
    double least = HUGE_VAL;
    size_t best = 0;
    for (size_t i = 0; i + 1 < pieces.size(); ++i) {
      const double r = rank(pieces[i], pieces[i + 1]);
      if (r >= 0 && r < least) least = r, best = i;
    }
    if (least == HUGE_VAL) return;
    pieces[best] += pieces[best + 1];
    pieces.erase(pieces.begin() + std::ptrdiff_t(best) + 1);
  }
}

struct ByteLevelRules {
  std::map<std::string, std::uint16_t> id_of;
  std::map<std::pair<std::string, std::string>, double> rank_of;
  std::vector<std::pair<std::string, std::uint16_t>> added;
  std::vector<std::function<Pieces(const std::string&)>> cuts;
  std::array<std::string, 256> spelling;  // of each byte
  bool takes_whole_pieces = false;

  void add_cut(const json& step) {
    if (step["type"] == "Sequence")
      for (const json& inner : step["pretokenizers"]) add_cut(inner);
    else if (step["type"] == "Digits")
      add_digits();
    else if (step["type"] == "Split")
      add_pattern(step["pattern"]["Regex"]);
    else if (step.value("use_regex", true))
      add_pattern(byte_level_expression);
  }

  void add_pattern(const std::string& expression) {
    const auto pattern = std::make_shared<NaivePattern>(expression);
    cuts.push_back([pattern](const std::string& text) {
      const std::vector<std::string_view> parts = pattern->split(text);
      return Pieces(parts.begin(), parts.end());
    });
  }

  /// Each number alone, and what lies between.
  void add_digits() {
    cuts.push_back([](const std::string& text) {
      Pieces pieces;
      bool is_open = false;
      size_t at = 0;
      for (const NaiveCharacter& c : naive_characters(text)) {
        const bool is_number = c.is_valid && class_of(c.value) == CharacterClass::number;
        if (is_number || !is_open) pieces.emplace_back();
        pieces.back() += text.substr(at, c.bytes);
        is_open = !is_number;
        at += c.bytes;
      }
      return pieces;
    });
  }

  void encode_plain(const std::string& text, std::vector<std::uint16_t>& out) const {
    Pieces pieces = {text};
    for (const auto& cut : cuts) {
      Pieces finer;
      for (const std::string& piece : pieces)
        for (std::string& part : cut(piece)) finer.push_back(std::move(part));
      pieces = std::move(finer);
    }
    for (const std::string& piece : pieces) {
      Pieces tokens;
      for (const char byte : piece) tokens.push_back(spelling[static_cast<unsigned char>(byte)]);
      std::string whole;
      for (const std::string& token : tokens) whole += token;
      if (takes_whole_pieces && id_of.contains(whole)) tokens = {whole};
      join_all(tokens, [&](const std::string& left, const std::string& right) {
        const auto found = rank_of.find({left, right});
        return found == rank_of.end() ? -1.0 : found->second;
      });
      for (const std::string& token : tokens) out.push_back(id_of.at(token));
    }
  }

  std::vector<std::uint16_t> encode(std::string_view text) const {
    std::vector<std::uint16_t> tokens;
    std::string plain;
    while (!text.empty()) {
      const std::pair<std::string, std::uint16_t>* longest = nullptr;
      for (const auto& one : added)
        if (text.starts_with(one.first) && (!longest || one.first.size() > longest->first.size())) longest = &one;
      if (longest) {
        encode_plain(plain, tokens);
        plain.clear();
        tokens.push_back(longest->second);
      } else {
        plain += text[0];
      }
      text.remove_prefix(longest ? longest->first.size() : 1);
    }
    encode_plain(plain, tokens);
    return tokens;
  }
};

}  // namespace

NaiveEncode naive_byte_level_bpe(const std::filesystem::path& file) {
  const json object = json::parse(read_text(file));
  ByteLevelRules rules;
  const json& model = object["model"];
  for (const auto& [token, id] : model["vocab"].items()) rules.id_of[token] = id;
  for (const json& merge : model["merges"]) {
    const std::string text = merge.is_string() ? merge.get<std::string>() : "";
    const size_t gap = text.find(' ');
    const auto pair = merge.is_string() ? std::pair(text.substr(0, gap), text.substr(gap + 1))
                                        : merge.get<std::pair<std::string, std::string>>();
    rules.rank_of.emplace(pair, double(rules.rank_of.size()));
  }
  rules.takes_whole_pieces = model.value("ignore_merges", false);
  for (const json& added : object["added_tokens"]) rules.added.emplace_back(added["content"], added["id"]);
  char32_t next = 256;
  for (char32_t b = 0; b < 256; ++b) {
    const bool is_plain = (b > ' ' && b < 0x7F) || (b > 0xA0 && b != 0xAD);
    rules.spelling[b] = test::utf8_of(is_plain ? b : next++);
  }
  rules.add_cut(object["pre_tokenizer"]);
  return [rules](std::string_view text) { return rules.encode(text); };
}

NaiveEncode naive_scored_pieces(const std::filesystem::path& file) {
  const std::string bytes = read_text(file);
  Pieces pieces;
  std::vector<float> scores;
  for (size_t at = 4; at < bytes.size();) {
    std::int32_t length = 0;
    std::memcpy(&scores.emplace_back(), &bytes[at], 4);
    std::memcpy(&length, &bytes[at + 4], 4);
    pieces.push_back(bytes.substr(at + 8, size_t(length)));
    at += 8 + size_t(length);
  }
  const auto place_of = [pieces](const std::string& piece) {
    return size_t(std::find(pieces.begin(), pieces.end(), piece) - pieces.begin());
  };
  const auto begin_with = [=](std::string_view text, Pieces& tokens) {
    size_t at = 0;
    for (const NaiveCharacter& c : naive_characters(text)) {
      const std::string character(text.substr(at, c.bytes));
      at += c.bytes;
      if (place_of(character) < pieces.size()) {
        tokens.push_back(character);
        continue;
      }
      for (const char byte : character) tokens.push_back(fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte)));
    }
  };
  return [=](std::string_view text) {
    Pieces tokens;
    if (!text.empty()) begin_with(" ", tokens), begin_with(text, tokens);
    join_all(tokens, [&](const std::string& left, const std::string& right) {
      const size_t joined = place_of(left + right);
      return joined < pieces.size() ? 1e9 - double(scores[joined]) : -1.0;
    });
    std::vector<std::uint16_t> ids;
    for (const std::string& token : tokens) ids.push_back(std::uint16_t(place_of(token)));
    return ids;
  };
}

}  // namespace hone::fuzz
