// Optimizers as a pure update of (parameters, state); elementwise, so equal for any thread count.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/model/params.hpp"

namespace hone {

enum class OptimizerKind { adamw, sgd };

/// source  AdamW: Loshchilov & Hutter 2019 (decoupled decay); defaults as in Kumar et al. 2024 but eps = 1e-8
struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9;              ///< AdamW: first moment; SGD: momentum
  double beta2 = 0.95;             ///< AdamW only
  double eps = 1e-8;               ///< added to the root of the bias-corrected second moment
  double weight_decay = 0.1;       ///< decoupled, times the learning rate; matrices only, never norms or biases
  std::int64_t decay_updates = 0;  ///< weight decay acts on the first so many updates; 0 = on all
  double clip_norm = 1.0;          ///< gradient scaled to this 2-norm when above it; 0 = off

  /// errors  OptionError listing every wrong field
  void validate() const;
};

/// What the optimizer carries from step to step; `step` counts updates done.
template <class S>
struct OptimizerState {
  std::int64_t step = 0;
  AlignedVector<S> first;   ///< AdamW: m; SGD: velocity
  AlignedVector<S> second;  ///< AdamW: v; SGD: empty
};

template <class S>
OptimizerState<S> make_state(const OptimizerOptions& options, const ParamLayout& layout);

/// ‖g‖₂ in double, in index order.
template <class S>
double norm2(const S* g, Index size);

/// One update.
/// math     AdamW: m = β₁m + (1-β₁)g, v = β₂v + (1-β₂)g², θ -= lr·( m̂/(√v̂+eps) + decay·θ )
///          SGD:   u = β₁u + g, θ -= lr·(u + decay·θ)
/// ensures  the gradient is clipped in place first; returns its norm before clipping
template <class S>
double update(const OptimizerOptions& options, const ParamLayout& layout, double lr, S* theta, S* gradient,
              OptimizerState<S>& state);

/// Exponential moving average  a = decay·a + (1-decay)·θ, started at the first θ seen.
template <class S>
struct ExponentialAverage {
  double decay = 0;  ///< 0 = off
  AlignedVector<S> value;
  void observe(const S* theta, Index size);
};

/// LAWA: the plain mean of the last `window` snapshots.
/// source  Kaddour 2022
template <class S>
struct LatestWeightAverage {
  int window = 0;  ///< snapshots; 0 = off
  std::vector<AlignedVector<S>> snapshots;
  void observe(const S* theta, Index size);
  AlignedVector<S> mean() const;
};

}  // namespace hone
