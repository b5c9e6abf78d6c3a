#include "sim/import/tokenizers/tokenizer_json.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/import/json_file.hpp"
#include "sim/import/tokenizers/characters.hpp"

namespace hone {

using nlohmann::json;

namespace {

constexpr const char* gpt2_expression = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* llama3_expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr const char* qwen2_expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

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

/// Fills the parts of a BpeTokenizer field by field.
class TokenizerReader {
 public:
  TokenizerReader(const json& file, BpeTokenizerParts& out) : fields_(file, out.file), out_(out) {}

  void read() {
    const JsonFields model = part("model");
    if (!model.has("type") && model.has("merges")) {
      // Files of the first versions do not name the model.
    } else if (model.text("type", {}) != "BPE") {
      model.refuse("type", "BPE");
    }
    if (model.number({"dropout"}, 0) != 0) model.refuse("dropout", "null or 0");
    for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) model.demand(name, "", "null");
    if (fields_.has("normalizer")) read_normalizer(part("normalizer"));
    if (fields_.has("pre_tokenizer")) read_pre_tokenizer(part("pre_tokenizer"));
    out_.model.alphabet = is_byte_level_ ? Alphabet::bytes : Alphabet::characters;
    out_.model.takes_whole_pieces = model.flag("ignore_merges", false);
    if (!model.has("vocab") || !model.object().at("vocab").is_object()) throw wrong("model.vocab is no object");
    read_added(model);
    read_vocabulary(model);
    read_merges(model);
    if (!is_byte_level_) read_unknown(model);
    if (fields_.has("decoder")) check_decoder(part("decoder"));
    if (fields_.has("post_processor")) read_post_processor(part("post_processor"));
    const char* kind = is_byte_level_ ? "byte-level BPE" : has_byte_tokens_ ? "byte-fallback BPE" : "character BPE";
    out_.name = fmt::format("{} {}", kind, out_.spelling.size());
  }

 private:
  FormatError wrong(std::string_view what) const {
    return FormatError(fmt::format("{}: {}; fetch the file again", out_.file, what));
  }

  JsonFields part(const char* name) const {
    const auto found = fields_.object().find(name);
    if (found == fields_.object().end()) throw wrong(fmt::format("the field '{}' is missing", name));
    return JsonFields(*found, out_.file + " " + name);
  }

  std::uint16_t id_of(std::string_view token, const json& value) const {
    if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<std::int64_t>() < 0))
      throw wrong(fmt::format("token '{}' has the id {}", shown(token), shown_json(value)));
    if (value.get<std::uint64_t>() > 65535)
      throw OptionError(fmt::format("{}: token '{}' has id = {} (supported: 0 to 65535)", out_.file, shown(token),
                                    value.get<std::uint64_t>()));
    return std::uint16_t(value.get<std::uint64_t>());
  }

  /// Notes the spelling of an id. An added token may be in the vocabulary as well, with the same spelling.
  void spell(std::uint16_t id, std::string bytes) {
    if (out_.spelling.size() <= id) out_.spelling.resize(size_t(id) + 1), is_used_.resize(size_t(id) + 1);
    if (is_used_[id] && out_.spelling[id] != bytes)
      throw wrong(fmt::format("id {} belongs to '{}' and to '{}'", id, shown(out_.spelling[id]), shown(bytes)));
    is_used_[id] = true;
    out_.spelling[id] = std::move(bytes);
  }

  /// The library `tokenizers` gives an added token the id of the vocabulary, or the next free one, whatever the file
  /// says. A file that says otherwise has been edited, and what its checkpoint was trained with is unknown.
  void check_added_id(const std::string& text, std::uint16_t id, const json& vocabulary) {
    const auto twice = added_ids_.find(text);
    const bool is_known = vocabulary.contains(text);
    const json expected = is_known                    ? vocabulary.at(text)
                          : twice != added_ids_.end() ? json(twice->second)
                                                      : json(std::max<std::uint64_t>(next_added_, vocabulary.size()));
    if (expected != id)
      throw wrong(fmt::format("the added token '{}' has id {}, {} is {}", shown(text), id,
                              is_known ? "its id in model.vocab" : "the next free id", shown_json(expected)));
    next_added_ = std::max<std::uint64_t>(next_added_, std::uint64_t(id) + 1);
  }

  void read_added(const JsonFields& model) {
    if (!fields_.has("added_tokens")) return;
    const json& list = fields_.object().at("added_tokens");
    if (!list.is_array()) throw wrong("added_tokens is no array");
    const json& vocabulary = model.object().at("vocab");
    std::vector<AddedToken> raw, normalized;
    for (const json& entry : list) {
      const JsonFields token(entry, out_.file + " added_tokens");
      const std::string text = token.text("content", {});
      const auto id = entry.find("id");
      if (text.empty() || id == entry.end()) throw wrong("an added token has no content or no id");
      AddedToken added{text, id_of(text, *id), token.flag("lstrip", false), token.flag("rstrip", false),
                       token.flag("single_word", false)};
      check_added_id(text, added.id, vocabulary);
      added_ids_.emplace(text, added.id);
      spell(added.id, text);
      const bool is_normalized = token.flag("normalized", true);
      if (is_normalized) added.text = normalized_by(out_.normalizers, text, out_.file);
      if (!added.text.empty()) (is_normalized ? normalized : raw).push_back(added);
    }
    out_.raw_added = AddedTokens(raw);
    out_.normalized_added = AddedTokens(normalized);
  }

  /// What a token of the vocabulary stands for as the model looks it up; empty when a character is not of the alphabet.
  std::string looked_up(const std::string& token) const {
    if (!is_byte_level_) return token;
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

  /// Text of a token: its bytes, or its characters with blanks in place of the sign for them.
  std::string text_of(const std::string& looked_up) const {
    return is_byte_level_ || blank_sign_.empty() ? looked_up : replaced(looked_up, blank_sign_, " ");
  }

  void read_vocabulary(const JsonFields& model) {
    for (const auto& [token, value] : model.object().at("vocab").items()) {
      const std::uint16_t id = id_of(token, value);
      ids_.emplace(token, id);
      const std::string bytes = looked_up(token);
      if (!bytes.empty()) out_.model.id_of.emplace(bytes, id);
      if (added_ids_.contains(token)) continue;
      if (bytes.empty()) throw wrong(fmt::format("token '{}' is not spelled in bytes", shown(token)));
      spell(id, text_of(bytes));
    }
  }

  /// A pair that is there twice has the rank of its last place.
  void read_merges(const JsonFields& model) {
    if (!model.has("merges") || !model.object().at("merges").is_array()) throw wrong("model.merges is no array");
    double rank = 0;
    for (const json& entry : model.object().at("merges")) {
      const auto [left, right] = pair_of(entry);
      const auto a = ids_.find(left), b = ids_.find(right), joined = ids_.find(left + right);
      if (a == ids_.end() || b == ids_.end() || joined == ids_.end())
        throw wrong(fmt::format("merge {} joins or makes a token that the vocabulary lacks", shown_json(entry)));
      out_.model.merges.insert_or_assign(std::uint32_t(a->second) << 16 | b->second, PairMerge{rank, joined->second});
      rank += 1;
    }
  }

  /// What stands for a character without a token.
  void read_unknown(const JsonFields& model) {
    const std::string unknown = model.text("unk_token", "");
    if (!unknown.empty()) {
      const auto found = ids_.find(unknown);
      if (found == ids_.end()) throw wrong(fmt::format("unk_token '{}' is not in the vocabulary", shown(unknown)));
      out_.model.unknown = found->second;
    }
    out_.model.joins_unknown = model.flag("fuse_unk", false);
    if (!model.flag("byte_fallback", false)) return;
    for (size_t byte = 0; byte < 256; ++byte) {
      const auto found = ids_.find(fmt::format("<0x{:02X}>", byte));
      if (found == ids_.end()) continue;
      has_byte_tokens_ = true;
      out_.model.byte_token[byte] = found->second;
      out_.spelling[found->second] = std::string(1, char(byte));
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
    const std::map<std::string, NormalForm> forms = {
        {"NFC", NormalForm::nfc}, {"NFD", NormalForm::nfd}, {"NFKC", NormalForm::nfkc}, {"NFKD", NormalForm::nfkd}};
    if (type == "Sequence") {
      for_steps(step, "normalizers", [&](const JsonFields& s) { read_normalizer(s); });
    } else if (const auto form = forms.find(type); form != forms.end()) {
      out_.normalizers.push_back([form = form->second](std::string_view text) { return normalized(text, form); });
    } else if (type == "Prepend") {
      out_.normalizers.push_back(
          [before = inserted(step, "prepend")](std::string_view text) { return fmt::format("{}{}", before, text); });
      out_.puts_blank = true;
    } else if (type == "Replace") {
      const std::string from = literal(step, "pattern"), to = inserted(step, "content");
      out_.normalizers.push_back([from, to](std::string_view text) { return replaced(text, from, to); });
      if (from == " ") blank_sign_ = to;
    } else {
      step.refuse("type", "NFC, NFD, NFKC, NFKD, Prepend, Replace, Sequence");
    }
  }

  /// A text that a step puts into others.
  static std::string inserted(const JsonFields& step, const char* name) {
    const std::string text = step.text(name, {});
    if (text.size() > largest_insertion) step.refuse(name, fmt::format("at most {} bytes", largest_insertion));
    return text;
  }

  /// A pattern that is a text and no expression.
  static std::string literal(const JsonFields& step, const char* name) {
    const json pattern = step.has(name) ? step.object().at(name) : json();
    if (!pattern.is_object() || !pattern.contains("String") || !pattern["String"].is_string() ||
        pattern["String"] == "")
      throw OptionError(
          fmt::format("{}: {} = {} (supported: a String that is not empty)", step.origin(), name, shown_json(pattern)));
    return pattern["String"].get<std::string>();
  }

  void read_pre_tokenizer(const JsonFields& step) {
    if (is_byte_level_)
      throw OptionError(fmt::format("{}: a step follows ByteLevel (supported: ByteLevel last)", step.origin()));
    const std::string type = step.text("type", {});
    if (type == "Sequence") {
      for_steps(step, "pretokenizers", [&](const JsonFields& s) { read_pre_tokenizer(s); });
    } else if (type == "ByteLevel") {
      out_.pre_tokenizers.push_back(byte_level(step.flag("add_prefix_space", true), step.flag("use_regex", true)));
      is_byte_level_ = true;
    } else if (type == "Metaspace") {
      read_metaspace(step);
    } else if (type == "Digits") {
      out_.pre_tokenizers.push_back(
          splitting(step.flag("individual_digits", false) ? split_single_numbers : split_number_runs));
    } else if (type == "Split") {
      read_split(step);
    } else {
      step.refuse("type", "ByteLevel, Metaspace, Digits, Split, Sequence");
    }
  }

  /// Older files say add_prefix_space, newer ones prepend_scheme.
  void read_metaspace(const JsonFields& step) {
    const std::map<std::string, PrependScheme> schemes = {
        {"always", PrependScheme::always}, {"first", PrependScheme::first}, {"never", PrependScheme::never}};
    const auto scheme = schemes.find(step.text("prepend_scheme", "always"));
    if (scheme == schemes.end()) step.refuse("prepend_scheme", "always, first, never");
    const PrependScheme prepend = step.flag("add_prefix_space", true) ? scheme->second : PrependScheme::never;
    blank_sign_ = step.text("replacement", "▁");
    if (blank_sign_.empty() || character_at(blank_sign_, 0).bytes != blank_sign_.size())
      step.refuse("replacement", "one character");
    out_.pre_tokenizers.push_back(metaspace(blank_sign_, prepend, step.flag("split", true)));
    out_.puts_blank |= prepend != PrependScheme::never;
  }

  void read_split(const JsonFields& step) {
    const json pattern = step.has("pattern") ? step.object().at("pattern") : json();
    const json expression = pattern.is_object() && pattern.contains("Regex") ? pattern["Regex"] : json();
    const std::string behavior = step.text("behavior", {});
    const std::map<std::string, Splitter> known = {
        {gpt2_expression, split_gpt2}, {llama3_expression, split_llama3}, {qwen2_expression, split_qwen2}};
    const auto splitter = expression.is_string() ? known.find(expression.get<std::string>()) : known.end();
    if (splitter != known.end()) {
      // These expressions match every character, so keeping the matches and removing what lies between are the same.
      if (behavior != "Isolated" && !(behavior == "Removed" && step.flag("invert", false)))
        step.refuse("behavior", "Isolated, or Removed with invert");
      out_.pre_tokenizers.push_back(splitting(splitter->second));
      return;
    }
    if (!pattern.is_object() || !pattern.contains("String"))
      throw OptionError(fmt::format("{}: pattern = {} (supported: a String, the expressions of GPT-2, Llama 3, Qwen2)",
                                    step.origin(), shown_json(pattern)));
    const std::map<std::string, SplitBehavior> behaviors = {{"Isolated", SplitBehavior::isolated},
                                                            {"Removed", SplitBehavior::removed},
                                                            {"MergedWithPrevious", SplitBehavior::merged_with_previous},
                                                            {"MergedWithNext", SplitBehavior::merged_with_next}};
    const auto found = behaviors.find(behavior);
    if (found == behaviors.end()) step.refuse("behavior", "Isolated, Removed, MergedWithPrevious, MergedWithNext");
    step.demand("invert", false, "false with a String");
    out_.pre_tokenizers.push_back(splitting([delimiter = literal(step, "pattern"), how = found->second](
                                                std::string_view text) { return split_at(text, delimiter, how); }));
  }

  /// decode() spells tokens by the alphabet; the file must mean the same.
  void check_decoder(const JsonFields& step) const {
    const std::string type = step.text("type", {});
    if (is_byte_level_) {
      if (type != "ByteLevel") step.refuse("type", "ByteLevel, as the pre_tokenizer");
    } else if (type == "Sequence") {
      for_steps(step, "decoders", [&](const JsonFields& s) { check_decoder(s); });
    } else if (type != "Metaspace" && type != "Replace" && type != "ByteFallback" && type != "Fuse" &&
               type != "Strip") {
      step.refuse("type", "Metaspace, Replace, ByteFallback, Fuse, Strip, Sequence");
    }
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
    out_.begin = special_id(step, JsonFields(single[0]["SpecialToken"], step.origin()).text("id", {}));
  }

  /// The id that the template gives a special token, else that of the added token of this name.
  std::uint16_t special_id(const JsonFields& step, const std::string& name) const {
    const json all = step.has("special_tokens") ? step.object().at("special_tokens") : json::object();
    if (all.is_object() && all.contains(name)) {
      const json& token = all[name];
      if (!token.is_object() || !token.contains("ids") || !token["ids"].is_array() || token["ids"].size() != 1)
        throw OptionError(fmt::format("{}: special token '{}' = {} (supported: one id)", step.origin(), shown(name),
                                      shown_json(token)));
      return id_of(name, token["ids"][0]);
    }
    const auto added = added_ids_.find(name);
    if (added == added_ids_.end()) throw wrong(fmt::format("the special token '{}' is no added token", shown(name)));
    return added->second;
  }

  JsonFields fields_;
  BpeTokenizerParts& out_;
  const std::unordered_map<char32_t, char> alphabet_ = byte_alphabet();
  std::unordered_map<std::string, std::uint16_t> ids_, added_ids_;  // as the file spells them
  std::vector<bool> is_used_;
  std::string blank_sign_;
  std::uint64_t next_added_ = 0;
  bool is_byte_level_ = false, has_byte_tokens_ = false;
};

}  // namespace

BpeTokenizerParts read_tokenizer_json(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  BpeTokenizerParts parts;
  parts.file = file.string();
  const json object = parse_json(text, parts.file);
  TokenizerReader(object, parts).read();
  parts.name += fmt::format(" {}", sha256(text));
  return parts;
}

}  // namespace hone
