// Schemes: ways to quantize one trained transformer. A scheme is a change of coordinates that leaves the function as
// it is, and a rule that rounds the weights in those coordinates, written COORDINATES+RULE:
//   coordinates   (none) | smooth+ (SmoothQuant) | rotate+ (QuaRot)
//   rules         rtn | mse | gptq | guided | lnq | awq, at every width of a ladder
//                 mixed-trace | mixed-fisher | mixed-fisher-rows | mixed-output | mixed-share: widths under a budget
//                 nf4 | nf4-dq (QLoRA's scales) | fp8 | mxfp4 | mxfp6 | mxfp8 | nvfp4 | ternary | a minifloat by its
//                 bits, such as e3m4, with a scale per row: round to nearest in that format, one width
#pragma once

#include <string>
#include <vector>

#include "experiments/study/study.hpp"
#include "sim/formats/quantizer.hpp"
#include "sim/model/params.hpp"

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

/// errors  OptionError naming the nearest known scheme, or the minifloats that there are
Scheme scheme_from_name(const std::string& name);
std::vector<std::string> scheme_names();

}  // namespace hone::experiments
