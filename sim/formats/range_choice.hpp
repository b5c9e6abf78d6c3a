// From the values of a group to its grid, in three stages: extremes (or moments) of the values, the range that the rule
// takes from them, the grid that covers the range.
#pragma once

#include <optional>
#include "sim/formats/quantizer.hpp"

namespace hone {

/// The grid of a group of values, by the rule of q; computed in S: the step is exact in S.
/// shapes   values (rows,cols), consecutive rows `stride` apart
/// expects  all values finite, q.is_on(); tensor_absmax, the largest |x| of the whole tensor, for e4m3_two_level
/// ensures  step 0 when all values are 0 (float_min: equal) or so small that the step underflows
/// errors   ContractError naming the first value that is NaN or infinite, when the step overflows, and for
///          ScaleKind::double_quantized, which needs the whole tensor: step_ranges
template <class S>
StepRange step_range(const S* values, Index rows, Index cols, Index stride, const Quantizer& q,
                     std::optional<double> tensor_absmax = std::nullopt);

/// The grid that covers [low, high], whatever the rule of q: for ranges that were observed beforehand. Grids with a
/// level at 0 take 0 into the range.
/// expects  low ≤ high, finite; not Grid::llm_qat at 1 or 2 bits, which needs the values
template <class S>
StepRange range_of_extremes(S low, S high, const Quantizer& q, std::optional<double> tensor_absmax = std::nullopt);

extern template StepRange step_range<float>(const float*, Index, Index, Index, const Quantizer&, std::optional<double>);
extern template StepRange step_range<double>(const double*, Index, Index, Index, const Quantizer&,
                                             std::optional<double>);
extern template StepRange range_of_extremes<float>(float, float, const Quantizer&, std::optional<double>);
extern template StepRange range_of_extremes<double>(double, double, const Quantizer&, std::optional<double>);

}  // namespace hone
