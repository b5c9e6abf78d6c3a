// Comma-separated values (RFC 4180): columns with names in the first line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hone {
class Dataset;
}

namespace hone::theory {

/// A table of texts, with where it came from for messages.
class Csv {
 public:
  /// Lines that begin with # before the names are comments.
  /// errors  FormatError naming the source and the line: an open quote, a line of another length, two columns of one
  ///         name, no line at all
  Csv(std::string_view text, std::string source);
  /// An object of numbers, texts, truth values and nulls per line, as pandas writes it; the columns are the names of all
  /// objects, and what an object lacks is an empty cell.
  /// errors  FormatError naming the source and the line
  static Csv from_json_lines(std::string_view text, std::string source);

  std::size_t rows() const { return cells_.size(); }
  const std::string& source() const { return source_; }
  bool has(const std::string& name) const { return column_or_end(name) < names_.size(); }
  /// errors  FormatError listing the columns there are
  std::size_t column(const std::string& name) const;
  const std::string& text(std::size_t row, std::size_t column) const { return cells_[row][column]; }
  /// The cell as a number; NaN where it is empty.
  /// errors  FormatError naming the line, the column and the cell
  double number(std::size_t row, std::size_t column) const;
  /// The same as an integer.
  std::int64_t integer(std::size_t row, std::size_t column) const;

  /// "source, line 3: column = "cell"", for messages.
  std::string place(std::size_t row, std::size_t column) const;

 private:
  Csv() = default;
  std::size_t column_or_end(const std::string& name) const;

  std::string source_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::string>> cells_;
  std::vector<std::size_t> lines_;  ///< of each row in the text
};

/// Reads NAME.csv or NAME.csv.gz.
/// errors  IoError, FormatError
Csv read_csv(const std::filesystem::path& path);

/// Columns of one dimension as CSV, in the order given: a line of names, then the rows; lines end in \n. Numbers have the
/// fewest digits that give the same float64 back; NaN is an empty cell.
/// expects  every name is a column of the table
std::string to_csv(const Dataset& table, const std::string& dim, const std::vector<std::string>& names);

/// A table under construction, cell by cell. Columns stand in the order of their first cells, and are written as by
/// to_csv.
class CsvTable {
 public:
  void add(const std::string& column, double value);
  void add(const std::string& column, std::int64_t value);
  void add(const std::string& column, const std::string& value);

  std::size_t rows() const { return columns_.empty() ? 0 : columns_[0].size(); }
  /// expects  every column has as many cells
  std::string text() const;

 private:
  void add_cell(const std::string& column, std::string cell);

  std::map<std::string, std::size_t> places_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::string>> columns_;
};

}  // namespace hone::theory
