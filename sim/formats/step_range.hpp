// One group of values and the grid they share: the step, where its codes lie, and how a value becomes a code and a
// code a value. All quantizers (round to nearest, GPTQ, training) go through these functions.
#pragma once

#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"
#include "sim/formats/format.hpp"
#include "sim/formats/rounding.hpp"

namespace hone {

/// Step and zero point of one group of values that share them. A code c in [code_min, code_max] stands for the value
/// stored_offset + stored_step·(c - zero_point), or for stored_step·element(c) when the format is a minifloat or a
/// list.
struct StepRange {
  double step = 0;  ///< 0 when all values are equal to `offset`: everything maps to it; < 0 only for signed_absmax
  double zero_point = 0;  ///< Grid::asymmetric only
  double code_min = 0;
  double code_max = 0;
  double offset = 0;  ///< value of code 0 on grids of which 0 is not a level
  double gain = 1;    ///< differs from 1 only for Grid::llm_qat
  /// Stored step and offset minus those that codes are taken with; differ from 0 only for ScaleKind::fp16_stored and
  /// double_quantized. A difference, for it is exact: a half is within a factor of two of what it is rounded from, or 0.
  double step_shift = 0, offset_shift = 0;
  Format format = Format::integer;  ///< integer also for ternary and mxint8, whose codes are integers; else codes
                                    ///< are signed magnitudes (minifloat, bnb_fp4) or places in the list (nf4)

  /// Value of the codes without a step of their own.
  double stored_offset() const { return offset + offset_shift; }
  /// Distance of the values of neighbouring codes.
  double stored_step() const { return step * gain + step_shift; }
};

/// The code of x: x/step clipped to the grid, then rounded.
/// ensures  code_min ≤ code ≤ code_max; zero_point when step = 0 (nf4: the place of 0)
template <class S>
S code(S x, const StepRange& range, Rounding rounding, double u);

/// The grid point that stands for x, by the arithmetic of fake_quantize.
/// math     nearest_even on minifloats: the even mantissa; without mantissa bits the larger magnitude (IEEE 754-2019);
///          on lists the midpoints decide, see ValueList. stochastic: one of the two neighbours, mean x
template <class S>
S quantize_value(S x, const StepRange& range, Rounding rounding, double u);

/// Replaces `count` consecutive values by quantize_value of each; stochastic rounding of values[i] takes draw
/// first + i·draw_stride.
template <class S>
void quantize_values(S* values, Index count, const StepRange& range, Rounding rounding, const Stream& stream,
                     Index first, Index draw_stride = 1);

extern template float code<float>(float, const StepRange&, Rounding, double);
extern template double code<double>(double, const StepRange&, Rounding, double);
extern template float quantize_value<float>(float, const StepRange&, Rounding, double);
extern template double quantize_value<double>(double, const StepRange&, Rounding, double);
extern template void quantize_values<float>(float*, Index, const StepRange&, Rounding, const Stream&, Index, Index);
extern template void quantize_values<double>(double*, Index, const StepRange&, Rounding, const Stream&, Index, Index);

}  // namespace hone
