#include "sim/formats/llm_int8.hpp"

namespace hone {

template <class S>
void llm_int8_linear(MatRef<S> y, ConstMatRef<S> x, ConstMatRef<S> w, double threshold, OutlierWeights variant,
                     OutlierAbsmax absmax) {
  EXPECTS(threshold >= 0, "llm_int8: threshold {}", threshold);
  Matrix<S> inputs = x, weights = w;
  fake_quantize<S>(inputs, {.bits = 8, .outlier_threshold = threshold, .outlier_absmax = absmax}, x.rows());
  fake_quantize<S>(weights, {.bits = 8}, w.rows());
  if (threshold > 0 && variant == OutlierWeights::paper)
    for (Index c = 0; c < x.cols(); ++c)
      if ((x.col(c).array().abs() >= static_cast<S>(threshold)).any()) weights.col(c) = w.col(c);
  gemm_nt<S>(y, inputs, weights);
}

template void llm_int8_linear<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, double, OutlierWeights,
                                     OutlierAbsmax);
template void llm_int8_linear<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, double, OutlierWeights,
                                      OutlierAbsmax);

}  // namespace hone
