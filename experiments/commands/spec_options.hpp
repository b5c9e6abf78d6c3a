// Options of the command line that set fields of a part of a study, with the ranges that a study file has.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "experiments/study/parts.hpp"
#include "sim/base/error.hpp"

namespace hone::experiments {

/// A check for a field's range. Bounds beyond 1e15 stand for none.
template <class T>
void restrict(CLI::Option& option, const Range& range) {
  if (range.low <= -1e300) return;
  if constexpr (std::is_integral_v<T>)
    option.check(CLI::Range(static_cast<std::int64_t>(range.low), static_cast<std::int64_t>(range.high)));
  else
    option.check(CLI::Range(range.low, range.high));
}

/// Finds one field of a part by its key and binds an option to it.
class FieldBinder {
 public:
  /// `other`, where given, stands in place of the field's own range.
  FieldBinder(CLI::App& command, std::string option, std::string key, std::string help, std::optional<Range> other)
      : command_(command), option_(std::move(option)), key_(std::move(key)), help_(std::move(help)), other_(other) {}

  template <class T>
  void operator()(const char* key, T& value, Range range = {}) {
    if (key_ == key) bind<T>(value, range);
  }
  template <class T>
  void operator()(const char* key, std::vector<T>& values, Range range = {}) {
    if (key_ == key) bind<T>(values, range);
  }
  CLI::Option* bound() const { return bound_; }

 private:
  template <class T, class Field>
  void bind(Field& field, const Range& range) {
    bound_ = command_.add_option(option_, field, help_);
    if constexpr (std::is_arithmetic_v<T>) restrict<T>(*bound_, other_.value_or(range));
  }

  CLI::App& command_;
  std::string option_, key_, help_;
  std::optional<Range> other_;
  CLI::Option* bound_ = nullptr;
};

/// Adds options for fields of one part, which outlives the command.
template <class Part>
class SpecOptions {
 public:
  SpecOptions(CLI::App& command, Part& part) : command_(command), part_(part) {}

  /// `other` is for values that mean something in a study or on a command line alone, such as 0 for a study's default.
  /// errors  ContractError when the part has no field `key`
  CLI::Option* add(const std::string& option, const std::string& key, const std::string& help,
                   std::optional<Range> other = {}) {
    FieldBinder binder(command_, option, key, help, other);
    part_.fields(binder);
    EXPECTS(binder.bound() != nullptr, "{}: no field {}", option, key);
    return binder.bound();
  }

 private:
  CLI::App& command_;
  Part& part_;
};

}  // namespace hone::experiments
