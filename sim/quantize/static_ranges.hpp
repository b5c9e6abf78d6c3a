// Static activation quantization: one fixed grid for the input of each linear, from a calibration set. It costs nothing
// at run time, but one grid must cover every token.
#pragma once

#include <vector>

#include "sim/formats/range_observer.hpp"
#include "sim/model/objective.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

/// The grids of all inputs of linears, for Precision::activation_ranges: of layer 0 in the order of linear_inputs, then
/// of layer 1, and so on.
/// math     the extremes over all calibration tokens, or with percentile < 100 the mean over chunks of each chunk's
///          percentiles; ranges are seen at full precision
/// expects  q.is_on(); 50 < percentile ≤ 100
/// ensures  bits depend on the chunk size (percentile < 100 only), never on the threads
/// errors   OptionError as Transformer::check
/// cost     one forward pass over the calibration tokens, one thread at a time in the observers
template <class S>
std::vector<StepRange> static_ranges(const Transformer<S>& model, const S* theta, const TokenBatch& calibration,
                                     const Quantizer& q, double percentile, const ChunkOptions& options);

extern template std::vector<StepRange> static_ranges(const Transformer<float>&, const float*, const TokenBatch&,
                                                     const Quantizer&, double, const ChunkOptions&);
extern template std::vector<StepRange> static_ranges(const Transformer<double>&, const double*, const TokenBatch&,
                                                     const Quantizer&, double, const ChunkOptions&);

}  // namespace hone
