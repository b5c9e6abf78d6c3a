// Fake quantization: every value is replaced by the nearest point of a grid, and stays a float. The
// same functions serve weights (rows = output channels), activations (rows = tokens) and the KV
// cache.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/gemm.hpp"
#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"

namespace hone {

/// Integer grids; b bits, step s. The name is part of every recorded result, for equal bit labels
/// do not mean equal levels: restricted and full are ternary at 2 bits, the others have 4 levels.
enum class Grid {
  restricted,     ///< s = absmax/(2^(b-1)-1), codes ±(2^(b-1)-1)
  full,           ///< same step, codes -2^(b-1) … 2^(b-1)-1
  midrise,        ///< s = 2·absmax/(2^b-1), codes -2^(b-1) … 2^(b-1)-1
  no_clip,        ///< s = max(-min/2^(b-1), max/(2^(b-1)-1)), codes as full
  signed_absmax,  ///< s = m/(-2^(b-1)), m the signed extreme (of two equal ones the negative),
                  ///< codes as full; s may be negative
  asymmetric,     ///< s = (max-min)/(2^b-1) with 0 forced into the range; zero point -min/s, rounded
                  ///< to nearest even whatever the rounding of the values
};

enum class Rounding { nearest_even, half_away, stochastic };

/// What shares one step. Rows are output channels for weights and tokens for activations.
enum class Granularity {
  tensor,  ///< weights: the whole matrix; activations: one sequence, so that batches do not mix
  row,     ///< weights: per output channel; activations: per token; KV: per token and head
  group,   ///< `group` consecutive columns of a row, the last group may be shorter
};

/// One quantizer as a value. bits = 16 means "not quantized": the reference of every sweep.
struct Quantizer {
  int bits = 16;
  Grid grid = Grid::restricted;
  Granularity granularity = Granularity::row;
  Index group = 0;  ///< columns per group, only for Granularity::group
  Rounding rounding = Rounding::nearest_even;
  std::uint64_t seed = 0;       ///< of stochastic rounding
  std::uint32_t substream = 0;  ///< of stochastic rounding: the matrix or site it acts on

  bool is_on() const { return bits < 16; }
  /// Refuses a quantizer without a usable grid. One bit needs Grid::asymmetric: at b = 1 the other
  /// grids lack a level on one side of 0, or on both.
  /// errors  OptionError listing every wrong field as WHERE.FIELD with its value and the fix
  void validate(std::string_view where) const;
};

/// Step and zero point of one group of values that share them. The codes of the grid are integers
/// in [code_min, code_max]; code c stands for the value step·(c - zero_point).
struct StepRange {
  double step = 0;        ///< 0 when all values are 0: everything maps to 0; < 0 only for signed_absmax
  double zero_point = 0;  ///< asymmetric only
  double code_min = 0;
  double code_max = 0;
};

std::string_view name_of(Grid grid);
std::string_view name_of(Rounding rounding);
std::string_view name_of(Granularity granularity);
/// errors  OptionError naming the nearest known name
Grid grid_from_name(std::string_view name);
Rounding rounding_from_name(std::string_view name);
Granularity granularity_from_name(std::string_view name);

/// The grid of a group of values, from their extremes; computed in S: the step is exact in S.
/// shapes   values (rows,cols), consecutive rows `stride` apart
/// expects  all values finite, q.is_on()
/// ensures  step 0 when all values are 0 or so small that the step underflows
/// errors   ContractError naming the first value that is NaN or infinite
template <class S>
StepRange step_range(const S* values, Index rows, Index cols, Index stride, const Quantizer& q);

/// The integer code of x: x/step clipped to the grid, then rounded.
/// math     stochastic: floor(v) + (u < v - floor(v)); `u`, a uniform draw, is read by it alone
/// ensures  code_min ≤ code ≤ code_max; zero_point when step = 0
template <class S>
S code(S x, const StepRange& range, Rounding rounding, double u);

/// The grid point that stands for x: step·(code - zero_point), by the arithmetic of fake_quantize.
template <class S>
S quantize_value(S x, const StepRange& range, Rounding rounding, double u);

/// A window of a matrix whose values share one step.
struct StepGroup {
  Index row = 0, col = 0, rows = 0, cols = 0;
};

/// Calls body(StepGroup) for each group of a (rows,cols) matrix, in row-major order.
/// expects  for Granularity::tensor: rows_per_tensor ≥ 1 and a divisor of rows
template <class Body>
void for_each_group(const Quantizer& q, Index rows, Index cols, Index rows_per_tensor, Body&& body);

/// Replaces every value of x by its grid point; does nothing when the quantizer is off.
/// shapes   x (rows,cols). Tensor granularity cuts it into blocks of rows_per_tensor rows: all rows
///          of weights, the rows of one sequence of activations. The others do not read it.
/// expects  all values finite
/// ensures  stochastic rounding of (row, column) takes draw row·cols + column of
///          Stream{seed, Domain::rounding, substream};
///          `steps`, when given, holds one step per group in the order of for_each_group
/// errors   ContractError as step_range
/// cost     two passes over x, no allocation but that of `steps`
template <class S>
void fake_quantize(MatRef<S> x, const Quantizer& q, Index rows_per_tensor, std::vector<double>* steps = nullptr);

/// Storage per weight of a (rows,cols) matrix that is one tensor, metadata included.
/// math     bits + (scale_bits + zero_bits)·groups/weights; zero_bits counts for Grid::asymmetric
///          alone and is `bits` unless given
/// units    bits; 16 when the quantizer is off
double bits_per_weight(const Quantizer& q, Index rows, Index cols, int scale_bits = 16,
                       std::optional<int> zero_bits = std::nullopt);

template <class Body>
void for_each_group(const Quantizer& q, Index rows, Index cols, Index rows_per_tensor, Body&& body) {
  Index height = 1, width = cols;
  if (q.granularity == Granularity::tensor) {
    EXPECTS(rows_per_tensor >= 1 && rows % rows_per_tensor == 0, "quantizer: {} rows in tensors of {} rows", rows,
            rows_per_tensor);
    height = rows_per_tensor;
  }
  if (q.granularity == Granularity::group) {
    EXPECTS(q.group >= 1, "quantizer: groups of {} columns", q.group);
    width = q.group;
  }
  for (Index row = 0; row < rows; row += height)
    for (Index col = 0; col < cols; col += width)
      body(StepGroup{row, col, height, col + width <= cols ? width : cols - col});
}

extern template StepRange step_range<float>(const float*, Index, Index, Index, const Quantizer&);
extern template StepRange step_range<double>(const double*, Index, Index, Index, const Quantizer&);
extern template float code<float>(float, const StepRange&, Rounding, double);
extern template double code<double>(double, const StepRange&, Rounding, double);
extern template float quantize_value<float>(float, const StepRange&, Rounding, double);
extern template double quantize_value<double>(double, const StepRange&, Rounding, double);
extern template void fake_quantize<float>(MatRef<float>, const Quantizer&, Index, std::vector<double>*);
extern template void fake_quantize<double>(MatRef<double>, const Quantizer&, Index, std::vector<double>*);

}  // namespace hone
