// Tokens per expert over a set: the calibration data of each expert, and whether the router uses all experts.
#pragma once

#include "sim/model/objective.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

/// Tokens that the routers send to each expert.
/// shapes   (layers, experts); every row sums to tokens·experts_per_token
/// expects  a model with experts
/// ensures  equal for any chunks and threads but for logits that tie within rounding
/// errors   OptionError as Transformer::check
/// cost     one forward pass
template <class S>
Matrix<Index> expert_loads(const Transformer<S>& model, const S* theta, const TokenBatch& data,
                           const Precision& precision, const ChunkOptions& options);

/// The largest share of a row of loads times the number of experts: 1 balanced, E when one expert has all (at k = 1).
double load_imbalance(const Matrix<Index>& loads, Index layer);

extern template Matrix<Index> expert_loads(const Transformer<float>&, const float*, const TokenBatch&, const Precision&,
                                           const ChunkOptions&);
extern template Matrix<Index> expert_loads(const Transformer<double>&, const double*, const TokenBatch&,
                                           const Precision&, const ChunkOptions&);

}  // namespace hone
