#include "theory/rows/csv.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/gzip.hpp"
#include "sim/record/dataset.hpp"

namespace hone::theory {
namespace {

/// Takes one line off a text, cell by cell.
class Line {
 public:
  Line(std::string_view& text, std::size_t& number, const std::string& source)
      : text_(text), number_(number), source_(source) {}

  std::vector<std::string> cells() {
    std::vector<std::string> found;
    do found.push_back(cell());
    while (take(','));
    take('\r');
    if (!text_.empty() && !take('\n'))
      throw FormatError(
          fmt::format("{}, line {}: text after a closing quote; double the quotes inside", source_, number_));
    ++number_;
    return found;
  }

 private:
  bool take(char c) {
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::string cell() {
    if (take('"')) return quoted();
    const std::size_t end = std::min(text_.find_first_of(",\r\n"), text_.size());
    std::string found(text_.substr(0, end));
    text_.remove_prefix(end);
    return found;
  }

  std::string quoted() {
    std::string found;
    const std::size_t begin = number_;
    while (!text_.empty()) {
      const char c = text_.front();
      text_.remove_prefix(1);
      if (c == '"' && !take('"')) return found;
      number_ += c == '\n';
      found += c;
    }
    throw FormatError(fmt::format("{}, line {}: the quote is never closed; was the file cut off?", source_, begin));
  }

  std::string_view& text_;
  std::size_t& number_;
  const std::string& source_;
};

std::string cell_of(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }
std::string cell_of(float value) { return cell_of(double(value)); }
std::string cell_of(std::int64_t value) { return fmt::format("{}", value); }
std::string cell_of(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

Csv::Csv(std::string_view text, std::string source) : source_(std::move(source)) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::size_t number = 1;
  for (; text.starts_with('#'); ++number) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  if (text.empty()) throw FormatError(fmt::format("{}: is empty; give a table with a line of column names", source_));
  names_ = Line(text, number, source_).cells();
  for (const std::string& name : names_)
    if (std::count(names_.begin(), names_.end(), name) > 1)
      throw FormatError(fmt::format("{}: two columns are called \"{}\"; rename one", source_, name));
  while (!text.empty()) {
    const std::size_t at = number;
    std::vector<std::string> cells = Line(text, number, source_).cells();
    if (cells.size() == 1 && cells[0].empty()) continue;  // an empty line
    if (cells.size() != names_.size())
      throw FormatError(fmt::format("{}, line {}: {} cells, the first line names {} columns; mend the line", source_,
                                    at, cells.size(), names_.size()));
    cells_.push_back(std::move(cells));
    lines_.push_back(at);
  }
}

Csv Csv::from_json_lines(std::string_view text, std::string source) {
  Csv table;
  table.source_ = std::move(source);
  std::size_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size())), ++number;
    if (line.find_first_not_of(" \r") == std::string_view::npos) continue;
    const auto object = nlohmann::ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!object.is_object())
      throw FormatError(fmt::format("{}, line {}: is no JSON object; give one per line, or was the file cut off?",
                                    table.source_, number));
    std::vector<std::string> cells(table.names_.size());
    for (const auto& [name, value] : object.items()) {
      if (value.is_structured())
        throw FormatError(
            fmt::format("{}, line {}: {} is a list or an object; give numbers and texts", table.source_, number, name));
      const std::size_t at = table.column_or_end(name);
      if (at == table.names_.size()) table.names_.push_back(name);
      cells.resize(table.names_.size());
      if (!value.is_null()) cells[at] = value.is_string() ? value.get<std::string>() : value.dump();
    }
    table.cells_.push_back(std::move(cells)), table.lines_.push_back(number);
  }
  if (table.cells_.empty()) throw FormatError(fmt::format("{}: holds no object; give one per line", table.source_));
  for (auto& cells : table.cells_) cells.resize(table.names_.size());
  return table;
}

std::size_t Csv::column_or_end(const std::string& name) const {
  return std::size_t(std::find(names_.begin(), names_.end(), name) - names_.begin());
}

std::size_t Csv::column(const std::string& name) const {
  const std::size_t found = column_or_end(name);
  if (found == names_.size())
    throw FormatError(fmt::format("{}: has no column \"{}\"; it has: {}", source_, name, fmt::join(names_, ", ")));
  return found;
}

std::string Csv::place(std::size_t row, std::size_t column) const {
  return fmt::format("{}, line {}: {} = \"{}\"", source_, lines_[row], names_[column], cells_[row][column]);
}

double Csv::number(std::size_t row, std::size_t column) const {
  const std::string& cell = cells_[row][column];
  if (cell.empty()) return std::numeric_limits<double>::quiet_NaN();
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size())
    throw FormatError(fmt::format("{}, expected a number or nothing", place(row, column)));
  return value;
}

std::int64_t Csv::integer(std::size_t row, std::size_t column) const {
  const std::string& cell = cells_[row][column];
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size())
    throw FormatError(fmt::format("{}, expected an integer", place(row, column)));
  return value;
}

Csv read_csv(const std::filesystem::path& path) {
  const std::string text = read_text(path);
  return {path.extension() == ".gz" ? gunzip(text, path.string()) : text, path.string()};
}

std::string to_csv(const Dataset& table, const std::string& dim, const std::vector<std::string>& names) {
  const auto count = static_cast<std::size_t>(table.length(dim));
  std::vector<std::string> lines(count + 1);
  const char* separator = "";
  for (const std::string& name : names) {
    lines[0].append(separator).append(name);
    std::visit(
        [&](const auto& values) {
          for (std::size_t i = 0; i < count; ++i) lines[i + 1].append(separator).append(cell_of(values[i]));
        },
        table.at(name).values);
    separator = ",";
  }
  return fmt::format("{}\n", fmt::join(lines, "\n"));
}

void CsvTable::add(const std::string& column, double value) { add_cell(column, cell_of(value)); }
void CsvTable::add(const std::string& column, std::int64_t value) { add_cell(column, cell_of(value)); }
void CsvTable::add(const std::string& column, const std::string& value) { add_cell(column, cell_of(value)); }

void CsvTable::add_cell(const std::string& column, std::string cell) {
  const auto [at, is_new] = places_.try_emplace(column, names_.size());
  if (is_new) names_.push_back(column), columns_.emplace_back();
  columns_[at->second].push_back(std::move(cell));
}

std::string CsvTable::text() const {
  std::string text = fmt::format("{}\n", fmt::join(names_, ","));
  for (std::size_t j = 0; j < columns_.size(); ++j)
    EXPECTS(columns_[j].size() == rows(), "column {} has {} cells and {} has {}", names_[j], columns_[j].size(),
            names_[0], rows());
  for (std::size_t i = 0; i < rows(); ++i)
    for (std::size_t j = 0; j < columns_.size(); ++j)
      text.append(columns_[j][i]).append(j + 1 < columns_.size() ? "," : "\n");
  return text;
}

}  // namespace hone::theory
