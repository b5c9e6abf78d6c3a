// Rounding to nearest of a trained model's weights, with the numbers a scaling law needs beside
// them: the error of every matrix, its squared step, and the bits it takes with its scales.
#pragma once

#include <string>
#include <vector>

#include "sim/formats/quantizer.hpp"
#include "sim/model/params.hpp"

namespace hone {

/// What quantization did to one matrix. Means are over its weights.
struct BlockReport {
  std::string name;
  Index count = 0;
  double mse = 0;            ///< mean of (ŵ-w)²
  double mean_step2 = 0;     ///< mean of the squared step; mse ≈ mean_step2/12 where rounding is fine; NaN for
                             ///< formats whose levels are not evenly spaced
  double sqnr_db = 0;        ///< 10 log10(Σw²/Σ(ŵ-w)²); +inf when nothing changed
  double clip_fraction = 0;  ///< share of weights whose nearest code lies outside the grid, or beyond the largest value
  double bits_per_weight = 0;   ///< with 16-bit scales and the zero points
  Index calibration_rows = -1;  ///< tokens in the Gram matrix that the method solved with; -1 when it solves with none
};

/// A quantized copy of a parameter vector.
template <class S>
struct QuantizedWeights {
  AlignedVector<S> theta;
  std::vector<BlockReport> blocks;  ///< of the quantizable blocks, in layout order
  double bits_per_weight = 0;       ///< over all quantizable weights; 16 when there are none
};

/// Rounds one quantizable block of theta in place, its rows being output channels: what quantize_weights and training
/// share.
/// shapes   theta (layout.size()); `number` of the block
/// errors   ContractError as fake_quantize
template <class S>
void fake_quantize_block(S* theta, const ParamLayout& layout, size_t number, const Quantizer& q);

/// Rounds all quantizable blocks of theta; the others are copied.
/// shapes   theta (layout.size()); a block is one tensor, its rows are output channels
/// expects  finite weights
/// ensures  each block equals fake_quantize of it with substream = block number, bit for bit
/// errors   OptionError from Quantizer::validate
template <class S>
QuantizedWeights<S> quantize_weights(const S* theta, const ParamLayout& layout, const Quantizer& q);

/// The squared step of the group that each quantizable parameter belongs to, and 0 for all others.
/// math     the weights of the trace in E[ΔL] = 1/24 Σ_c step_c² tr H_cc
/// shapes   (layout.size())
/// errors   OptionError from Quantizer::validate
/// source   uniform rounding noise: variance step²/12
std::vector<double> step2_per_parameter(const double* theta, const ParamLayout& layout, const Quantizer& q);

extern template void fake_quantize_block(float*, const ParamLayout&, size_t, const Quantizer&);
extern template void fake_quantize_block(double*, const ParamLayout&, size_t, const Quantizer&);
extern template QuantizedWeights<float> quantize_weights(const float*, const ParamLayout&, const Quantizer&);
extern template QuantizedWeights<double> quantize_weights(const double*, const ParamLayout&, const Quantizer&);

}  // namespace hone
