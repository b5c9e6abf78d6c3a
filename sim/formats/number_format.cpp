#include "sim/formats/number_format.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "sim/formats/name_table.hpp"

namespace hone {
namespace {

constexpr NameTable<NumberFormat, 3> number_format_names{
    {{NumberFormat::fp32, "fp32"}, {NumberFormat::bf16, "bf16"}, {NumberFormat::fp16, "fp16"}}};

/// A finite x without the last `dropped` bits of its mantissa; a carry may go into the exponent, up to infinity.
float without_bits(float x, int dropped) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t odd = (bits >> dropped) & 1u, mask = (1u << dropped) - 1u;
  return std::bit_cast<float>((bits + (mask >> 1) + odd) & ~mask);
}

float to_bf16(float x) { return std::isfinite(x) ? without_bits(x, 16) : x; }

float to_fp16(float x) {
  constexpr float smallest_normal = 0x1p-14f, infinite_from = 65520;
  const float size = std::abs(x);
  if (size < smallest_normal) return std::copysign((size + 0.5f) - 0.5f, x);  // 0.5 has the quantum 2^-24 of subnormals
  if (size >= infinite_from) return std::copysign(std::numeric_limits<float>::infinity(), x);
  return std::isnan(x) ? x : without_bits(x, 13);
}

}  // namespace

std::string_view name_of(NumberFormat format) { return find_name(number_format_names, format); }
NumberFormat number_format_from_name(std::string_view name) {
  return find_value(number_format_names, "train_format", name);
}

float rounded_to(NumberFormat format, float x) {
  return format == NumberFormat::fp32 ? x : format == NumberFormat::bf16 ? to_bf16(x) : to_fp16(x);
}

void round_all(NumberFormat format, const float* from, Index count, float* to) {
  std::transform(from, from + count, to, [format](float x) { return rounded_to(format, x); });
}

}  // namespace hone
