// Rounding to bfloat16 and half precision against an oracle of integer arithmetic on the bits.
#include "sim/formats/number_format.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone::test {
namespace {

struct Shape {
  NumberFormat format;
  int mantissa_bits, min_exponent, max_exponent;
};
constexpr Shape shapes[] = {{NumberFormat::bf16, 7, -126, 127}, {NumberFormat::fp16, 10, -14, 15}};

/// x as an integer times 2^-149, rounded by long division to the quantum of its binade.
float oracle(const Shape& shape, float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t field = (bits >> 23) & 0xffu, fraction = bits & 0x7fffffu;
  if (field == 0xffu) return x;
  const std::uint64_t mantissa = field == 0 ? fraction : fraction | 0x800000u;
  const int unit = field == 0 ? -149 : int(field) - 150;  // x = ±mantissa·2^unit
  if (mantissa == 0) return x;
  const int exponent = unit + 63 - std::countl_zero(mantissa);
  const int quantum = std::max(exponent, shape.min_exponent) - shape.mantissa_bits;
  const int dropped = quantum - unit;
  std::uint64_t kept = mantissa;
  if (dropped > 40)
    kept = 0;
  else if (dropped > 0) {
    const std::uint64_t divisor = std::uint64_t(1) << dropped, rest = mantissa % divisor;
    kept = mantissa / divisor;
    kept += 2 * rest > divisor || (2 * rest == divisor && kept % 2 == 1);
  }
  double size = std::ldexp(double(kept), dropped > 0 ? quantum : unit);
  if (size >= std::ldexp(1.0, shape.max_exponent + 1)) size = INFINITY;
  return float(bits >> 31 ? -size : size);
}

bool same_bits(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

/// The value of a code: its lower bits are the mantissa, then follows the exponent.
double decoded(const Shape& shape, int code) {
  const int scale = 1 << shape.mantissa_bits, field = code / scale, fraction = code % scale;
  if (field == 0) return std::ldexp(fraction, shape.min_exponent - shape.mantissa_bits);
  return std::ldexp(scale + fraction, shape.min_exponent + field - 1 - shape.mantissa_bits);
}

TEST_CASE("number format: every midpoint of two numbers goes to the even one, and its neighbours to the nearer one") {
  for (const Shape& shape : shapes) {
    CAPTURE(name_of(shape.format));
    const int codes = (shape.max_exponent - shape.min_exponent + 2) << shape.mantissa_bits;  // up to the infinity
    int wrong = 0;
    for (int code = 0; code < codes; ++code) {
      const bool is_last = code + 1 == codes;
      const auto low = float(decoded(shape, code)), high = is_last ? INFINITY : float(decoded(shape, code + 1));
      const auto middle = float((decoded(shape, code) + decoded(shape, code + 1)) / 2);
      for (const float sign : {1.0f, -1.0f}) {
        const float even = code % 2 == 0 ? low : high;
        wrong += !same_bits(rounded_to(shape.format, sign * middle), sign * even);
        wrong += !same_bits(rounded_to(shape.format, sign * std::nextafter(middle, 0.0f)), sign * low);
        wrong += !same_bits(rounded_to(shape.format, sign * std::nextafter(middle, INFINITY)), sign * high);
        wrong += !same_bits(rounded_to(shape.format, sign * low), sign * low);
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("number format: random bit patterns are rounded as by integer arithmetic") {
  for (const Shape& shape : shapes) {
    CAPTURE(name_of(shape.format));
    int wrong = 0, subnormal = 0, infinite = 0;
    for (std::uint64_t i = 0; i < 500000; ++i) {
      const auto word = bits({3, Domain::test, 0}, i);
      // Every other one lies near the range of fp16: exponents from 2^-27 to 2^17.
      const std::uint32_t near = (word[1] & 0x807fffffu) | ((100 + word[2] % 45) << 23);
      const auto x = std::bit_cast<float>(i % 2 ? word[0] : near);
      const float y = rounded_to(shape.format, x);
      if (std::isnan(x)) {
        CHECK(std::isnan(y));
        continue;
      }
      wrong += !same_bits(y, oracle(shape, x));
      subnormal += y != 0 && std::abs(y) < std::ldexp(1.0f, shape.min_exponent);
      infinite += std::isinf(y);
    }
    CHECK(wrong == 0);
    CHECK(subnormal > 100);
    if (shape.format == NumberFormat::fp16) CHECK(infinite > 100);
  }
}

TEST_CASE("number format: infinities and NaN stay, fp32 changes nothing, names go both ways") {
  for (const NumberFormat format : {NumberFormat::fp32, NumberFormat::bf16, NumberFormat::fp16}) {
    CHECK(rounded_to(format, INFINITY) == INFINITY);
    CHECK(rounded_to(format, -INFINITY) == -INFINITY);
    CHECK(std::isnan(rounded_to(format, std::numeric_limits<float>::quiet_NaN())));
    CHECK(number_format_from_name(name_of(format)) == format);
  }
  CHECK(rounded_to(NumberFormat::fp32, 0.1f) == 0.1f);
  CHECK_THROWS_WITH_AS(number_format_from_name("bf61"), doctest::Contains("did you mean 'bf16'?"), OptionError);
  std::vector<float> values = {1.0f / 3, 1e-7f, 7e4f};
  round_all(NumberFormat::fp16, values.data(), 3, values.data());
  CHECK(values == std::vector<float>{0.333251953125f, 0x1p-23f, INFINITY});
}

}  // namespace
}  // namespace hone::test
