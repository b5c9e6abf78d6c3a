// Fake quantization: every value is replaced by the nearest point of a grid, and stays a float. The
// same functions serve weights (rows = output channels), activations (rows = tokens) and the KV
// cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/gemm.hpp"
#include "sim/base/grid.hpp"
#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"
#include "sim/formats/format.hpp"
#include "sim/formats/scale_rule.hpp"
#include "sim/formats/step_range.hpp"

namespace hone {

/// What shares one step. Rows are output channels for weights and tokens for activations.
enum class Granularity {
  tensor,  ///< weights: the whole matrix; activations: one sequence, so that batches do not mix
  row,     ///< weights: per output channel; activations: per token; KV: per token and head
  group,   ///< `group` consecutive columns of a row, the last group may be shorter. The width of a head makes it
           ///< per token and head
  column,  ///< weights: per input channel; activations: per channel of one sequence
  block,   ///< block_rows × block_cols values, shorter at the lower and right edge; activations: within one sequence
};

/// What the step of a row covers when columns with outliers are left as they are (LLM.int8()).
enum class OutlierAbsmax {
  columns,   ///< the row without the outlier columns, which are taken out of the matrix first (the paper)
  elements,  ///< the row without its outliers: what is below the threshold in an outlier column counts (bitsandbytes)
};

/// One quantizer as a value. bits = 16 with Format::integer means "not quantized": the reference of every sweep.
struct Quantizer {
  int bits = 16;
  Grid grid = Grid::restricted;
  Granularity granularity = Granularity::row;
  Index group = 0;  ///< columns per group, only for Granularity::group
  Rounding rounding = Rounding::nearest_even;
  std::uint64_t seed = 0;           ///< of stochastic rounding
  std::uint32_t substream = 0;      ///< of stochastic rounding: the matrix or site it acts on
  Format format = Format::integer;  ///< the others bring their own bits and grid: leave those two alone
  ScaleKind scale = ScaleKind::real;
  ScaleRule rule = ScaleRule::absmax;
  double rule_value = 0;         ///< parameter of the rule, 0 = its default
  Index block_rows = 0;          ///< only for Granularity::block
  Index block_cols = 0;          ///< only for Granularity::block
  double outlier_threshold = 0;  ///< activations: columns with any |x| ≥ it are left as they are (LLM.int8()); 0 = none
  OutlierAbsmax outlier_absmax = OutlierAbsmax::columns;  ///< read with a threshold alone

  bool is_on() const { return format != Format::integer || bits < 16; }
  /// Bits per element without its scale: 16 when off, log2(3) for ternary.
  double element_bits() const { return format == Format::integer ? bits : storage_bits(format); }
  /// Refuses a quantizer without a usable grid, or with fields that contradict each other. One bit needs an asymmetric
  /// or llm_qat grid: at b = 1 the other grids lack a level on one side of 0, or on both. One that is off passes
  /// whatever else it says, so that a sweep may end in full precision.
  /// errors  OptionError listing every wrong field as WHERE.FIELD with its value and the fix
  void validate(std::string_view where) const;
};

std::string_view name_of(Grid grid);
std::string_view name_of(Rounding rounding);
std::string_view name_of(Granularity granularity);
std::string_view name_of(OutlierAbsmax rule);
/// errors  OptionError naming the nearest known name
Grid grid_from_name(std::string_view name);
Granularity granularity_from_name(std::string_view name);
OutlierAbsmax outlier_absmax_from_name(std::string_view name);

/// A window of a matrix whose values share one step.
struct StepGroup {
  Index row = 0, col = 0, rows = 0, cols = 0;
};

/// Calls body(StepGroup) for each group of a (rows,cols) matrix, in row-major order.
/// expects  for tensor, column and block granularity: rows_per_tensor ≥ 1 and a divisor of rows
template <class Body>
void for_each_group(const Quantizer& q, Index rows, Index cols, Index rows_per_tensor, Body&& body);

/// Replaces every value of x by its grid point; does nothing when the quantizer is off.
/// shapes   x (rows,cols). Tensor, column and block granularity, e4m3_two_level and double_quantized cut it into
///          tensors of rows_per_tensor rows: all rows of weights, the rows of one sequence of activations. The others
///          do not read it. outlier_threshold looks at whole columns of x, so that its result depends on the batch.
/// expects  all values finite
/// ensures  stochastic rounding of (row, column) takes draw row·cols + column of
///          Stream{seed, Domain::rounding, substream};
///          `steps`, when given, holds one step per group in the order of for_each_group
/// errors   ContractError as step_range
/// cost     two passes over x, no allocation but that of `steps` and of one column; rule mse 80 passes more, percentile a copy
template <class S>
void fake_quantize(MatRef<S> x, const Quantizer& q, Index rows_per_tensor, std::vector<double>* steps = nullptr);

/// The grids that fake_quantize would take, one per group in the order of for_each_group.
/// expects  q.is_on(), no outlier_threshold
template <class S>
std::vector<StepRange> step_ranges(ConstMatRef<S> x, const Quantizer& q, Index rows_per_tensor);

/// Replaces every value of x by its point of one given grid (static quantization).
/// ensures  stochastic rounding of (row, column) takes draw row·cols + column of the stream
template <class S>
void fake_quantize_static(MatRef<S> x, const StepRange& range, Rounding rounding, const Stream& stream = {});

/// Storage per weight of a (rows,cols) matrix that is one tensor, metadata included.
/// math     element_bits + (scale + zero)·groups/weights. scale: scale_bits for real scales and those of fp16, 8 for
///          e8m0, 8 and 32 per tensor for e4m3_two_level, 8 + 32/256 and 32 per tensor for double_quantized. zero:
///          nothing but for asymmetric grids, where it is zero_bits if given, else `bits` (Grid::asymmetric) or
///          scale_bits (a minimum in floating point)
/// units    bits; 16 when the quantizer is off
double bits_per_weight(const Quantizer& q, Index rows, Index cols, int scale_bits = 16,
                       std::optional<int> zero_bits = std::nullopt);

/// The same when the real scales are quantized once more, to 8 bits with one 32-bit scale per 256 (QLoRA).
/// expects  q.is_on(), ScaleKind::real and a grid without zero point
double double_quantized_bits_per_weight(const Quantizer& q, Index rows, Index cols);

template <class Body>
void for_each_group(const Quantizer& q, Index rows, Index cols, Index rows_per_tensor, Body&& body) {
  Index height = 1, width = cols, tensor = rows;
  if (q.granularity == Granularity::tensor || q.granularity == Granularity::column ||
      q.granularity == Granularity::block) {
    EXPECTS(rows_per_tensor >= 1 && rows % rows_per_tensor == 0, "quantizer: {} rows in tensors of {} rows", rows,
            rows_per_tensor);
    height = tensor = rows_per_tensor;
  }
  if (q.granularity == Granularity::column) width = 1;
  if (q.granularity == Granularity::block) {
    EXPECTS(q.block_rows >= 1 && q.block_cols >= 1, "quantizer: blocks of {} x {}", q.block_rows, q.block_cols);
    height = q.block_rows, width = q.block_cols;
  }
  if (q.granularity == Granularity::group) {
    EXPECTS(q.group >= 1, "quantizer: groups of {} columns", q.group);
    width = q.group;
  }
  for (Index first = 0; first < rows; first += tensor)
    for (Index row = first; row < first + tensor; row += height)
      for (Index col = 0; col < cols; col += width)
        body(StepGroup{row, col, std::min(height, first + tensor - row), std::min(width, cols - col)});
}

extern template void fake_quantize<float>(MatRef<float>, const Quantizer&, Index, std::vector<double>*);
extern template void fake_quantize<double>(MatRef<double>, const Quantizer&, Index, std::vector<double>*);
extern template std::vector<StepRange> step_ranges<float>(ConstMatRef<float>, const Quantizer&, Index);
extern template std::vector<StepRange> step_ranges<double>(ConstMatRef<double>, const Quantizer&, Index);
extern template void fake_quantize_static<float>(MatRef<float>, const StepRange&, Rounding, const Stream&);
extern template void fake_quantize_static<double>(MatRef<double>, const StepRange&, Rounding, const Stream&);

}  // namespace hone
