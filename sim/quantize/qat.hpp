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
      : objective_(model, chunks),
        options_(options),
        weights_(model.layout(), options, chunks.threads),
        precision_(precision_of_passes(model, options)) {}

  /// Mean nats per token of every example, in example order.
  std::vector<double> example_losses(const S* theta, const Data& data) {
    return objective_.example_losses(read(theta), data, precision_);
  }
  /// Mean nats per token.
  double value(const S* theta, const Data& data) { return objective_.value(read(theta), data, precision_); }
  /// Straight-through gradient; returns the mean loss.
  /// cost  as Objective, and the rounding of all weights once
  double gradient(const S* theta, const Data& data, S* gradient) {
    const double loss = objective_.gradient(read(theta), data, gradient, precision_);
    weights_.backward(theta, gradient);
    return loss;
  }

  /// Hessian product of the full-precision loss.
  /// expects  options().is_full() in fp32: a straight-through gradient has no Hessian
  void hessian_product(const S* theta, const S* v, const Data& data, S* result) {
    EXPECTS(options_.is_full() && options_.format == NumberFormat::fp32,
            "hessian_product: trained at low precision, expected full precision");
    objective_.hessian_product(theta, v, data, result);
  }

  const Model& model() const { return objective_.model(); }
  const ParamLayout& layout() const { return weights_.layout(); }
  const QatOptions& options() const { return options_; }
  QatWeights<S>& weights() { return weights_; }

 private:
  /// The parameters that the passes work with.
  const S* read(const S* theta) {
    const S* quantized = weights_.quantize(theta);
    if constexpr (std::is_same_v<S, float>) {
      if (options_.format == NumberFormat::fp32) return quantized;
      rounded_.resize(size_t(layout().size()));
      round_all(options_.format, quantized, layout().size(), rounded_.data());
      return rounded_.data();
    }
    EXPECTS(options_.format == NumberFormat::fp32, "passes in double with numbers in {}", name_of(options_.format));
    return quantized;
  }

  static Precision precision_of_passes(const Model& model, const QatOptions& options) {
    if (options.format == NumberFormat::fp32) return options.precision;
    if constexpr (requires { model.options().layers; })
      return with_number_format(options.precision, options.format, model.options().layers);
    throw OptionError(fmt::format("train_format = \"{}\" of a perceptron; it is for transformers, use \"fp32\"",
                                  name_of(options.format)));
  }

  Objective<Model> objective_;
  QatOptions options_;
  QatWeights<S> weights_;
  Precision precision_;
  AlignedVector<S> rounded_;
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
  state.loss_scale = trunk.loss_scale;
  state.optimizer.first.resize(state.theta.size(), S(0));
  if (!state.optimizer.second.empty()) state.optimizer.second.resize(state.theta.size(), S(0));
  return state;
}

}  // namespace hone
