// The comparison of schemes on one trained transformer: the effect on the loss, on the next-token distributions and on
// every matrix, beside the second-order prediction of the loss rise.
#pragma once

#include <functional>

#include "experiments/instruments/schemes.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/quantize/output_change.hpp"
#include "sim/record/dataset.hpp"

namespace hone::experiments {

/// One scheme at one width, measured.
struct SchemeEntry {
  std::string scheme;
  std::int64_t bits = 0;  ///< of the ladder; 0 for a format, whose width is its own
  double bits_per_weight = 0;
  OutputChange change;                           ///< against the model as trained
  OutputChange reference;                        ///< of the scheme's coordinates at full precision: rounding alone
  double gradient_nats = 0, quadratic_nats = 0;  ///< g'e and e'He/2 of the weights' error, in those coordinates
  double predicted_nats = 0;                     ///< what a mixed rule minimized; NaN for the others
  int fallback_blocks = 0;                       ///< matrices that gptq rounded to nearest
  std::vector<BlockReport> blocks;               ///< of the first draw
};

/// What the table is measured on.
struct SchemeData {
  const TokenBatch& evaluation;
  const TokenBatch& curvature;  ///< for e'He/2
  std::int64_t cache_bytes = std::int64_t(1) << 30;
};

/// Called after every entry with the share of the table that is done; throws Interrupted to stop.
using SchemeWatch = std::function<void(double share, const std::string& scheme)>;

/// All schemes of input.spec at all their widths, in that order. Two entries of the same coordinates share the gradient
/// passes.
/// ensures  bits do not depend on the thread count
/// cost     per entry and draw two forward passes over the evaluation windows, one Hessian product, and the scheme's own work
std::vector<SchemeEntry> measure_schemes(const SchemeInput& input, const SchemeData& data, const SchemeWatch& watch);

/// tr(H_l) of the quantizable blocks in layout order, on the calibration windows: what chooses widths may not see the
/// windows they are judged on.
/// shapes  theta (parameters)
std::vector<MeanEstimate> scheme_block_traces(const Transformer<float>& model, const std::vector<double>& theta,
                                              const TokenBatch& calibration, const CurvatureOptions& options,
                                              std::uint64_t seed);

/// Groups /schemes (one row per entry) and /scheme_blocks (entry × block) of a run file, see sim/record/SCHEMA.md.
Dataset scheme_rows(const std::vector<SchemeEntry>& entries, const SchemeInput& input);
Dataset scheme_block_rows(const std::vector<SchemeEntry>& entries);

}  // namespace hone::experiments
