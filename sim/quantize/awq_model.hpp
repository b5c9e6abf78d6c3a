// AWQ of a whole transformer: scales folded into what comes before each input, clipping, then rounding to nearest.
#pragma once

#include <string>
#include <vector>

#include "sim/quantize/awq.hpp"
#include "sim/quantize/calibration.hpp"
#include "sim/quantize/weights.hpp"

namespace hone {

/// Whether the scales of an input can be moved into the maps before it without changing the model: norms always; the
/// hidden layer of the MLP when it is gated (linear in w_up); attention outputs when each head has its own values.
/// An online rotation between the two forbids it, and so do experts at the norm before them, which all of them and the
/// router share.
bool can_fold_input_scale(const TransformerOptions& options, LinearInput input);

/// Divides channel j of an input by scales[j] in the weights that make it, and multiplies column j of the weights that
/// read it: the model at full precision stays the same function.
/// math     norms: γ/s, β/s; mlp_output: rows of w_up and b_up; attention_output: rows of wv and bv
/// expects  can_fold_input_scale, the expert at the input of an expert's w_down (else -1), positive scales, one for each channel
template <class S>
void fold_input_scale(const TransformerOptions& options, int layer, LinearInput input,
                      const std::vector<double>& scales, S* theta, int expert = -1);

struct AwqModelOptions {
  Quantizer quantizer = {};
  bool clip = true;          ///< all but wq and wk, whose clipping attention amplifies
  Precision precision = {};  ///< of the calibration pass
  ChunkOptions chunks = {};
};

/// What the search found at one input.
struct AwqSiteReport {
  std::string name;
  double exponent = 0;
  double error = 0, rtn_error = 0;  ///< before clipping
};

template <class S>
struct AwqModel {
  QuantizedWeights<S> weights;       ///< quantized, in the folded parametrization
  AlignedVector<S> folded;           ///< before clipping and rounding: the same function as the model given
  std::vector<AwqSiteReport> sites;  ///< inputs that were scaled, in the order of the forward pass
};

/// Calibrates all inputs in one pass of the full-precision model, then scales, clips and rounds layer by layer.
/// errors  OptionError as Quantizer::validate and Transformer::check, or when the quantizer is off
template <class S>
AwqModel<S> awq_model(const Transformer<S>& model, const S* theta, const TokenBatch& calibration,
                      const AwqModelOptions& options);

extern template void fold_input_scale(const TransformerOptions&, int, LinearInput, const std::vector<double>&, float*,
                                      int);
extern template void fold_input_scale(const TransformerOptions&, int, LinearInput, const std::vector<double>&, double*,
                                      int);
extern template AwqModel<float> awq_model(const Transformer<float>&, const float*, const TokenBatch&,
                                          const AwqModelOptions&);
extern template AwqModel<double> awq_model(const Transformer<double>&, const double*, const TokenBatch&,
                                           const AwqModelOptions&);

}  // namespace hone
