// Latent weights and what the model sees of them while it is trained at low precision: the optimizer moves full
// precision, every pass gets the rounded copy, and the gradient of the copy goes back by a straight-through estimator.
// With learned steps (LSQ) the parameter vector is longer than the model's: the logarithm of every step stands behind
// the model's own blocks, so that optimizer, checkpoint and resume treat it like any parameter.
#pragma once

#include "sim/formats/number_format.hpp"
#include "sim/model/params.hpp"
#include "sim/model/precision.hpp"

namespace hone {

/// The precision of training. The three parts are independent of each other; each is off at 16 bits. Stochastic rounding
/// of weights takes the same draws at every step: it is a fixed dither, and not unbiased over a training.
struct QatOptions {
  Precision precision = {};                ///< its `ste` is that of activations, keys and values
  SteKind weight_ste = SteKind::identity;  ///< not read with learned steps, which have their own mask
  bool learned_steps = false;              ///< LSQ for the weights, one step per row or tensor
  /// Of the parameters and the inputs of linears in the passes, see sim/train/mixed_precision.hpp; TrainOptions::format
  /// is that of the gradient.
  NumberFormat format = NumberFormat::fp32;

  /// Whether nothing is quantized; numbers of 16 bits without a scale are full precision.
  bool is_full() const { return precision.is_full(); }
  /// errors  OptionError listing every wrong field with its value and the fix
  void validate() const;
};

/// BitNet b1.58: ternary weights with the mean of |w| of a matrix as step, 8-bit activations per token.
/// source  Ma et al. 2024; the recipe around it: TransformerOptions::sub_norms, Decay::two_stage,
///         OptimizerOptions::decay_updates
QatOptions bitnet_options();

/// Binary weights: the sign of each times the mean of |w| of its row, the least squares of all such; activations are full.
/// math     w -> sign(w) mean|w|, sign(0) = 1
/// source  Rastegari et al. 2016 (XNOR-Net), equation 6
QatOptions binary_options();

/// LLM-QAT: symmetric grids per output channel, per token, and per token and head, with the gradient of its code.
/// source  Liu et al. 2023
QatOptions llm_qat_options(int weight_bits, int activation_bits, int kv_bits);

/// `precision` with the inputs of all linears of a transformer in numbers of `format`, at most its largest.
/// errors   OptionError when activations are quantized already
Precision with_number_format(Precision precision, NumberFormat format, Index layers);

/// Rounds the quantizable blocks of parameter vectors, over and over.
template <class S>
class QatWeights {
 public:
  /// errors  OptionError from QatOptions::validate
  QatWeights(const ParamLayout& model, const QatOptions& options, int threads);

  /// The model's blocks; with learned steps then one block NAME.log_step per quantizable block, (1, steps).
  const ParamLayout& layout() const { return layout_; }

  /// A model's parameters with the initial steps behind them; a copy when steps are not learned.
  /// math     step 2·mean|w|/√Q, Q = 2^(b-1)-1; at least 1e-8, for rows that are all 0
  /// shapes   theta (model's size) -> (layout().size())
  AlignedVector<S> with_steps(const S* theta) const;

  /// The parameters that the forward pass works with, valid until the next call; theta itself when nothing is rounded.
  /// shapes   theta (layout().size())
  /// ensures  without learned steps the bits of quantize_weights; with them those of fake_quantize_static. A block that
  ///          is not finite is left as it is, so that the loss shows it
  const S* quantize(const S* theta);

  /// dLoss/d(rounded weights) -> dLoss/d(latent weights), in place, and the gradient of the steps.
  /// math     the mask of the estimator; dLoss/d(ln s) = s·dLoss/ds with the gradient of LSQ. exp keeps steps positive,
  ///          and Adam then moves a step by a share of itself
  /// shapes   gradient (layout().size()); the steps' part is written, not read
  void backward(const S* theta, S* gradient) const;

 private:
  double step_of(const S* theta, size_t block, Index row) const;
  void quantize_learned(const S* theta, size_t block, S* out) const;
  void learned_backward(const S* theta, size_t block, S* gradient) const;
  /// Calls body(rows of one step) with the first row and the number of rows.
  template <class Body>
  void for_each_step(const ParamBlock& block, Body&& body) const;

  QatOptions options_;
  int threads_;
  ParamLayout layout_;
  std::vector<size_t> blocks_;  ///< numbers of the quantizable blocks
  std::vector<size_t> steps_;   ///< numbers of their step blocks
  AlignedVector<S> rounded_;
};

extern template class QatWeights<float>;
extern template class QatWeights<double>;

}  // namespace hone
