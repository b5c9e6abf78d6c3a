// Schemes: ways to quantize one trained transformer. A scheme is a change of coordinates that leaves the function as
// it is, and a rule that rounds the weights in those coordinates, written COORDINATES+RULE:
//   coordinates   (none) | smooth+ (SmoothQuant) | rotate+ (QuaRot)
//   rules         rtn | mse | gptq | guided | lnq | awq, at every width of a ladder
//                 mixed-trace | mixed-fisher | mixed-fisher-rows | mixed-output | mixed-share: widths under a budget
//                 nf4 | nf4-dq (QLoRA's scales) | fp8 | mxfp4 | mxfp6 | mxfp8 | nvfp4 | ternary: round to nearest in
//                 that format, one width
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/study.hpp"
#include "sim/base/mean.hpp"
#include "sim/data/batch.hpp"
#include "sim/layers/quantizer.hpp"
#include "sim/model/objective.hpp"
#include "sim/quantize/folding.hpp"
#include "sim/quantize/weights.hpp"

namespace hone::experiments {

enum class Coordinates { given, smoothed, rotated };
enum class RoundingRule { nearest, mse, gptq, guided, lnq, awq, mixed, format };
/// What an item of a mixed allocation is charged for its rounding error D.
enum class AllocationScore {
  trace,        ///< tr(H_l)/(2 n_l)·‖D‖², H the Hessian of the loss (HAWQ-V2)
  fisher,       ///< tr(D F Dᵀ)/2, F the guided Gram matrices
  fisher_rows,  ///< the same for quarters of a matrix's rows, each with its own width
  output,       ///< tr(D XᵀX Dᵀ): needs no gradient
  share,        ///< widths linear in the share of tr(D F Dᵀ); a baseline
};

struct Scheme {
  std::string name;
  Coordinates coordinates = Coordinates::given;
  RoundingRule rule = RoundingRule::nearest;
  AllocationScore score = AllocationScore::trace;
  Quantizer format;  ///< RoundingRule::format only

  bool has_ladder() const { return rule != RoundingRule::format; }
  /// Refuses what this scheme cannot do, before anything is trained or measured.
  /// errors  OptionError naming the scheme, the field, its value and the fix
  void check(const QuantizeSpec& spec) const;
  /// The widths of a ladder that make sense for a model: no codebook with more values than a row has weights; a format
  /// has one entry, its own width.
  std::vector<std::int64_t> widths(const std::vector<std::int64_t>& ladder, const ParamLayout& layout) const;
};

/// errors  OptionError naming the nearest known scheme
Scheme scheme_from_name(const std::string& name);
std::vector<std::string> scheme_names();

/// What a scheme starts from.
struct SchemeInput {
  const TransformerOptions& options;
  const AlignedVector<float>& theta;
  const TokenBatch& calibration;  ///< of the training text
  const QuantizeSpec& spec;       ///< grid, granularity and group of the weights; damping, smoothing; precisions
  std::uint64_t seed = 1;         ///< of the rotation
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

/// Quantizes `reference` at `bits` (not read by a format).
/// expects  mixed rules: block_traces of the model at the reference
/// errors   those of the parts; OptionError when bits and grid do not fit
QuantizedModel quantize_by(const Scheme& scheme, int bits, const TransformerOptions& options,
                           const AlignedVector<float>& reference, const SchemeInput& input,
                           const BlockTraces& block_traces);

/// The widths a mixed rule chooses from.
inline constexpr int mixed_widths[] = {2, 3, 4, 5, 6, 7, 8};

/// A mixed rule at an average of `bits` per weight, scales included: schemes_mixed.cpp.
QuantizedModel quantize_mixed(AllocationScore score, int bits, const TransformerOptions& options,
                              const AlignedVector<float>& reference, const SchemeInput& input,
                              const BlockTraces& block_traces);

}  // namespace hone::experiments
