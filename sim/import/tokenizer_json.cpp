// Reads tokenizer.json into a ByteLevelBpe; whatever the class cannot do is refused by name here.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/import/byte_level_bpe.hpp"
#include "sim/import/characters.hpp"
#include "sim/import/json_file.hpp"
#include "sim/import/pre_tokenizer.hpp"

namespace hone {

using nlohmann::json;

namespace {

constexpr const char* gpt2_expression = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* llama3_expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// The byte behind each character of the byte-level spelling: printable bytes stand for themselves, the others for
/// U+0100 and up, in order.
std::unordered_map<char32_t, char> byte_alphabet() {
  std::unordered_map<char32_t, char> bytes;
  char32_t next = 256;
  for (char32_t b = 0; b < 256; ++b) {
    const bool is_plain = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    bytes[is_plain ? b : next++] = char(b);
  }
  return bytes;
}

}  // namespace

/// Fills a ByteLevelBpe field by field.
class ByteLevelBpeReader {
 public:
  ByteLevelBpeReader(const json& file, ByteLevelBpe& out) : fields_(file, out.file_), out_(out) {}

  void read() {
    for (const char* name : {"truncation", "padding"}) fields_.demand(name, nullptr, "null");
    const JsonFields model = part("model");
    if (!model.has("type") && model.has("merges")) {
      // Files of the first versions do not name the model.
    } else if (model.text("type", {}) != "BPE") {
      model.refuse("type", "BPE");
    }
    model.demand("dropout", nullptr, "null");
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) model.demand(name, "", "null");
    model.demand("byte_fallback", false, "false");
    out_.takes_whole_pieces_ = model.flag("ignore_merges", false);
    read_added();
    read_vocabulary(model);
    read_merges(model);
    if (fields_.has("normalizer")) read_normalizer(part("normalizer"));
    if (!fields_.has("pre_tokenizer"))
      throw OptionError(
          fmt::format("{}: pre_tokenizer is missing (supported: ByteLevel, "
                      "alone or at the end of a Sequence)",
                      out_.file_));
    read_pre_tokenizer(part("pre_tokenizer"));
    if (!is_byte_level_)
      throw OptionError(
          fmt::format("{}: pre_tokenizer ends without ByteLevel (supported: ByteLevel, alone or at the end "
                      "of a Sequence)",
                      out_.file_));
    if (fields_.has("decoder") && part("decoder").text("type", {}) != "ByteLevel")
      part("decoder").refuse("type", "ByteLevel");
    if (fields_.has("post_processor")) read_post_processor(part("post_processor"));
  }

 private:
  FormatError wrong(std::string_view what) const {
    return FormatError(fmt::format("{}: {}; fetch the file again", out_.file_, what));
  }

  JsonFields part(const char* name) const {
    const auto found = fields_.object().find(name);
    if (found == fields_.object().end()) throw wrong(fmt::format("the field '{}' is missing", name));
    return JsonFields(*found, out_.file_ + " " + name);
  }

  std::uint16_t id_of(std::string_view token, const json& value) const {
    if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<std::int64_t>() < 0))
      throw wrong(fmt::format("token '{}' has the id {}", shown(token), shown_json(value)));
    if (value.get<std::uint64_t>() > 65535)
      throw OptionError(fmt::format("{}: token '{}' has id = {} (supported: 0 to 65535)", out_.file_, shown(token),
                                    value.get<std::uint64_t>()));
    return std::uint16_t(value.get<std::uint64_t>());
  }

  /// Notes the spelling of an id. An added token may be in the vocabulary as well, with the same spelling.
  void spell(std::uint16_t id, std::string bytes) {
    if (out_.spelling_.size() <= id) out_.spelling_.resize(size_t(id) + 1), is_used_.resize(size_t(id) + 1);
    if (is_used_[id] && out_.spelling_[id] != bytes)
      throw wrong(fmt::format("id {} belongs to '{}' and to '{}'", id, shown(out_.spelling_[id]), shown(bytes)));
    is_used_[id] = true;
    out_.spelling_[id] = std::move(bytes);
  }

  void read_added() {
    if (!fields_.has("added_tokens")) return;
    const json& list = fields_.object().at("added_tokens");
    if (!list.is_array()) throw wrong("added_tokens is no array");
    for (const json& entry : list) {
      const JsonFields token(entry, out_.file_ + " added_tokens");
      const std::string text = token.text("content", {});
      for (const char* name : {"lstrip", "rstrip", "single_word"}) token.demand(name, false, "false");
      const auto id = entry.find("id");
      if (text.empty() || id == entry.end()) throw wrong("an added token has no content or no id");
      out_.added_.push_back({text, id_of(text, *id), token.flag("normalized", true)});
      out_.added_begin_with_ += text[0];
      added_ids_.emplace(text, out_.added_.back().id);
      spell(out_.added_.back().id, text);
    }
    std::stable_sort(out_.added_.begin(), out_.added_.end(),
                     [](const auto& a, const auto& b) { return a.text.size() > b.text.size(); });
  }

  /// Bytes of a token as the vocabulary spells it; empty when a character is not of the alphabet.
  std::string bytes_of(std::string_view token) const {
    std::string bytes;
    for (size_t at = 0; at < token.size();) {
      const Character c = character_at(token, at);
      const auto byte = alphabet_.find(c.value);
      if (byte == alphabet_.end()) return "";
      bytes += byte->second;
      at += c.bytes;
    }
    return bytes;
  }

  void read_vocabulary(const JsonFields& model) {
    if (!model.has("vocab") || !model.object().at("vocab").is_object()) throw wrong("model.vocab is no object");
    for (const auto& [token, value] : model.object().at("vocab").items()) {
      const std::uint16_t id = id_of(token, value);
      ids_.emplace(token, id);
      const auto added = added_ids_.find(token);
      if (added != added_ids_.end() && added->second == id) continue;
      const std::string bytes = bytes_of(token);
      if (bytes.empty()) throw wrong(fmt::format("token '{}' is not spelled in bytes", shown(token)));
      spell(id, bytes);
      out_.id_of_.emplace(bytes, id);
    }
  }

  void read_merges(const JsonFields& model) {
    if (!model.has("merges") || !model.object().at("merges").is_array()) throw wrong("model.merges is no array");
    double rank = 0;
    for (const json& entry : model.object().at("merges")) {
      const auto [left, right] = pair_of(entry);
      const auto a = ids_.find(left), b = ids_.find(right), joined = ids_.find(left + right);
      if (a == ids_.end() || b == ids_.end() || joined == ids_.end())
        throw wrong(fmt::format("merge {} joins or makes a token that the vocabulary lacks", shown_json(entry)));
      out_.merges_.emplace(std::uint32_t(a->second) << 16 | b->second, PairMerge{rank, joined->second});
      rank += 1;
    }
  }

  /// "left right", or [left, right] in newer files.
  std::pair<std::string, std::string> pair_of(const json& entry) const {
    if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string())
      return {entry[0].get<std::string>(), entry[1].get<std::string>()};
    const std::string text = entry.is_string() ? entry.get<std::string>() : "";
    const size_t gap = text.find(' ');
    if (gap == text.npos || text.find(' ', gap + 1) != text.npos)
      throw wrong(fmt::format("merge {} is no pair", shown_json(entry)));
    return {text.substr(0, gap), text.substr(gap + 1)};
  }

  /// Calls read(step) for each step of a Sequence. The depth of the file is limited, and so is the recursion.
  template <class Read>
  void for_steps(const JsonFields& sequence, const char* list, Read&& read) const {
    if (!sequence.has(list) || !sequence.object().at(list).is_array())
      throw wrong(fmt::format("a Sequence has no {}", list));
    for (const json& step : sequence.object().at(list)) read(JsonFields(step, sequence.origin()));
  }

  void read_normalizer(const JsonFields& step) {
    const std::string type = step.text("type", {});
    if (type == "Sequence") return for_steps(step, "normalizers", [&](const JsonFields& s) { read_normalizer(s); });
    if (type != "NFC") step.refuse("type", "NFC");
    out_.asks_nfc_ = true;
  }

  void read_pre_tokenizer(const JsonFields& step) {
    if (is_byte_level_)
      throw OptionError(fmt::format("{}: a step follows ByteLevel (supported: ByteLevel last)", step.origin()));
    const std::string type = step.text("type", {});
    if (type == "Sequence") {
      for_steps(step, "pretokenizers", [&](const JsonFields& s) { read_pre_tokenizer(s); });
    } else if (type == "ByteLevel") {
      out_.puts_blank_ = step.flag("add_prefix_space", true);
      if (out_.puts_blank_ && !out_.splitters_.empty()) step.refuse("add_prefix_space", "false after another step");
      if (step.flag("use_regex", true)) out_.splitters_.push_back(split_gpt2);
      is_byte_level_ = true;
    } else if (type == "Digits") {
      out_.splitters_.push_back(step.flag("individual_digits", false) ? split_single_numbers : split_number_runs);
    } else if (type == "Split") {
      read_split(step);
    } else {
      step.refuse("type", "ByteLevel, Digits, Split, Sequence");
    }
  }

  void read_split(const JsonFields& step) {
    const json pattern = step.has("pattern") ? step.object().at("pattern") : json();
    const json expression = pattern.is_object() && pattern.contains("Regex") ? pattern["Regex"] : json();
    if (expression != gpt2_expression && expression != llama3_expression)
      throw OptionError(fmt::format("{}: pattern = {} (supported: the expressions of GPT-2 and of Llama 3)",
                                    step.origin(), shown_json(pattern)));
    // Both expressions match every character, so keeping the matches and removing what lies between are the same.
    const std::string behavior = step.text("behavior", {});
    if (behavior != "Isolated" && !(behavior == "Removed" && step.flag("invert", false)))
      step.refuse("behavior", "Isolated, or Removed with invert");
    out_.splitters_.push_back(expression == gpt2_expression ? split_gpt2 : split_llama3);
  }

  void read_post_processor(const JsonFields& step) {
    const std::string type = step.text("type", {});
    if (type == "Sequence") {
      for_steps(step, "processors", [&](const JsonFields& s) { read_post_processor(s); });
    } else if (type == "TemplateProcessing") {
      read_template(step);
    } else if (type != "ByteLevel") {
      step.refuse("type", "ByteLevel, TemplateProcessing, Sequence");
    }
  }

  /// The template of one text: the text alone, or one special token before it.
  void read_template(const JsonFields& step) {
    const json single = step.has("single") ? step.object().at("single") : json::array();
    const auto is_text = [](const json& item) { return item.is_object() && item.contains("Sequence"); };
    const bool has_special = single.size() == 2 && single.is_array() && single[0].is_object() &&
                             single[0].contains("SpecialToken") && single[0]["SpecialToken"].is_object();
    if (!single.is_array() || single.empty() || !is_text(single.back()) || (single.size() != 1 && !has_special))
      throw OptionError(fmt::format("{}: single = {} (supported: the text, at most one special token before it)",
                                    step.origin(), shown_json(single)));
    if (!has_special) return;
    const std::string name = JsonFields(single[0]["SpecialToken"], step.origin()).text("id", {});
    const auto added = added_ids_.find(name);
    if (added == added_ids_.end()) throw wrong(fmt::format("the special token '{}' is no added token", shown(name)));
    out_.begin_ = added->second;
  }

  JsonFields fields_;
  ByteLevelBpe& out_;
  const std::unordered_map<char32_t, char> alphabet_ = byte_alphabet();
  std::unordered_map<std::string, std::uint16_t> ids_, added_ids_;  // as the file spells them
  std::vector<bool> is_used_;
  bool is_byte_level_ = false;
};

ByteLevelBpe::ByteLevelBpe(const std::filesystem::path& file) : file_(file.string()) {
  const std::string text = read_text(file);
  const json object = parse_json(text, file_);
  ByteLevelBpeReader(object, *this).read();
  name_ = fmt::format("byte-level BPE {} {}", vocabulary(), sha256(text));
}

}  // namespace hone
