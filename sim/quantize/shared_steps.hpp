// A transformer after training whose weights and inputs of linears take one step per block of input columns, beside the
// same blocks with steps of their own: what sharing alone does to the damage of both together.
#pragma once

#include <vector>

#include "sim/formats/shared_scale.hpp"
#include "sim/quantize/calibration.hpp"

namespace hone {

/// Widths of weights and of inputs of linears; 16 is not quantized.
struct SharedBits {
  int weight = 16, activation = 16;
};

/// One model with the ranges of its products: of each input of linears, per channel, the largest |x| of a calibration set
/// in full precision and the largest |w| of all weights that read it. The ranges are fixed, so that quantizing weights
/// alone, inputs alone and both uses the same grids, and no token sees another one through a step.
/// math     a block b of `group` channels has a_x, a_w = the largest of its channels, Q_n = 2^(n-1)-1 at n bits.
///          Balance::raw, shared: steps max(a_x, a_w)/Q_weight of w and max(a_x, a_w)/Q_activation of x, one number at
///          equal bits. Balance::balanced: a_w/Q_weight and a_x/Q_activation. One step for x/t and w·t, t² = a_x/a_w,
///          gives these same two grids, so that steps shared in balanced coordinates are steps of their own.
///          Inputs beyond the calibration set are clipped to ± the range
/// source   this definition is the project's own; sim/formats/shared_scale.hpp for one layer
template <class S>
class SharedSteps {
 public:
  /// expects  `model` and `theta` outlive this object; finite weights
  /// errors   OptionError for a model with experts, whose inputs are routed, for group < 1, and as Transformer::check
  /// cost     input_statistics of the calibration set
  SharedSteps(const Transformer<S>& model, const S* theta, const TokenBatch& calibration, Index group,
              const ChunkOptions& chunks);

  /// The parameters with all weights that read an input of linears rounded; a copy at 16 bits.
  /// errors   OptionError for bits outside 2 to 16
  AlignedVector<S> weights(int bits, Balance balance) const;

  /// Mean nats per token of every sequence, in their order.
  /// ensures  at 16 bits those of Objective::example_losses, bit for bit; bits depend on the chunk size, never on the
  ///          threads. An input that is not finite is left as it is, so that the loss shows it
  /// errors   OptionError for bits outside 2 to 16, and as Transformer::check
  std::vector<double> example_losses(const TokenBatch& data, SharedBits bits, Balance balance) const;

 private:
  using Steps = std::vector<SharedScales>;  ///< of each input, layer by layer in the order of linear_inputs
  Steps steps(int bits, Balance balance) const;

  const Transformer<S>& model_;
  const S* theta_;
  Index group_;
  ChunkOptions chunks_;
  std::vector<Matrix<double>> inputs_, weights_;  ///< (1, channels) largest values of each input
};

extern template class SharedSteps<float>;
extern template class SharedSteps<double>;

}  // namespace hone
