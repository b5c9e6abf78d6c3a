// The numbers that training computes with, without a scale: single precision, bfloat16 and half precision.
#pragma once

#include <cstdint>
#include <string_view>

#include "sim/base/matrix.hpp"

namespace hone {

enum class NumberFormat : std::uint8_t {
  fp32,
  bf16,  ///< 8 exponent and 7 mantissa bits: the range of fp32
  fp16,  ///< IEEE 754 binary16: 5 and 10 bits, subnormals, at most 65504
};

std::string_view name_of(NumberFormat format);
/// errors  OptionError naming the nearest known name
NumberFormat number_format_from_name(std::string_view name);

/// The number of `format` that is nearest to x, to even mantissa in the middle of two.
/// math     IEEE 754 roundTiesToEven: subnormals are kept; from the middle between the largest number and the next power
///          of two on it is an infinity; a NaN stays one
/// source   bfloat16: Kalamkar et al. 2019, section 2; binary16: IEEE 754-2019, sections 3.3, 4.3
float rounded_to(NumberFormat format, float x);

/// rounded_to of `count` values; `to` may be `from`.
void round_all(NumberFormat format, const float* from, Index count, float* to);

}  // namespace hone
