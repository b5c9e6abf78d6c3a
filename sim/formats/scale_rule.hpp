// How the step of a group of values is chosen: what range it must cover (ScaleRule) and which numbers may be a scale
// (ScaleKind). The arithmetic that turns a range into a grid is step_range's (quantizer.hpp).
#pragma once

#include <string_view>
#include <vector>

#include "sim/base/matrix.hpp"

namespace hone {

/// The range that the grid covers. Quantizer::rule_value is the parameter of the rule, 0 its default.
enum class ScaleRule {
  absmax,      ///< the extremes of the values; the mean of |x| where the format has a step of its own
  clip,        ///< the extremes times rule_value (0.9, QuaRot)
  percentile,  ///< the extremes, cut at ± the rule_value-th percentile (99.9) of |x|
  mse,         ///< the extremes times that p of 1, .99, … .21 with least Σ|q(x)-x|^rule_value (2; GPTQ takes 2.4)
  gaussian,    ///< the range of least mean squared error on a normal of the group's standard deviation
};

/// What a scale may be.
enum class ScaleKind {
  real,         ///< any number: range / largest element
  fp16,         ///< that number rounded to half precision before anything is rounded with it (AWQ); a minimum too
  fp16_stored,  ///< codes by the real scale, values by the scale, and the minimum, rounded to half precision (ggml's
                ///< blocks; GPTQ, whose scales are halved when the codes are packed)
  double_quantized,  ///< codes by the real scale, values by the scale in 8 bits: double_quantization.hpp (QLoRA)
  e8m0,              ///< MX: 2^(floor(log2 absmax) - floor(log2 largest element)); the absmax may saturate
  e8m0_ceil,         ///< the least power of two with which nothing saturates
  e4m3_two_level,    ///< NVFP4: g = 448·m/absmax of the tensor, m the largest element; s = e4m3(g·absmax/m), step s/g
};

/// Kinds whose codes come from the range / largest element, whatever is stored of it.
inline bool is_real(ScaleKind kind) {
  return kind == ScaleKind::real || kind == ScaleKind::fp16 || kind == ScaleKind::fp16_stored ||
         kind == ScaleKind::double_quantized;
}

std::string_view name_of(ScaleRule rule);
std::string_view name_of(ScaleKind kind);
/// errors  OptionError naming the nearest known name
ScaleKind scale_kind_from_name(std::string_view name);

/// Mean squared error of a standard normal on the grid step·levels, each value going to the nearest level.
/// math    1 - 2Σ l_i [φ(a_i)-φ(b_i)] + Σ l_i² [Φ(b_i)-Φ(a_i)], l_i = step·level i, (a_i, b_i) its cell
/// source  Max 1960, equation 1
double gaussian_error(const std::vector<double>& levels, double step);

/// The step of least gaussian_error.
/// expects  levels ascending, at least 2, not all of one sign
/// ensures  the global minimum among 200 brackets, to 1e-6 relative
/// cost     about 300·|levels| error functions; the caller keeps it
double gaussian_step(const std::vector<double>& levels);

/// The nearest-rank percentile of |x|: the least |x| that at least `percent` % of the values do not exceed.
/// shapes   values (rows,cols), consecutive rows `stride` apart
/// expects  0 < percent ≤ 100; at least one value; none NaN
template <class S>
S absolute_percentile(const S* values, Index rows, Index cols, Index stride, double percent);

extern template float absolute_percentile<float>(const float*, Index, Index, Index, double);
extern template double absolute_percentile<double>(const double*, Index, Index, Index, double);

}  // namespace hone
