#include "experiments/cluster/slurm_numbers.hpp"

#include <algorithm>
#include <charconv>

#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view spaces = " \t\r\n";
  const std::size_t first = text.find_first_not_of(spaces);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

}  // namespace

std::optional<std::int64_t> whole_number(std::string_view text) {
  text = trimmed(text);
  // from_chars takes a minus sign; a number of Slurm's has none.
  if (text.empty() || text.find_first_not_of("0123456789") != text.npos) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::int64_t checked_number(std::string_view text, const NumberField& field) {
  const std::optional<std::int64_t> value = whole_number(text);
  if (value && *value >= field.lowest && *value <= field.highest) return *value;
  throw FormatError(fmt::format("{}: {} is \"{}\", expected a whole number from {} to {}; {}", field.command,
                                field.name, trimmed(text).substr(0, 80), field.lowest, field.highest, field.fix));
}

bool holds_exit_code(std::string_view list, std::int64_t code) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    const std::size_t dash = item.find('-');
    const auto first = whole_number(item.substr(0, dash));
    const auto last = dash == item.npos ? first : whole_number(item.substr(dash + 1));
    if (first && last && *first <= code && code <= *last) return true;
  }
  return false;
}

}  // namespace hone::experiments
