// Training a quantized student from its full-precision teacher without data: the teacher generates the text, and the
// student learns the teacher's distribution of every next token (LLM-QAT).
// source  Liu et al. 2023, sections 2.1-2.2
#pragma once

#include "sim/model/transformer.hpp"
#include "sim/quantize/qat.hpp"

namespace hone {

/// How a teacher writes its sequences.
struct GenerationOptions {
  Index sequences = 64;
  Index least_greedy = 3, most_greedy = 5;  ///< tokens after the first that are the likeliest one, drawn per sequence
  std::uint64_t seed = 1;
  int threads = 1;  ///< never part of the result
};

/// Sequences of the model's own: the first token uniform over the vocabulary, the next 3 to 5 greedy, the rest drawn
/// from the model's distribution.
/// shapes   windows of the model's context + 1 tokens
/// ensures  sequence s is a pure function of (theta, seed, s)
/// cost     one decoding step per token
template <class S>
TokenBatch generate_sequences(const Transformer<S>& model, const S* theta, const GenerationOptions& options);

/// Mean over tokens of KL(teacher ‖ student) and its straight-through gradient, for train_to.
/// math     Σ_v p_v (ln p_v - ln q_v), p the teacher's at full precision; d/dlogits = q - p
/// shapes   as QatObjective; teacher (model's size), which the objective copies
template <class S>
class DistillationObjective {
 public:
  using Scalar = S;
  using Data = TokenBatch;

  /// errors  OptionError from QatOptions::validate
  DistillationObjective(const Transformer<S>& model, const S* teacher, ChunkOptions chunks, const QatOptions& options);

  /// cost  a forward pass beyond QatObjective
  double gradient(const S* theta, const Data& data, S* gradient);

  const Transformer<S>& model() const { return objective_.model(); }
  const ParamLayout& layout() const { return weights_.layout(); }
  QatWeights<S>& weights() { return weights_; }

 private:
  Objective<Transformer<S>> objective_;
  QatOptions options_;
  QatWeights<S> weights_;
  AlignedVector<S> teacher_;
  std::vector<ActsPool<Transformer<S>>> teacher_values_;  ///< of each worker
};

#define HONE_DISTILLATION_INSTANCES(prefix, S)                                                              \
  prefix template TokenBatch generate_sequences(const Transformer<S>&, const S*, const GenerationOptions&); \
  prefix template class DistillationObjective<S>;
HONE_DISTILLATION_INSTANCES(extern, float)
HONE_DISTILLATION_INSTANCES(extern, double)

}  // namespace hone
