// Decoding of one trained transformer token by token, under policies of its cache and under schedules of the precision
// of its weights: the effect on teacher-forced losses by position, on copying over a distance and on free runs.
#pragma once

#include <functional>

#include "experiments/study/decode_policy.hpp"
#include "experiments/study/study.hpp"
#include "sim/data/batch.hpp"
#include "sim/quantize/long_context.hpp"
#include "sim/record/dataset.hpp"

namespace hone::experiments {

/// The model and the text that a table is measured on.
struct DecodeInput {
  const TransformerOptions& options;
  const AlignedVector<float>& theta;
  const TokenBatch& windows;  ///< (spec.windows, spec.length), held-out
  DecodeSpec spec;            ///< of fitted_to
  std::uint64_t seed = 1;     ///< of copied tokens and of sampling
  int threads = 1;
};

/// One policy against the cache in full precision.
struct PolicyEntry {
  std::string policy;
  KvBits bits;                            ///< at the full length, of `all` and `octaves`
  KvBits free_bits;                       ///< when the last token of a free run is chosen
  BucketComparison all;                   ///< over the whole window
  std::vector<BucketComparison> octaves;  ///< by position
  std::vector<CopyScore> copies;          ///< by distance
  FreeRunning greedy, sampled;            ///< from the windows' beginnings
};

/// One schedule of widths, after a prompt at the stored width, against the model as trained.
struct ScheduleEntry {
  std::string schedule;     ///< stored, uniform, step_down, reversed, linear or surprise
  double average_bits = 0;  ///< over the generated tokens
  int first_bits = 0;       ///< of the first generated token; 0 where windows differ
  int last_bits = 0;        ///< of the last one
  BucketComparison all;     ///< over the generated tokens
  std::vector<BucketComparison> octaves;
  MeanEstimate to_uniform;  ///< minus uniform precision of the same average; 0 for stored and uniform
};

struct DecodeTable {
  std::vector<PolicyEntry> policies;
  std::vector<ScheduleEntry> schedules;
};

/// Called after every part with the share of the table that is done; throws Interrupted to stop.
using DecodeWatch = std::function<void(double share, const std::string& part)>;

/// All policies and schedules of the spec, in its order.
/// ensures  bits do not depend on the thread count; a policy of 16 bits differs from full precision in no bit
/// cost     decode_flops
DecodeTable measure_decoding(const DecodeInput& input, const DecodeWatch& watch);

/// Of the linears, for a model of that many parameters; attention comes on top.
/// expects  a spec of fitted_to
double decode_flops(const DecodeSpec& spec, Index parameters);

}  // namespace hone::experiments
