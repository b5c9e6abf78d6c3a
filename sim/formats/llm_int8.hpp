// The linear layer of LLM.int8(): 8-bit rows of inputs and weights, but for the input columns with outliers, which
// stay in full precision. Which columns those are depends on the whole batch.
// source  Dettmers et al. 2022, section 3.2
#pragma once

#include "sim/formats/quantizer.hpp"

namespace hone {

enum class OutlierWeights {
  paper,    ///< the weights of outlier columns stay as they are
  library,  ///< they are 8-bit like the others, as in bitsandbytes without kept 16-bit weights
};

/// The rule for the steps of the inputs that belongs to a variant: the paper takes whole outlier columns out of a row's
/// absmax, bitsandbytes the outliers alone.
inline OutlierAbsmax absmax_rule_of(OutlierWeights variant) {
  return variant == OutlierWeights::paper ? OutlierAbsmax::columns : OutlierAbsmax::elements;
}

/// y = x W' with both factors on 8-bit restricted grids, one step per row, except on the columns of x with any
/// |x| ≥ threshold.
/// shapes   y (M,O)  x (M,I)  w (O,I)
/// expects  threshold ≥ 0; 0 takes no column out
/// ensures  the steps of w are those of its whole rows in both variants; those of x follow `absmax`
template <class S>
void llm_int8_linear(MatRef<S> y, ConstMatRef<S> x, ConstMatRef<S> w, double threshold, OutlierWeights variant,
                     OutlierAbsmax absmax);

/// The same with the rule of the variant.
template <class S>
void llm_int8_linear(MatRef<S> y, ConstMatRef<S> x, ConstMatRef<S> w, double threshold, OutlierWeights variant) {
  llm_int8_linear<S>(y, x, w, threshold, variant, absmax_rule_of(variant));
}

extern template void llm_int8_linear<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, double,
                                            OutlierWeights, OutlierAbsmax);
extern template void llm_int8_linear<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, double,
                                             OutlierWeights, OutlierAbsmax);

}  // namespace hone
