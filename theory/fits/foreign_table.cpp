#include "theory/fits/foreign_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/gzip.hpp"

namespace fs = std::filesystem;

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// A symbol, the least value that makes sense of it, and where it goes.
struct Symbol {
  const char* name;
  double least;
  const char* hint;
  double Point::*place;
};

constexpr std::array<Symbol, 9> numbers = {
    {{"N", 10, "a model has more parameters; say what a 1 means, such as --units N=1e9", &Point::N},
     {"D", 10, "a training has more tokens; say what a 1 means, such as --units D=1e9", &Point::D},
     {"P", 0.5, "bits per weight are meant", &Point::P},
     {"P_w", 0.5, "bits per weight are meant", &Point::P_w},
     {"P_a", 0.5, "bits per activation are meant", &Point::P_a},
     {"P_kv", 0.5, "bits per cached number are meant", &Point::P_kv},
     {"group", 1, "weights per scale are meant", &Point::group},
     {"E", 0, "exponent bits are meant", &Point::exponent_bits},
     {"M", 0, "mantissa bits are meant", &Point::mantissa_bits}}};

bool is_symbol(const std::string& name) {
  for (const char* other : {"y", "C", "sigma", "run"})
    if (name == other) return true;
  return std::any_of(numbers.begin(), numbers.end(), [&](const Symbol& s) { return name == s.name; });
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::optional<double> number_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

/// Cells of one kind of number, in its unit.
class Cells {
 public:
  Cells(const Csv& table, const ForeignColumns& how, const std::string& symbol) : table_(&table), symbol_(symbol) {
    const auto named = how.columns.find(symbol);
    if (named == how.columns.end()) return;
    column_ = table.column(named->second);
    if (const auto unit = how.units.find(symbol); unit != how.units.end()) unit_ = unit->second;
  }
  bool is_named() const { return column_.has_value(); }

  /// errors  FormatError when it is missing, not finite, or not above `least`
  double at(std::size_t row, double least, const std::string& hint) const {
    const double value = unit_ * table_->number(row, *column_);
    if (std::isfinite(value) && value > least) return value;
    throw FormatError(
        fmt::format("{}: {} must be a finite number above {:g}{}; mend the cell, or leave the row out by "
                    "--keep",
                    table_->place(row, *column_), symbol_, least, hint.empty() ? "" : " (" + hint + ")"));
  }

 private:
  const Csv* table_;
  std::string symbol_;
  std::optional<std::size_t> column_;
  double unit_ = 1;
};

void expect_symbols(const ForeignColumns& how, LawKind kind) {
  for (const auto& [symbol, column] : how.columns)
    if (!is_symbol(symbol))
      throw OptionError(fmt::format(
          "--columns {}={}: no such symbol (known: y N D C P P_w P_a P_kv group E M sigma run)", symbol, column));
  for (const auto& [symbol, unit] : how.units)
    if (!how.columns.contains(symbol) || symbol == "run" || !(unit > 0))
      throw OptionError(
          fmt::format("--units {}={:g}: give a positive factor of a column named in --columns", symbol, unit));
  std::vector<std::string> missing;
  std::vector<std::string> wanted = symbols_of(kind);
  wanted.insert(wanted.begin(), "y");
  for (const std::string& symbol : wanted)
    if (!how.columns.contains(symbol) && !(symbol == "D" && how.columns.contains("C"))) missing.push_back(symbol);
  if (!missing.empty())
    throw OptionError(fmt::format("law {} needs {}; name {} in --columns, such as {}=COLUMN", law(kind).key,
                                  fmt::join(wanted, " "), fmt::join(missing, " "), missing[0]));
  if (how.columns.contains("D") && how.columns.contains("C"))
    throw OptionError("--columns: D and C both give the tokens; name one of them");
}

void widen(std::map<std::string, std::pair<double, double>>& ranges, const std::string& symbol, double value) {
  auto& [low, high] = ranges.try_emplace(symbol, value, value).first->second;
  low = std::min(low, value), high = std::max(high, value);
}

}  // namespace

Condition::Condition(const std::string& text) : text_(text) {
  const auto at = text.find_first_of("<>=!");
  const auto end = at == std::string::npos ? at : text.find_first_not_of("<>=!", at);
  if (end != std::string::npos) {
    column_ = trimmed(text.substr(0, at)), sign_ = text.substr(at, end - at), value_ = trimmed(text.substr(end));
    number_ = number_of(value_).value_or(nan);
    static const std::set<std::string> ordering{"<", "<=", ">", ">="}, equality{"==", "!="};
    if (!column_.empty() && !value_.empty() &&
        (equality.contains(sign_) || (ordering.contains(sign_) && std::isfinite(number_))))
      return;
  }
  throw OptionError(
      fmt::format("condition \"{}\": give a column, < <= > >= == or !=, and a number, such as \"loss <= 4\"", text));
}

bool Condition::holds(const Csv& table, std::size_t row) const {
  const std::size_t column = table.column(column_);
  if (std::isnan(number_)) return (table.text(row, column) == value_) == (sign_ == "==");
  const double x = table.number(row, column);
  if (sign_ == "<") return x < number_;
  if (sign_ == "<=") return x <= number_;
  if (sign_ == ">") return x > number_;
  if (sign_ == ">=") return x >= number_;
  return (x == number_) == (sign_ == "==");
}

Csv read_foreign(const fs::path& path) {
  const bool is_packed = path.extension() == ".gz";
  const fs::path name = is_packed ? path.stem() : path;
  const std::string text = is_packed ? gunzip(read_text(path), path.string()) : read_text(path);
  return name.extension() == ".jsonl" ? Csv::from_json_lines(text, path.string()) : Csv(text, path.string());
}

std::vector<std::string> symbols_of(LawKind kind) {
  switch (kind) {
    case LawKind::ptq_calibration: return {"P"};
    case LawKind::total_bits: return {"N", "P"};
    case LawKind::ptq_bit_difference:
    case LawKind::ptq_robust:
    case LawKind::unified: return {"N", "D", "P", "P_w"};
    case LawKind::sharpness_power:
    case LawKind::sharpness_saturating:
    case LawKind::sharpness_saturating_tokens:
    case LawKind::chinchilla:
    case LawKind::shannon: return {"N", "D"};
    case LawKind::train_exponential:
    case LawKind::train_additive:
    case LawKind::train_logistic:
    case LawKind::train_tail: return {"N", "D", "P_w"};
    case LawKind::qat_group: return {"N", "D", "group"};
    case LawKind::capybara: return {"N", "D", "group", "E", "M"};
    default: return {"N", "D", "P"};
  }
}

ForeignRows foreign_rows(const Csv& table, const ForeignColumns& how, LawKind kind) {
  expect_symbols(how, kind);
  const Cells y(table, how, "y"), compute(table, how, "C"), sigma(table, how, "sigma");
  const auto run = how.columns.find("run");
  const bool is_raw = law(kind).scale == Scale::raw;
  ForeignRows found;
  std::map<std::string, std::int64_t> runs;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (!std::all_of(how.keep.begin(), how.keep.end(), [&](const Condition& c) { return c.holds(table, row); })) {
      ++found.left_out;
      continue;
    }
    Observation o;
    for (const Symbol& s : numbers)
      if (const Cells cells(table, how, s.name); cells.is_named()) o.point.*s.place = cells.at(row, s.least, s.hint);
    if (compute.is_named()) o.point.D = compute.at(row, 0, "FLOP of training") / (6 * o.point.N);
    o.y = y.at(row, is_raw ? -std::numeric_limits<double>::infinity() : 0, is_raw ? "" : "its logarithm is fitted");
    o.log_y = o.y > 0 ? std::log(o.y) : nan;
    const double error = sigma.is_named() ? sigma.at(row, 0, "a standard deviation of y") : nan;
    o.log_sigma = sigma.is_named() ? error / std::abs(o.y) : 1;
    o.sigma = sigma.is_named() ? error : 1;
    const std::string name =
        run == how.columns.end() ? fmt::format("{}", row) : table.text(row, table.column(run->second));
    o.cell = o.seed = runs.try_emplace(name, std::int64_t(runs.size())).first->second;
    for (const Symbol& s : numbers)
      if (how.columns.contains(s.name)) widen(found.ranges, s.name, o.point.*s.place);
    if (compute.is_named()) widen(found.ranges, "D", o.point.D);
    widen(found.ranges, "y", o.y);
    found.rows.push_back(o), found.places.push_back(row);
  }
  found.runs = int(runs.size());
  return found;
}

}  // namespace hone::theory
