// Names of enumerators as they stand in records and option files: one table serves both directions, and an unknown
// name is answered with its nearest neighbour.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "sim/base/error.hpp"

namespace hone {

template <class Value, std::size_t count>
using NameTable = std::array<std::pair<Value, std::string_view>, count>;

/// The items with `separator` between them; fmt::join on strings makes g++ 12 warn inside fmt.
template <class Items>
std::string joined(const Items& items, std::string_view separator) {
  std::string text;
  for (const auto& item : items) {
    if (!text.empty()) text += separator;
    text += item;
  }
  return text;
}

/// The name of an enumerator.
/// errors  ContractError for a value without a name
template <class Value, std::size_t count>
std::string_view find_name(const NameTable<Value, count>& table, Value value) {
  for (const auto& [known, name] : table)
    if (known == value) return name;
  throw ContractError(fmt::format("quantizer: no name for enumerator {}", static_cast<int>(value)));
}

/// The enumerator of a name.
/// errors  OptionError naming the nearest known name
template <class Value, std::size_t count>
Value find_value(const NameTable<Value, count>& table, std::string_view what, std::string_view wanted) {
  std::array<std::string_view, count> names;
  for (std::size_t i = 0; i < count; ++i) {
    if (table[i].second == wanted) return table[i].first;
    names[i] = table[i].second;
  }
  throw OptionError(fmt::format("{} = '{}' is not known; did you mean '{}'? (known: {})", what, wanted,
                                nearest_name(wanted, names), joined(names, ", ")));
}

}  // namespace hone
