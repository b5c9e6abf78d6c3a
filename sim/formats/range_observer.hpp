// Static quantization of activations: ranges seen in calibration batches become one fixed grid.
#pragma once

#include "sim/formats/quantizer.hpp"

namespace hone {

/// Watches batches and keeps one range: the extremes of all of them, or, with a percentile below 100, the mean over
/// the batches of each batch's lower and upper percentile.
class RangeObserver {
 public:
  /// expects  50 < percentile ≤ 100
  explicit RangeObserver(double percentile = 100);

  /// errors  ContractError when a value is NaN or infinite
  template <class S>
  void observe(ConstMatRef<S> batch);

  Index batches() const { return batches_; }
  /// The observed range.
  /// expects  a batch was observed
  double low() const;
  double high() const;

  /// The grid for fake_quantize_static.
  /// expects  a batch was observed; q.is_on(), q.scale other than e4m3_two_level and double_quantized
  template <class S>
  StepRange range(const Quantizer& q) const;

 private:
  double percentile_;
  Index batches_ = 0;
  double low_ = 0, high_ = 0;  ///< extremes, or sums over the batches
};

extern template void RangeObserver::observe<float>(ConstMatRef<float>);
extern template void RangeObserver::observe<double>(ConstMatRef<double>);
extern template StepRange RangeObserver::range<float>(const Quantizer&) const;
extern template StepRange RangeObserver::range<double>(const Quantizer&) const;

}  // namespace hone
