#include "experiments/study/decode_policy.hpp"

#include <cmath>
#include <optional>

#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

constexpr Index channel_group = 32;
constexpr int widest = 16;

const std::vector<std::string> kinds = {"token", "channel", "kivi"};
const std::vector<std::string> settings = {"sinks", "residual", "group", "prerope"};

struct Widths {
  int key = 0, value = 0;
};

/// A name cut into its parts, any of which may be unknown still.
struct Parts {
  std::string kind;
  std::optional<Widths> widths;
  std::vector<std::string> settings;
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text)
    if (c == '-')
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// The number that `digits` write, none when they are something else or too many.
std::optional<Index> number_of(const std::string& digits) {
  if (digits.empty() || digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos) return {};
  return std::stoll(digits);
}

std::string digits_at_end(const std::string& text) {
  const size_t letter = text.find_last_not_of("0123456789");
  return letter == std::string::npos ? text : text.substr(letter + 1);
}

std::string without_digits(const std::string& text) { return text.substr(0, text.size() - digits_at_end(text).size()); }

/// "k4v2".
std::optional<Widths> two_widths(const std::string& text) {
  const size_t v = text.find('v');
  if (!text.starts_with("k") || v == std::string::npos) return {};
  const auto key = number_of(text.substr(1, v - 1)), value = number_of(text.substr(v + 1));
  if (!key || !value) return {};
  return Widths{int(*key), int(*value)};
}

Parts parts_of(const std::string& name) {
  std::vector<std::string> words = split(name);
  Parts parts;
  size_t used = 1;
  if ((parts.widths = two_widths(words[0]))) {
    parts.kind = "token";
  } else if (const auto both = number_of(digits_at_end(words[0]))) {
    parts.kind = without_digits(words[0]);
    parts.widths = Widths{int(*both), int(*both)};
  } else {
    parts.kind = words[0];
    if (words.size() > 1 && (parts.widths = two_widths(words[1]))) used = 2;
  }
  parts.settings.assign(words.begin() + std::ptrdiff_t(used), words.end());
  return parts;
}

bool is_known(const std::string& word, const std::vector<std::string>& known) {
  return std::find(known.begin(), known.end(), word) != known.end();
}

/// A setting's word and number; none when it is unknown.
std::optional<std::pair<std::string, Index>> setting_of(const std::string& text) {
  const std::string word = without_digits(text);
  const auto number = number_of(digits_at_end(text));
  if (!is_known(word, settings) || (word == "prerope") == number.has_value()) return {};
  return std::pair{word, number.value_or(1)};
}

std::string text_of(const Widths& w) {
  return w.key == w.value ? std::to_string(w.key) : fmt::format("-k{}v{}", w.key, w.value);
}

/// The name with every unknown part replaced by the nearest known one.
std::string nearest_policy(const Parts& parts) {
  std::string name = nearest_name(parts.kind, kinds) + text_of(parts.widths.value_or(Widths{4, 4}));
  for (const std::string& setting : parts.settings) {
    const std::string word = nearest_name(without_digits(setting), settings), digits = digits_at_end(setting);
    name += "-" + word + (word == "prerope" ? "" : number_of(digits) ? digits : "32");
  }
  return name;
}

KvCacheOptions cache_of(const Parts& parts, Index group, std::optional<Index> residual) {
  const auto [key, value] = *parts.widths;
  KvCacheOptions cache;
  if (parts.kind == "kivi") {
    cache = residual ? kivi_cache(key, group > 0 ? group : channel_group, *residual)
                     : kivi_cache(key, group > 0 ? group : channel_group);
    cache.value.bits = value;
    return cache;
  }
  cache.key = {.bits = key, .grid = Grid::float_min};
  cache.value = {.bits = value, .grid = Grid::float_min};
  cache.residual = residual.value_or(0);
  if (parts.kind == "channel") {
    cache.key_axis = KeyAxis::channel;
    cache.key_group = group > 0 ? group : channel_group;
  } else if (group > 0) {
    cache.key.granularity = cache.value.granularity = Granularity::group;
    cache.key.group = cache.value.group = group;
  }
  return cache;
}

constexpr Index contexts = 8;  ///< of a window with rotary positions

/// Where the positions of a model end, however long its context is here; nothing when they go on.
std::optional<Index> end_of_positions(const TransformerOptions& o) {
  if (o.position == Positions::learned) return o.positions;
  if (o.rope_scaling.rule == RopeScalingRule::dynamic) return Index(o.rope_scaling.original_positions);
  return {};
}

void check_copies(const DecodeSpec& s) {
  for (std::int64_t distance : s.copy_distances)
    if (distance < s.copy_block || distance + s.copy_block - 1 > s.length)
      throw OptionError(
          fmt::format("copy_distances: {} does not lie between copy_block = {} and {}, where a second block ends at "
                      "length = {}; leave it out or choose a greater length",
                      distance, s.copy_block, s.length - s.copy_block + 1, s.length));
}

void check_averages(const DecodeSpec& s) {
  for (double average : s.average_bits)
    if (!(std::floor(average) >= 2 && std::ceil(average) < double(s.stored_bits)))
      throw OptionError(
          fmt::format("average_bits: {} needs a width above and one below it, at most stored_bits = {}; choose 2 to {}",
                      average, s.stored_bits, s.stored_bits - 1));
}

}  // namespace

std::string policy_grammar() {
  return "a policy is KIND and bits, token4, or bits of keys and values apart, k4v2 = token-k4v2; then any of\n"
         "  -sinksN     the first N tokens in full precision\n"
         "  -residualN  the newest N tokens in full precision (kivi: 128)\n"
         "  -groupN     channel and kivi: tokens that share the steps of keys (32); token: channels that share a step\n"
         "  -prerope    keys are quantized before RoPE\n"
         "kinds: token    keys and values per token and head\n"
         "       channel  keys per channel over closed groups of tokens, values per token and head\n"
         "       kivi     as channel, values per token and 32 channels, a window of newest tokens\n"
         "16 bits are full precision; all others take the grid between minimum and maximum\n";
}

std::vector<std::string> known_policies() {
  return {"token8", "token4",        "token2",         "channel2",        "kivi2",
          "k4v2",   "token3-sinks4", "token4-prerope", "kivi2-residual32"};
}

CachePolicy policy_from_name(const std::string& name) {
  const Parts parts = parts_of(name);
  Index group = 0, sinks = 0;
  std::optional<Index> residual;
  bool is_whole = parts.widths && is_known(parts.kind, kinds), is_before_rope = false;
  for (const std::string& text : parts.settings) {
    const auto setting = setting_of(text);
    if (!setting) {
      is_whole = false;
      continue;
    }
    const auto& [word, number] = *setting;
    if (word == "sinks") sinks = number;
    if (word == "residual") residual = number;
    if (word == "group") group = number;
    if (word == "prerope") is_before_rope = true;
    if (word == "group" && number == 0)
      throw OptionError(fmt::format("policy \"{}\": group = 0; give 1 or more, or leave it out", name));
  }
  if (!is_whole)
    throw OptionError(fmt::format("policy \"{}\" is unknown; did you mean \"{}\"? (for example {})", name,
                                  nearest_policy(parts), fmt::join(known_policies(), ", ")));
  if (const auto [key, value] = *parts.widths; std::min(key, value) < 1 || std::max(key, value) > widest)
    throw OptionError(
        fmt::format("policy \"{}\": {} and {} bits; choose 1 to 8, or 16 for full precision", name, key, value));
  CachePolicy policy{name, cache_of(parts, group, residual)};
  policy.cache.sinks = sinks;
  policy.cache.pre_rope = is_before_rope;
  try {
    policy.cache.validate();
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("policy \"{}\": {}", name, error.what()));
  }
  return policy;
}

DecodeSpec fitted_to(DecodeSpec s, const TransformerOptions& o) {
  for (const std::string& name : s.policies) (void)policy_from_name(name);
  const std::optional<Index> end = end_of_positions(o);
  if (s.length == 0) s.length = std::min(contexts * o.positions, end.value_or(contexts * o.positions));
  if (end && s.length > *end)
    throw OptionError(fmt::format(
        "length = {}: the model's {} end at {}; choose at most that, or a model with rotary positions that "
        "go on",
        s.length, o.position == Positions::learned ? "learned positions" : "dynamic rotary frequencies", *end));
  const std::int64_t whole = std::min<std::int64_t>(s.length, o.positions);
  if (s.prompt == 0) s.prompt = std::max<std::int64_t>(2, whole / 2);
  if (s.generate == 0) s.generate = std::max<std::int64_t>(1, whole / 2);
  if (s.prompt < 2 || s.prompt + s.generate > s.length)
    throw OptionError(fmt::format(
        "prompt = {} and generate = {} do not fit length = {}; choose a prompt of 2 or more tokens, and both "
        "together at most the length",
        s.prompt, s.generate, s.length));
  if (s.copy_distances.empty())
    for (std::int64_t d = s.copy_block; d + s.copy_block - 1 <= s.length; d *= 2) s.copy_distances.push_back(d);
  check_copies(s);
  check_averages(s);
  return s;
}

}  // namespace hone::experiments
