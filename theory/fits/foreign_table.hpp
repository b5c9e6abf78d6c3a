// Tables of other people as observations of a law: which column is which number, in which unit, and which rows count.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "theory/fits/fit.hpp"
#include "theory/rows/csv.hpp"

namespace hone::theory {

/// A condition on the rows of a table, such as "loss <= 4" or "family == pythia".
class Condition {
 public:
  /// errors  OptionError unless it is a column, one of < <= > >= == !=, and a number or, for the last two, a text
  explicit Condition(const std::string& text);
  /// errors  FormatError when the table has no such column, or a cell that is compared by size is no number
  bool holds(const Csv& table, std::size_t row) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_, column_, sign_, value_;
  double number_ = 0;  ///< NaN: value_ is compared as a text
};

/// How a table is read. Symbols are y (the measured value), N, D, C (training FLOP, from which D = C/(6 N)), P, P_w, P_a,
/// P_kv, group, E and M (exponent and mantissa bits), sigma (standard deviation of y) and run (rows of one training).
struct ForeignColumns {
  std::map<std::string, std::string> columns;  ///< symbol to column
  std::map<std::string, double> units;         ///< symbol to what a 1 in the table means
  std::vector<Condition> keep;                 ///< rows that do not satisfy all of them are left out
};

struct ForeignRows {
  std::vector<Observation> rows;
  std::vector<std::size_t> places;  ///< of each observation in the table
  int left_out = 0;                 ///< by the conditions
  int runs = 0;                     ///< groups of rows that are left out together; without a column, each row is one
  std::map<std::string, std::pair<double, double>> ranges;  ///< least and largest value of each symbol
};

/// Reads NAME.csv, NAME.jsonl (an object of numbers and texts per line), and both packed as .gz. Lines of a CSV file before
/// its names that begin with # are comments.
/// errors  IoError; FormatError naming the file, the line and the field
Csv read_foreign(const std::filesystem::path& path);

/// Symbols that a law needs beside y.
std::vector<std::string> symbols_of(LawKind kind);

/// The rows of a table as observations of a law.
/// ensures  sigma 1 in ln y, or in y for laws on the raw scale, where no column gives it
/// errors   OptionError naming a symbol that is not known or that the law needs; FormatError naming the line of a number
///          that is missing, not finite, not positive, or below what its symbol can be in the unit given
ForeignRows foreign_rows(const Csv& table, const ForeignColumns& how, LawKind kind);

}  // namespace hone::theory
