// The linear layer of LLM.int8(): 8-bit rows of inputs and weights, but for the input columns with outliers, which
// stay in full precision. Which columns those are depends on the whole batch.
// source  Dettmers et al. 2022, section 3.2
#pragma once

#include "sim/layers/quantizer.hpp"

namespace hone {

enum class OutlierWeights {
  paper,    ///< the weights of outlier columns stay as they are
  library,  ///< they are 8-bit like the others, as in bitsandbytes without kept 16-bit weights
};

/// y = x W' with both factors on 8-bit restricted grids, one step per row, except on the columns of x with any
/// |x| ≥ threshold.
/// shapes   y (M,O)  x (M,I)  w (O,I)
/// expects  threshold ≥ 0; 0 takes no column out
/// ensures  the steps of w are those of its whole rows in both variants
template <class S>
void llm_int8_linear(MatRef<S> y, ConstMatRef<S> x, ConstMatRef<S> w, double threshold, OutlierWeights variant);

extern template void llm_int8_linear<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, double,
                                            OutlierWeights);
extern template void llm_int8_linear<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, double,
                                             OutlierWeights);

}  // namespace hone
