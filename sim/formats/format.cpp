#include "sim/formats/format.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/formats/name_table.hpp"

namespace hone {
namespace {

constexpr unsigned minifloat_flag = 0x1000;
constexpr int most_exponent_bits = 8, most_mantissa_bits = 10;
constexpr double infinity = std::numeric_limits<double>::infinity();

constexpr NameTable<Format, 10> format_names{{{Format::integer, "integer"},
                                              {Format::ternary, "ternary"},
                                              {Format::mxint8, "mxint8"},
                                              {Format::nf4, "nf4"},
                                              {Format::bnb_fp4, "bnb_fp4"},
                                              {Format::e2m1, "e2m1"},
                                              {Format::e2m3, "e2m3"},
                                              {Format::e3m2, "e3m2"},
                                              {Format::e4m3, "e4m3"},
                                              {Format::e5m2, "e5m2"}}};

int exponent_bits(Format format) { return (static_cast<int>(format) >> 4) & 0xf; }
int mantissa_bits(Format format) { return static_cast<int>(format) & 0xf; }

/// Whether the top exponent holds infinity and NaNs, as in IEEE 754.
bool reserves_top_exponent(Format format) {
  return format == Format::e5m2 || exponent_bits(format) == most_exponent_bits ||
         (exponent_bits(format) == 5 && mantissa_bits(format) == 10);
}

/// The value of a magnitude (exponent field and mantissa), infinity and NaN apart.
double decode_magnitude(const MinifloatShape& shape, int magnitude) {
  const int field = magnitude >> shape.mantissa_bits, fraction = magnitude & ((1 << shape.mantissa_bits) - 1);
  const int significand = field == 0 ? fraction : fraction + (1 << shape.mantissa_bits);
  return std::ldexp(significand, std::max(field - 1, 0) + shape.min_exponent - shape.mantissa_bits);
}

/// The magnitude of the largest finite value.
int top_magnitude(Format format) {
  const int patterns = 1 << (exponent_bits(format) + mantissa_bits(format));
  if (reserves_top_exponent(format)) return patterns - (1 << mantissa_bits(format)) - 1;
  return format == Format::e4m3 ? patterns - 2 : patterns - 1;
}

/// Thresholds of a list. A midpoint itself must not count as below v where the upper value wins a tie, so there the
/// threshold is the next number below it.
ValueList prepared(std::vector<double> values, bool ties_shrink) {
  ValueList list;
  list.count = static_cast<int>(values.size());
  list.value.fill(values.back());
  std::copy(values.begin(), values.end(), list.value.begin());
  list.nearest.fill(infinity);
  list.half_away.fill(infinity);
  for (std::size_t i = 0; i + 1 < values.size(); ++i) {
    const double middle = (values[i] + values[i + 1]) / 2, before = std::nextafter(middle, -infinity);
    list.nearest[i] = ties_shrink && middle < 0 ? before : middle;
    list.half_away[i] = middle > 0 ? before : middle;
  }
  return list;
}

ValueList make_nf4() {
  return prepared(
      {-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
       -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
       0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0},
      false);
}

constexpr std::array<double, 8> bnb_fp4_twelfths{0, 0.0625, 2, 3, 4, 6, 8, 12};

ValueList make_bnb_fp4() {
  std::vector<double> values;
  for (const double v : bnb_fp4_twelfths) {
    values.push_back(v / 12);
    if (v != 0) values.push_back(-v / 12);
  }
  std::sort(values.begin(), values.end());
  return prepared(std::move(values), true);
}

}  // namespace

Format minifloat(int exponent_bits, int mantissa_bits) {
  EXPECTS(exponent_bits >= 2 && exponent_bits <= most_exponent_bits && mantissa_bits >= 0 &&
              mantissa_bits <= most_mantissa_bits,
          "format: a minifloat of {} exponent and {} mantissa bits; take 2-{} and 0-{}", exponent_bits, mantissa_bits,
          most_exponent_bits, most_mantissa_bits);
  return static_cast<Format>(minifloat_flag + 16 * static_cast<unsigned>(exponent_bits) +
                             static_cast<unsigned>(mantissa_bits));
}

MinifloatShape shape_of(Format format) {
  EXPECTS(is_minifloat(format), "format: {} is not a minifloat", name_of(format));
  MinifloatShape shape{.exponent_bits = exponent_bits(format), .mantissa_bits = mantissa_bits(format)};
  shape.min_exponent = 2 - (1 << (shape.exponent_bits - 1));
  shape.max = decode_magnitude(shape, top_magnitude(format));
  return shape;
}

const ValueList& list_of(Format format) {
  EXPECTS(is_listed(format), "format: {} is not a list of values", name_of(format));
  static const ValueList nf4 = make_nf4(), bnb_fp4 = make_bnb_fp4();
  return format == Format::nf4 ? nf4 : bnb_fp4;
}

double max_value(Format format) {
  if (is_minifloat(format)) return shape_of(format).max;
  EXPECTS(format != Format::integer, "format: integer has no values of its own");
  return format == Format::mxint8 ? 127 : 1;
}

int top_code(Format format) {
  if (is_minifloat(format)) return top_magnitude(format);
  if (codes_are_places(format)) return list_of(format).count - 1;
  return is_listed(format) ? list_of(format).count / 2 : static_cast<int>(max_value(format));
}

std::vector<double> levels(Format format) {
  if (is_listed(format)) {
    const ValueList& list = list_of(format);
    return {list.value.begin(), list.value.begin() + list.count};
  }
  const bool floating = is_minifloat(format);
  const MinifloatShape shape = floating ? shape_of(format) : MinifloatShape{};
  EXPECTS(shape.exponent_bits < most_exponent_bits, "format: {} has too many values to list", name_of(format));
  const int top = top_code(format);
  std::vector<double> out;
  for (int code = -top; code <= top; ++code)
    out.push_back(floating ? std::copysign(decode_magnitude(shape, std::abs(code)), code) : code);
  return out;
}

double storage_bits(Format format) {
  if (is_minifloat(format)) return 1 + exponent_bits(format) + mantissa_bits(format);
  EXPECTS(format != Format::integer, "format: the bits of integer codes are a choice of the quantizer");
  if (format == Format::ternary) return std::log2(3.0);
  return format == Format::mxint8 ? 8 : 4;
}

std::string name_of(Format format) {
  if (is_minifloat(format)) return fmt::format("e{}m{}", exponent_bits(format), mantissa_bits(format));
  return std::string(find_name(format_names, format));
}

Format format_from_name(std::string_view name) {
  const auto digit = [&](std::size_t i) { return name[i] >= '0' && name[i] <= '9'; };
  if ((name.size() == 4 || name.size() == 5) && name[0] == 'e' && name[2] == 'm' && digit(1) && digit(3)) {
    const int exponent = name[1] - '0';
    const bool long_mantissa = name.size() == 5 && digit(4);
    const int mantissa = long_mantissa ? 10 * (name[3] - '0') + (name[4] - '0') : name[3] - '0';
    const bool fits = exponent >= 2 && exponent <= most_exponent_bits && mantissa <= most_mantissa_bits;
    if (fits && long_mantissa == (name.size() == 5) && !(long_mantissa && name[3] == '0'))
      return minifloat(exponent, mantissa);
    throw OptionError(fmt::format("format = '{}' is not a minifloat of hone; take e2-e{} and m0-m{}, for example e4m3",
                                  name, most_exponent_bits, most_mantissa_bits));
  }
  return find_value(format_names, "format", name);
}

}  // namespace hone
