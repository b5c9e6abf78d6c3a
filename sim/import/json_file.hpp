// JSON from files that others wrote: parsed strictly (no duplicate keys, no deep nesting), read field by field, and
// every complaint names the file and the field. Fields the caller never asks for are ignored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "sim/base/matrix.hpp"

namespace hone {

/// Deepest nesting of objects and arrays that is read.
inline constexpr int json_depth_limit = 64;

/// Parses `text`; `origin` names it in messages.
/// errors  FormatError for bad syntax, text after the value, a repeated key or deeper nesting than the limit
/// cost    linear in the text, also for hostile text
nlohmann::json parse_json(std::string_view text, const std::string& origin);

/// parse_json of a whole file.
/// errors  IoError when it cannot be read; FormatError for a Git LFS pointer
nlohmann::json read_json(const std::filesystem::path& file);

/// Typed access to the fields of one JSON object, for example a config.json. A field that is null counts as absent.
class JsonFields {
 public:
  /// expects  `object` outlives this
  /// errors   FormatError when it is no object
  JsonFields(const nlohmann::json& object, std::string origin);

  bool has(const std::string& name) const;
  /// The first of the names that is there, as configurations rename their fields; `fallback` when none is.
  /// errors  FormatError for another type; OptionError outside 1 … most
  Index count(std::initializer_list<const char*> names, std::optional<Index> fallback, Index most = 1 << 16) const;
  /// errors  FormatError when missing without fallback, or for another type
  double number(std::initializer_list<const char*> names, std::optional<double> fallback) const;
  bool flag(const std::string& name, bool fallback) const;
  std::string text(const std::string& name, std::optional<std::string> fallback) const;
  /// errors  OptionError naming file, field, value and `supported` unless the field is absent or equals `only`
  void demand(const std::string& name, const nlohmann::json& only, std::string_view supported) const;
  /// The same complaint about the present value, for a caller's own test.
  [[noreturn]] void refuse(const std::string& name, std::string_view supported) const;

  const nlohmann::json& object() const { return object_; }
  const std::string& origin() const { return origin_; }

 private:
  const nlohmann::json* first_of(std::initializer_list<const char*> names, bool has_fallback) const;
  [[noreturn]] void wrong_type(const std::string& name, const nlohmann::json& value, std::string_view wanted) const;

  const nlohmann::json& object_;
  std::string origin_;
};

/// The first `most` bytes of a text that may hold anything, for a message: all but printable ASCII becomes '?'.
std::string shown(std::string_view text, size_t most = 60);
/// The same of a value as JSON text.
std::string shown_json(const nlohmann::json& value);

}  // namespace hone
