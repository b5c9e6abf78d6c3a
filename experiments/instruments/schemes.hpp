// Quantizes a transformer by a scheme: its coordinates first, then its rule.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "experiments/study/scheme.hpp"
#include "sim/base/mean.hpp"
#include "sim/data/batch.hpp"
#include "sim/model/objective.hpp"
#include "sim/quantize/folding.hpp"
#include "sim/quantize/weights.hpp"

namespace hone::experiments {

/// What a scheme starts from.
struct SchemeInput {
  const TransformerOptions& options;
  const AlignedVector<float>& theta;
  const TokenBatch& calibration;  ///< of the training text
  const QuantizeSpec& spec;       ///< grid, granularity and group of the weights; damping, smoothing; precisions
  std::uint64_t seed = 1;         ///< of the rotation and of stochastic rounding
  ChunkOptions chunks;
};

/// A quantized model beside its full-precision twin in the same coordinates.
struct QuantizedModel {
  TransformerOptions options;
  AlignedVector<float> reference, theta;
  std::vector<BlockReport> blocks;  ///< in layout order
  double bits_per_weight = 0;
  int fallback_blocks = 0;    ///< matrices whose Gram matrix gptq could not use: rounded to nearest
  double predicted_nats = 0;  ///< of a mixed rule: the sum it minimized; NaN for the others
};

/// tr(H_l) of each quantizable block with its standard error over probes, given when it is first asked for.
using BlockTraces = std::function<const std::vector<MeanEstimate>&()>;

/// The parameters in the coordinates of a scheme; those given when it changes none.
Parametrization change_coordinates(Coordinates coordinates, const SchemeInput& input);

/// Quantizes `reference` at `bits` (not read by a format); `draw` counts those of stochastic rounding.
/// expects  mixed rules: block_traces of the model at the reference
/// errors   those of the parts; OptionError when bits and grid do not fit
QuantizedModel quantize_by(const Scheme& scheme, int bits, const TransformerOptions& options,
                           const AlignedVector<float>& reference, const SchemeInput& input,
                           const BlockTraces& block_traces, std::int64_t draw = 0);

}  // namespace hone::experiments
