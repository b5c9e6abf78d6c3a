#include "sim/data/labelled_csv.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/data/extract.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

constexpr std::int32_t largest_label = 65535;

std::optional<double> parsed(std::string_view field) {
  while (!field.empty() && (field.front() == ' ' || field.front() == '+')) field.remove_prefix(1);
  while (!field.empty() && (field.back() == ' ' || field.back() == '\r')) field.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string_view next_part(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

std::vector<double> fields_of(const fs::path& file, Index line, std::string_view text) {
  std::vector<double> fields;
  bool more = true;
  while (more) {
    more = text.find(',') != text.npos;
    const std::string_view field = next_part(text, ',');
    const std::optional<double> value = parsed(field);
    if (!value)
      throw FormatError(fmt::format("{} line {} column {}: '{}' is not a finite number; mend or remove the line",
                                    file.string(), line, fields.size() + 1, field.substr(0, 40)));
    fields.push_back(*value);
  }
  return fields;
}

void append_fields(VectorBatch& table, const fs::path& file, Index line, const std::vector<double>& fields) {
  const Index width = static_cast<Index>(fields.size());
  if (width < 2)
    throw FormatError(
        fmt::format("{} line {}: {} column; give at least one input and the class, separated by "
                    "commas",
                    file.string(), line, width));
  if (table.examples > 0 && width != table.inputs + 1)
    throw FormatError(fmt::format("{} line {}: {} columns, earlier lines have {}; mend or remove the line",
                                  file.string(), line, width, table.inputs + 1));
  const double label = fields.back();
  if (label != std::floor(label) || label < 0 || label > largest_label)
    throw FormatError(fmt::format("{} line {} column {}: the class is {}; give whole numbers from 0 to {}",
                                  file.string(), line, width, label, largest_label));
  table.inputs = width - 1;
  table.x.insert(table.x.end(), fields.begin(), fields.end() - 1);
  table.labels.push_back(static_cast<std::int32_t>(label));
  ++table.examples;
}

}  // namespace

VectorBatch load_labelled_csv(const fs::path& file) {
  if (!fs::is_regular_file(file))
    throw IoError(
        fmt::format("{}: no such file; check the path or fetch the digits with "
                    "experiments/fetch_corpus",
                    file.string()));
  const std::string text = file.extension() == ".gz" ? read_gzip(file) : read_text(file);
  VectorBatch table;
  std::string_view rest = text;
  for (Index line = 1; !rest.empty(); ++line) {
    const std::string_view content = next_part(rest, '\n');
    if (content.empty() || content == "\r") continue;
    std::string_view front = content;
    if (line == 1 && !parsed(next_part(front, ','))) continue;
    append_fields(table, file, line, fields_of(file, line, content));
  }
  if (table.examples == 0)
    throw FormatError(fmt::format("{}: no rows; give a CSV file whose last column is the class", file.string()));
  double largest = 0;
  for (const double value : table.x) largest = std::max(largest, std::abs(value));
  if (largest > 0)
    for (double& value : table.x) value /= largest;
  table.outputs = *std::max_element(table.labels.begin(), table.labels.end()) + 1;
  return table;
}

}  // namespace hone
