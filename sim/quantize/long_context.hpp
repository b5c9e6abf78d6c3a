// What a quantized cache costs as the context grows, measured three ways, each against a reference on the same tokens:
// teacher-forced loss by position, copying a block of tokens from a known distance, and free-running generation. The
// errors grow differently: rounding in a diffuse attention averages out, a copy depends on single entries, and a free run
// feeds its errors back.
#pragma once

#include <memory>
#include <vector>

#include "sim/base/mean.hpp"
#include "sim/base/rng.hpp"
#include "sim/data/batch.hpp"
#include "sim/model/decoder.hpp"

namespace hone {

/// One side of a comparison: the weights, and how they are decoded.
template <class S>
struct DecodingVariant {
  std::shared_ptr<const DecoderWeights<S>> weights;
  DecoderOptions options = {};
};

/// Edges 0, 1, 2, 4, … length: bucket i holds the positions [edge i, edge i+1).
/// expects  length ≥ 1
std::vector<Index> octave_edges(Index length);

/// -ln softmax(logits)[target] in double: the loss of one prediction.
template <class S>
double next_token_loss(ConstVecView<S> logits, Index target);

/// Loss of every token of every window, each read from the cache as it is at that token.
/// shapes   windows (W, T+1); result (W, T), nats
/// errors   ContractError when T exceeds the variant's max_length
template <class S>
Matrix<double> decoded_losses(const DecodingVariant<S>& variant, const TokenBatch& windows);

/// Every prediction of every window.
struct Predictions {
  Matrix<double> loss;  ///< (W, T), nats
  Matrix<double> hit;   ///< (W, T), 1 where the likeliest token is the target, the smallest id among equals; else 0
};

/// The losses of decoded_losses, and which predictions are right.
template <class S>
Predictions decoded_predictions(const DecodingVariant<S>& variant, const TokenBatch& windows);

/// Losses of the positions [first, last): the mean over positions of each window, then mean and error over windows.
struct BucketComparison {
  Index first = 0, last = 0;
  MeanEstimate reference, changed;  ///< nats per token
  MeanEstimate difference;          ///< changed - reference
};

/// shapes   changed, reference (W, T); edges ascending from 0 to at most T
/// expects  at least one window
std::vector<BucketComparison> compare_by_position(const Matrix<double>& changed, const Matrix<double>& reference,
                                                  const std::vector<Index>& edges);

/// A block of random tokens, random tokens up to `distance` from its start, and the block once more.
struct CopyTask {
  Index block = 16;     ///< tokens of the block, at least 2
  Index distance = 64;  ///< from a token to its repetition, at least `block`

  Index positions() const { return distance + block - 1; }  ///< inputs of a window
};

/// Windows of the task, one more token than positions(); tokens uniform over the vocabulary.
/// errors   OptionError for a task that does not fit its own distance
TokenBatch copy_windows(const CopyTask& task, Index vocabulary, Index windows, std::uint64_t seed);

/// How well the second occurrence is predicted. Its first token is left out: nothing announces it.
struct CopyScore {
  Index distance = 0;
  MeanEstimate first_loss;  ///< reference, nats per token of the first occurrence: the level of chance
  MeanEstimate reference_loss, changed_loss;          ///< nats per token of the second occurrence
  MeanEstimate loss_difference;                       ///< changed - reference
  MeanEstimate reference_accuracy, changed_accuracy;  ///< share of tokens whose argmax is right
  MeanEstimate accuracy_difference;                   ///< changed - reference, as a share
};

/// Both variants on the same `windows` windows. Means and errors are over windows.
template <class S>
CopyScore copy_score(const DecodingVariant<S>& changed, const DecodingVariant<S>& reference, const CopyTask& task,
                     Index windows, std::uint64_t seed);

/// How generated tokens are chosen.
struct Sampling {
  double temperature = 0;  ///< 0: the likeliest token, the smallest id among equals
  std::uint64_t seed = 0;  ///< token t of prompt p takes draw t of substream p, whatever the variant
};

/// Free runs of two variants from the same prompts.
struct FreeRunning {
  std::vector<Index> first_difference;  ///< by prompt: generated tokens before the first that differs, `count` if none
  std::vector<MeanEstimate> agreement;  ///< by generated position: share of prompts with equal tokens
  std::vector<MeanEstimate> kl;  ///< by generated position, nats: KL(reference ‖ changed) of the next-token law,
                                 ///< both fed the reference's tokens; sampling does not enter
  Matrix<std::uint16_t> reference, changed;  ///< the tokens, (prompts, count)
};

/// shapes   prompts.tokens (B, positions+1), of which all are the prompt
/// expects  count ≥ 1; prompts and count fit max_length
/// cost     three decodings
template <class S>
FreeRunning free_running(const DecodingVariant<S>& changed, const DecodingVariant<S>& reference,
                         const TokenBatch& prompts, Index count, const Sampling& sampling);

#define HONE_LONG_CONTEXT_INSTANCES(prefix, S)                                                                       \
  prefix template double next_token_loss<S>(ConstVecView<S>, Index);                                                 \
  prefix template Matrix<double> decoded_losses(const DecodingVariant<S>&, const TokenBatch&);                       \
  prefix template Predictions decoded_predictions(const DecodingVariant<S>&, const TokenBatch&);                     \
  prefix template CopyScore copy_score(const DecodingVariant<S>&, const DecodingVariant<S>&, const CopyTask&, Index, \
                                       std::uint64_t);                                                               \
  prefix template FreeRunning free_running(const DecodingVariant<S>&, const DecodingVariant<S>&, const TokenBatch&,  \
                                           Index, const Sampling&);
HONE_LONG_CONTEXT_INSTANCES(extern, float)
HONE_LONG_CONTEXT_INSTANCES(extern, double)

}  // namespace hone
