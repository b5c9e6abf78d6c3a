#include "sim/layers/quantizer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include "sim/base/error.hpp"

namespace hone {
namespace {

template <class Value, std::size_t count>
using NameTable = std::array<std::pair<Value, std::string_view>, count>;

constexpr NameTable<Grid, 6> grid_names{{{Grid::restricted, "restricted"},
                                         {Grid::full, "full"},
                                         {Grid::midrise, "midrise"},
                                         {Grid::no_clip, "no_clip"},
                                         {Grid::signed_absmax, "signed_absmax"},
                                         {Grid::asymmetric, "asymmetric"}}};
constexpr NameTable<Rounding, 3> rounding_names{{{Rounding::nearest_even, "nearest_even"},
                                                 {Rounding::half_away, "half_away"},
                                                 {Rounding::stochastic, "stochastic"}}};
constexpr NameTable<Granularity, 3> granularity_names{
    {{Granularity::tensor, "tensor"}, {Granularity::row, "row"}, {Granularity::group, "group"}}};

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

template <class Value, std::size_t count>
std::string_view find_name(const NameTable<Value, count>& table, Value value) {
  for (const auto& [known, name] : table)
    if (known == value) return name;
  throw ContractError(fmt::format("quantizer: no name for enumerator {}", static_cast<int>(value)));
}

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

template <class S>
struct Extremes {
  S low = 0;   ///< at most 0
  S high = 0;  ///< at least 0
  bool finite = true;
};

/// Extremes of the values and of 0. The test for NaN and infinity is a sum of 0·x, which is 0 or
/// NaN in any order, so that the loop has no branch and vectorizes.
template <class S>
Extremes<S> extremes(const S* values, Index rows, Index cols, Index stride) {
  S low = 0, high = 0, poison = 0;
  for (Index r = 0; r < rows; ++r) {
    const S* row = values + r * stride;
#pragma omp simd reduction(min : low) reduction(max : high) reduction(+ : poison)
    for (Index c = 0; c < cols; ++c) {
      low = row[c] < low ? row[c] : low;
      high = row[c] > high ? row[c] : high;
      poison += row[c] * S(0);
    }
  }
  return {low, high, poison == S(0)};
}

template <class S>
[[noreturn]] void refuse_non_finite(const S* values, Index rows, Index cols, Index stride) {
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < cols; ++c)
      EXPECTS(std::isfinite(values[r * stride + c]),
              "quantizer: the value at row {}, column {} of a group of {} x {} is {}; quantize "
              "finite values only",
              r, c, rows, cols, values[r * stride + c]);
  throw ContractError("quantizer: a non-finite value vanished between two passes over the same group");
}

/// A grid in the scalar of the data, with the zero point folded into the clip range.
template <class S>
struct Clip {
  explicit Clip(const StepRange& range)
      : step(static_cast<S>(range.step)),
        low(static_cast<S>(range.code_min - range.zero_point)),
        high(static_cast<S>(range.code_max - range.zero_point)) {}

  /// Division, not a product with 1/step: the two differ in the last bit and thus on ties.
  S operator()(S x) const {
    const S v = x / step;
    return v < low ? low : (v > high ? high : v);
  }

  S step, low, high;
};

template <class S>
S round_up_with_chance(S v, double u) {
  const S below = std::floor(v);
  return below + static_cast<S>(u < static_cast<double>(v - below));
}

template <class S>
S rounded(S v, Rounding rounding, double u) {
  if (rounding == Rounding::nearest_even) return std::nearbyint(v);
  if (rounding == Rounding::half_away) return std::round(v);
  return round_up_with_chance(v, u);
}

/// Quantizes one row of a group; `first` is the number of the draw of its first value.
template <class S>
void quantize_row(S* row, Index cols, const Clip<S>& clip, Rounding rounding, const Stream& stream, Index first) {
  switch (rounding) {
    case Rounding::nearest_even:
      for (Index c = 0; c < cols; ++c) row[c] = std::nearbyint(clip(row[c])) * clip.step;
      return;
    case Rounding::half_away:
      for (Index c = 0; c < cols; ++c) row[c] = std::round(clip(row[c])) * clip.step;
      return;
    case Rounding::stochastic:
      for (Index c = 0; c < cols; ++c) {
        const double u = uniform(stream, static_cast<std::uint64_t>(first + c));
        row[c] = round_up_with_chance(clip(row[c]), u) * clip.step;
      }
      return;
  }
}

}  // namespace

std::string_view name_of(Grid grid) { return find_name(grid_names, grid); }
std::string_view name_of(Rounding rounding) { return find_name(rounding_names, rounding); }
std::string_view name_of(Granularity granularity) { return find_name(granularity_names, granularity); }

Grid grid_from_name(std::string_view name) { return find_value(grid_names, "grid", name); }
Rounding rounding_from_name(std::string_view name) { return find_value(rounding_names, "rounding", name); }
Granularity granularity_from_name(std::string_view name) { return find_value(granularity_names, "granularity", name); }

void Quantizer::validate(std::string_view where) const {
  std::vector<std::string> problems;
  if (bits < 1 || bits > 16)
    problems.push_back(fmt::format("{}.bits = {} is outside 1..16; use 2..8, or 16 for full precision", where, bits));
  if (bits == 1 && grid != Grid::asymmetric)
    problems.push_back(
        fmt::format("{}.bits = 1 leaves grid '{}' without two-sided levels; use bits = 2 or more, or "
                    "grid = 'asymmetric'",
                    where, name_of(grid)));
  if (granularity == Granularity::group && group < 1)
    problems.push_back(
        fmt::format("{}.group = {} with granularity 'group'; give a group of 1 or more columns", where, group));
  if (granularity != Granularity::group && group != 0)
    problems.push_back(
        fmt::format("{}.group = {} is not read with granularity '{}'; remove it or set granularity = "
                    "'group'",
                    where, group, name_of(granularity)));
  if (!problems.empty()) throw OptionError(joined(problems, "; "));
}

template <class S>
StepRange step_range(const S* values, Index rows, Index cols, Index stride, const Quantizer& q) {
  EXPECTS(q.bits >= 1 && q.bits < 16, "quantizer: no grid of {} bits", q.bits);
  const Extremes<S> e = extremes(values, rows, cols, stride);
  if (!e.finite) refuse_non_finite(values, rows, cols, stride);
  const S absmax = std::max(-e.low, e.high);
  const double half = std::ldexp(1.0, q.bits - 1);
  StepRange range{.code_min = -half, .code_max = half - 1};
  const S levels = static_cast<S>(half), top = static_cast<S>(half - 1), span = static_cast<S>(2 * half - 1);
  S step = 0;
  switch (q.grid) {
    case Grid::restricted: range.code_min = 1 - half; [[fallthrough]];
    case Grid::full: step = absmax / top; break;
    case Grid::midrise:
      step = absmax / (span / 2);  // equals 2·absmax/span, without its overflow
      break;
    case Grid::no_clip: step = std::max(-e.low / levels, e.high / top); break;
    case Grid::signed_absmax: step = (-e.low >= e.high ? e.low : e.high) / -levels; break;
    case Grid::asymmetric:
      range.code_min = 0;
      range.code_max = 2 * half - 1;
      step = (e.high - e.low) / span;
      if (step > 0) range.zero_point = static_cast<double>(std::nearbyint(-e.low / step));
      break;
  }
  EXPECTS(std::isfinite(step), "quantizer: the step of values in [{}, {}] overflows; rescale them", e.low, e.high);
  range.step = static_cast<double>(step);
  return range;
}

template <class S>
S code(S x, const StepRange& range, Rounding rounding, double u) {
  const S zero_point = static_cast<S>(range.zero_point);
  if (range.step == 0) return zero_point;
  return rounded(Clip<S>(range)(x), rounding, u) + zero_point;
}

template <class S>
S quantize_value(S x, const StepRange& range, Rounding rounding, double u) {
  if (range.step == 0) return 0;
  const Clip<S> clip(range);
  return rounded(clip(x), rounding, u) * clip.step;
}

template <class S>
void fake_quantize(MatRef<S> x, const Quantizer& q, Index rows_per_tensor, std::vector<double>* steps) {
  if (steps != nullptr) steps->clear();
  if (!q.is_on()) return;
  const Stream stream{q.seed, Domain::rounding, q.substream};
  for_each_group(q, x.rows(), x.cols(), rows_per_tensor, [&](const StepGroup& g) {
    S* begin = x.data() + g.row * x.outerStride() + g.col;
    const StepRange range = step_range<S>(begin, g.rows, g.cols, x.outerStride(), q);
    if (steps != nullptr) steps->push_back(range.step);
    const Clip<S> clip(range);
    for (Index r = 0; r < g.rows; ++r) {
      S* row = begin + r * x.outerStride();
      if (range.step == 0)
        std::fill(row, row + g.cols, S(0));
      else
        quantize_row(row, g.cols, clip, q.rounding, stream, (g.row + r) * x.cols() + g.col);
    }
  });
}

double bits_per_weight(const Quantizer& q, Index rows, Index cols, int scale_bits, std::optional<int> zero_bits) {
  if (!q.is_on()) return 16;
  EXPECTS(rows > 0 && cols > 0, "bits per weight of {} x {} weights", rows, cols);
  const bool has_zero_point = q.grid == Grid::asymmetric;
  const int metadata = scale_bits + (has_zero_point ? zero_bits.value_or(q.bits) : 0);
  Index groups = 0;
  for_each_group(q, rows, cols, rows, [&](const StepGroup&) { ++groups; });
  return q.bits + static_cast<double>(metadata) * static_cast<double>(groups) / static_cast<double>(rows * cols);
}

template StepRange step_range<float>(const float*, Index, Index, Index, const Quantizer&);
template StepRange step_range<double>(const double*, Index, Index, Index, const Quantizer&);
template float code<float>(float, const StepRange&, Rounding, double);
template double code<double>(double, const StepRange&, Rounding, double);
template float quantize_value<float>(float, const StepRange&, Rounding, double);
template double quantize_value<double>(double, const StepRange&, Rounding, double);
template void fake_quantize<float>(MatRef<float>, const Quantizer&, Index, std::vector<double>*);
template void fake_quantize<double>(MatRef<double>, const Quantizer&, Index, std::vector<double>*);

}  // namespace hone
