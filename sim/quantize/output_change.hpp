// Distance of the outputs of a quantized model from full precision on the same tokens: loss, divergence of the
// next-token distributions, and agreement of the likeliest token. Loss alone hides changes that cancel.
#pragma once

#include "sim/base/mean.hpp"
#include "sim/model/objective.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

/// Means over tokens; errors over windows, which are the independent units.
struct OutputChange {
  MeanEstimate loss;            ///< changed - reference
  MeanEstimate kl_nats;         ///< KL(reference ‖ changed) per token
  MeanEstimate top1_agreement;  ///< share of tokens whose argmax is the same; the lowest id among equals
  double reference_loss_nats = 0;
};

/// A model at a parameter vector and a precision. What `model` and `theta` point to must outlive it.
template <class S>
struct PreciseModel {
  const Transformer<S>& model;
  const S* theta;
  Precision precision;
};

/// KL(reference ‖ changed) of the next-token distributions at one row, nats.
/// math     Σ_v p_v (ln p_v - ln q_v) in double; both softmaxes from the logits: ln p_v = z_v - z_target - loss
/// expects  forward ran on both with the same tokens
template <class S>
double row_divergence(const TransformerActs<S>& reference, const TransformerActs<S>& changed, Index row);

/// Compares two models on the same windows. They may differ in parametrization, not in vocabulary or context.
/// math     KL = Σ_v p_v (ln p_v - ln q_v), sums in double
/// ensures  bits do not depend on the thread count
/// errors   ContractError when vocabulary or context differ
/// cost     two forward passes
template <class S>
OutputChange compare_outputs(const PreciseModel<S>& reference, const PreciseModel<S>& changed, const TokenBatch& data,
                             const ChunkOptions& options);

extern template double row_divergence(const TransformerActs<float>&, const TransformerActs<float>&, Index);
extern template double row_divergence(const TransformerActs<double>&, const TransformerActs<double>&, Index);
extern template OutputChange compare_outputs(const PreciseModel<float>&, const PreciseModel<float>&, const TokenBatch&,
                                             const ChunkOptions&);
extern template OutputChange compare_outputs(const PreciseModel<double>&, const PreciseModel<double>&,
                                             const TokenBatch&, const ChunkOptions&);

}  // namespace hone
