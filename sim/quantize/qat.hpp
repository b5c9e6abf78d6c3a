// Training at low precision: the Objective of sim/model/objective.hpp with quantizers in its forward pass, for train_to.
// What it trains is the latent parameter vector of QatWeights; at 16 bits everywhere it is the plain objective, bit for
// bit.
#pragma once

#include "sim/quantize/qat_weights.hpp"
#include "sim/train/trainer.hpp"

namespace hone {

/// Mean loss at the precision of training and its straight-through gradient. Model is Transformer or Mlp.
/// shapes   theta, gradient (layout().size())
template <class Model>
class QatObjective {
 public:
  using Scalar = typename Model::Scalar;
  using S = Scalar;
  using Data = typename Model::Data;

  /// errors  OptionError from QatOptions::validate
  QatObjective(const Model& model, ChunkOptions chunks, const QatOptions& options)
      : objective_(model, chunks), options_(options), weights_(model.layout(), options, chunks.threads) {}

  /// Mean nats per token of every example, in example order.
  std::vector<double> example_losses(const S* theta, const Data& data) {
    return objective_.example_losses(weights_.quantize(theta), data, options_.precision);
  }
  /// Mean nats per token.
  double value(const S* theta, const Data& data) {
    return objective_.value(weights_.quantize(theta), data, options_.precision);
  }
  /// Straight-through gradient; returns the mean loss.
  /// cost  as Objective, and the rounding of all weights once
  double gradient(const S* theta, const Data& data, S* gradient) {
    const double loss = objective_.gradient(weights_.quantize(theta), data, gradient, options_.precision);
    weights_.backward(theta, gradient);
    return loss;
  }

  /// Hessian product of the full-precision loss.
  /// expects  options().is_full(): a straight-through gradient has no Hessian
  void hessian_product(const S* theta, const S* v, const Data& data, S* result) {
    EXPECTS(options_.is_full(), "hessian_product: trained at low precision, expected full precision");
    objective_.hessian_product(theta, v, data, result);
  }

  const Model& model() const { return objective_.model(); }
  const ParamLayout& layout() const { return weights_.layout(); }
  const QatOptions& options() const { return options_; }
  QatWeights<S>& weights() { return weights_; }

 private:
  Objective<Model> objective_;
  QatOptions options_;
  QatWeights<S> weights_;
};

/// A fresh state that starts from a model's parameters: initial ones, or those of a checkpoint.
/// shapes   theta (model's size)
template <class S>
TrainState<S> qat_state_from(const S* theta, const QatWeights<S>& weights, const TrainOptions& options) {
  TrainState<S> state;
  state.theta = weights.with_steps(theta);
  state.optimizer = make_state<S>(options.optimizer, weights.layout());
  state.ema.decay = options.ema_decay;
  state.lawa.window = options.lawa_window;
  return state;
}

/// The state of a training in full precision, carried on at low precision: its parameters, moments and position in the
/// stream. Moments of learned steps start at 0; averages are left behind.
template <class S>
TrainState<S> qat_state_from(const TrainState<S>& trunk, const QatWeights<S>& weights) {
  TrainState<S> state;
  state.theta = weights.with_steps(trunk.theta.data());
  state.optimizer = trunk.optimizer;
  state.optimizer.first.resize(state.theta.size(), S(0));
  if (!state.optimizer.second.empty()) state.optimizer.second.resize(state.theta.size(), S(0));
  return state;
}

}  // namespace hone
