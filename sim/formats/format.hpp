// Number formats as data: what values an element can take before its scale is applied. Minifloats follow from two
// numbers by one formula; NF4 and the 4-bit float of bitsandbytes are short lists.
// source  OCP Microscaling Formats v1.0 (2023), sections 5.3-5.4; Dettmers et al. 2023 (QLoRA), appendix E
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

/// An element format. A minifloat with E exponent and M mantissa bits is the value 0x1000 + 0x10·E + M, so that every
/// pair is a Format although only those with a standard have an enumerator.
enum class Format : std::uint16_t {
  integer,  ///< integer codes as Quantizer::bits and Quantizer::grid say
  ternary,  ///< codes -1, 0, 1; its own step is the mean of |x|, at least 1e-5 (BitNet b1.58)
  mxint8,   ///< codes -127 … 127; with a power-of-two scale the 1.6 fixed point of MX, at most 1 + 63/64
  nf4,      ///< 16 quantiles of a normal in [-1, 1]; not symmetric
  bnb_fp4,  ///< ±{0, 1/16, 2, 3, 4, 6, 8, 12}/12: the "fp4" of bitsandbytes, which is not e2m1
  e2m1 = 0x1021,
  e2m3 = 0x1023,
  e3m2 = 0x1032,
  e4m3 = 0x1043,  ///< the FN variant: no infinity, one NaN, at most 448
  e5m2 = 0x1052,  ///< with infinity and NaNs, at most 57344
};

/// The format of 1 sign, E exponent and M mantissa bits.
/// expects  2 ≤ E ≤ 8, 0 ≤ M ≤ 10
Format minifloat(int exponent_bits, int mantissa_bits);
inline bool is_minifloat(Format format) { return (static_cast<unsigned>(format) & 0x1000) != 0; }

/// What a minifloat can represent: m·2^e with integer |m| ≤ 2^(M+1), e ≥ min_exponent - M, up to ±max.
/// math     bias 2^(E-1)-1, subnormals; codes of infinity and NaN only where a standard has them: e4m3, e5m2,
///          e5m10 (half precision) and E = 8 (truncated single precision, e8m7 being bfloat16)
struct MinifloatShape {
  int exponent_bits = 0, mantissa_bits = 0;
  int min_exponent = 0;  ///< of the smallest normal value
  double max = 0;
};
/// expects  is_minifloat(format)
MinifloatShape shape_of(Format format);

/// A format that is a list of values in [-1, 1], ready for a search of four comparisons: v is nearest to
/// value[number of thresholds below v].
struct ValueList {
  int count = 0;                              ///< values in use, at most 16
  std::array<double, 16> value;               ///< ascending; the last one repeated up to 16
  std::array<double, 15> nearest, half_away;  ///< thresholds; they differ on exact midpoints alone, where nearest
                                              ///< goes down on nf4 and to the smaller magnitude on bnb_fp4
};
inline bool is_listed(Format format) { return format == Format::nf4 || format == Format::bnb_fp4; }
/// Whether codes are places in the list, as where it is not symmetric; else they are signed magnitudes.
inline bool codes_are_places(Format format) { return format == Format::nf4; }
/// expects  is_listed(format)
const ValueList& list_of(Format format);

/// Largest value of an element; 127 for mxint8, whose codes are integers.
/// expects  format is not integer
double max_value(Format format);

/// The largest code: how many values lie above 0 (minifloat, bnb_fp4), 127 (mxint8), 1 (ternary), 15 (nf4).
/// expects  format is not integer
int top_code(Format format);

/// All values of a format in ascending order, each once.
/// expects  format is not integer; minifloats with E < 8
std::vector<double> levels(Format format);

/// Bits that one element takes without its scale.
/// math     log2(3) for ternary
/// expects  format is not integer
double storage_bits(Format format);

/// "integer", "nf4", "e4m3" …
std::string name_of(Format format);
/// Reads also "e3m4": a minifloat of 2-8 exponent and 0-10 mantissa bits.
/// errors  OptionError naming the nearest known name
Format format_from_name(std::string_view name);

}  // namespace hone
