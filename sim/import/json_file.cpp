#include "sim/import/json_file.hpp"

#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>
#include <vector>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/utf8.hpp"

namespace hone {
namespace {

using nlohmann::json;

/// Watches the parser: keys of the open objects and the depth.
class StrictParse {
 public:
  explicit StrictParse(const std::string& origin) : origin_(origin) {}

  bool operator()(int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      keys_.emplace_back();
      if (keys_.size() > size_t(json_depth_limit))
        throw FormatError(
            fmt::format("{}: nested deeper than {} levels; give the original file", origin_, json_depth_limit));
    } else if (event == json::parse_event_t::object_end || event == json::parse_event_t::array_end) {
      keys_.pop_back();
    } else if (event == json::parse_event_t::key && !keys_.back().insert(value.get_ref<const std::string&>()).second) {
      throw FormatError(
          fmt::format("{}: the key {} is there twice; give the original file", origin_, shown_json(value)));
    }
    return true;
  }

 private:
  const std::string& origin_;
  std::vector<std::unordered_set<std::string>> keys_;
};

}  // namespace

std::string shown(std::string_view text, size_t most) {
  std::string out(text.substr(0, most));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return text.size() > most ? out + "..." : out;
}

std::string shown_json(const json& value) { return shown(value.dump(-1, ' ', true, json::error_handler_t::replace)); }

json parse_json(std::string_view text, const std::string& origin) {
  try {
    StrictParse strict(origin);
    return json::parse(text.begin(), text.end(),
                       [&](int depth, json::parse_event_t event, json& value) { return strict(depth, event, value); });
  } catch (const json::exception& error) {
    throw FormatError(fmt::format("{}: not JSON ({}); give the original file", origin, shown(error.what(), 200)));
  }
}

json read_json(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  refuse_lfs_pointer(text, file);
  return parse_json(text, file.string());
}

JsonFields::JsonFields(const json& object, std::string origin) : object_(object), origin_(std::move(origin)) {
  if (!object_.is_object())
    throw FormatError(
        fmt::format("{}: holds {} where an object is due; give the original file", origin_, shown_json(object_)));
}

bool JsonFields::has(const std::string& name) const {
  const auto found = object_.find(name);
  return found != object_.end() && !found->is_null();
}

const json* JsonFields::first_of(std::initializer_list<const char*> names, bool has_fallback) const {
  for (const char* name : names)
    if (has(name)) return &object_.at(name);
  if (has_fallback) return nullptr;
  throw FormatError(fmt::format("{}: the field '{}' is missing; give the original file", origin_, *names.begin()));
}

void JsonFields::wrong_type(const std::string& name, const json& value, std::string_view wanted) const {
  throw FormatError(
      fmt::format("{}: {} = {} is not {}; give the original file", origin_, name, shown_json(value), wanted));
}

Index JsonFields::count(std::initializer_list<const char*> names, std::optional<Index> fallback, Index most) const {
  const json* value = first_of(names, fallback.has_value());
  if (!value) return *fallback;
  if (!value->is_number_integer()) wrong_type(*names.begin(), *value, "a whole number");
  const bool too_large = value->is_number_unsigned() && value->get<std::uint64_t>() > std::uint64_t(most);
  if (too_large || value->get<std::int64_t>() < 1)
    throw OptionError(
        fmt::format("{}: {} = {} (supported: 1 to {})", origin_, *names.begin(), shown_json(*value), most));
  return value->get<std::int64_t>();
}

double JsonFields::number(std::initializer_list<const char*> names, std::optional<double> fallback) const {
  const json* value = first_of(names, fallback.has_value());
  if (!value) return *fallback;
  if (!value->is_number()) wrong_type(*names.begin(), *value, "a number");
  return value->get<double>();
}

bool JsonFields::flag(const std::string& name, bool fallback) const {
  if (!has(name)) return fallback;
  const json& value = object_.at(name);
  if (!value.is_boolean()) wrong_type(name, value, "true or false");
  return value.get<bool>();
}

std::string JsonFields::text(const std::string& name, std::optional<std::string> fallback) const {
  const json* value = first_of({name.c_str()}, fallback.has_value());
  if (!value) return *fallback;
  if (!value->is_string()) wrong_type(name, *value, "a text");
  return value->get<std::string>();
}

void JsonFields::demand(const std::string& name, const json& only, std::string_view supported) const {
  if (has(name) && object_.at(name) != only) refuse(name, supported);
}

void JsonFields::refuse(const std::string& name, std::string_view supported) const {
  throw OptionError(fmt::format("{}: {} = {} (supported: {})", origin_, name, shown_json(object_.at(name)), supported));
}

}  // namespace hone
