// GPTQ of a whole transformer, input by input: each weight is quantized for the inputs that the already quantized
// part of the model gives it.
#pragma once

#include "sim/quantize/calibration.hpp"
#include "sim/quantize/gptq.hpp"
#include "sim/quantize/weights.hpp"

namespace hone {

struct GptqModelOptions {
  GptqOptions gptq = {};     ///< its threads and the substream of its quantizer are set for each block
  Precision precision = {};  ///< activations, keys and values of the calibration passes; `weight` is not read
  ChunkOptions chunks = {};
};

/// One quantized block: what the weights lost, and what GPTQ made of its inputs.
struct GptqBlockReport {
  BlockReport weights;      ///< clip_fraction counts the weights as given, not as corrected
  double loss = 0;          ///< GptqResult::loss
  double damping_used = 0;  ///< as a share of the mean of diag H
  int damping_retries = 0;
  Index tokens =
      0;  ///< that H was collected on; fewer than the width of the input: only the damping makes H invertible
  bool fell_back_to_rtn = false;
};

template <class S>
struct GptqModel {
  AlignedVector<S> theta;
  std::vector<GptqBlockReport> blocks;  ///< in the order in which they were quantized: that of the forward pass
  double bits_per_weight = 0;           ///< over all quantizable weights
};

/// The numbers of a BlockReport for a block that was quantized with given steps.
BlockReport report_block(const ParamBlock& block, ConstMatRef<double> before, const GptqResult& result,
                         const Quantizer& q);

/// Quantizes all matrices inside the layers: wq, wk, wv on one input, then wo, then w_gate, w_up, then w_down.
/// Every expert has the H of its own tokens; one without tokens is rounded to nearest.
/// ensures  bits depend on the chunk size, never on the threads
/// errors   OptionError as GptqOptions::validate and Transformer::check
/// cost     one forward pass over the calibration tokens, their Gram matrices, and gptq of each block
template <class S>
GptqModel<S> gptq_model(const Transformer<S>& model, const S* theta, const TokenBatch& calibration,
                        const GptqModelOptions& options);

extern template GptqModel<float> gptq_model(const Transformer<float>&, const float*, const TokenBatch&,
                                            const GptqModelOptions&);
extern template GptqModel<double> gptq_model(const Transformer<double>&, const double*, const TokenBatch&,
                                             const GptqModelOptions&);

}  // namespace hone
