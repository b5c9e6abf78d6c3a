// One parameter vector under measurement, with what several instruments need of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/instruments/bench.hpp"
#include "experiments/instruments/curvature.hpp"
#include "sim/train/optimizer.hpp"
#include "theory/rows/rows.hpp"

namespace hone::experiments {

/// What is measured, and where in the run.
struct Moment {
  std::int64_t step = 0, tokens = 0;
  std::int64_t branched_at = 0;  ///< tokens of the trunk where a branch left; elsewhere `tokens`
  std::string variant;           ///< trunk | ema | lawa | the name of a branch
  theory::Kind kind = theory::Kind::trunk;
  double lr = 0;
  bool is_last = false;                              ///< the end of the trunk
  const OptimizerState<float>* optimizer = nullptr;  ///< that led here; null for averages and imported weights
};

template <template <class> class Model>
class Specimen {
 public:
  /// Measures the losses at full precision. `parameters` and `at` outlive this.
  /// errors  Interrupted from the watch
  Specimen(Bench<Model>& bench, const AlignedVector<float>& parameters, const Moment& at);

  /// Whether quantizable parameters and mean loss are finite. The rest below is for finite ones only.
  bool is_finite() const;
  /// Rounded weights: all draws at the first width of quantize.bits, then those at the next. Rounding costs less than the
  /// memory of all of them.
  /// expects  0 ≤ number < quantize.bits × quantize.draws
  AlignedVector<float> quantized(std::int64_t number) const;
  /// Its rounding error.
  /// shapes  (positions)
  Vector<double> error(std::int64_t number) const;
  /// That of the first draw at noise.residual_bits.
  Vector<double> residual_error() const;
  /// Its `quadratic` ends with that of residual_error().
  const Curvature& curvature();

  Bench<Model>& bench;
  const AlignedVector<float>& theta;
  const Moment& moment;
  const std::vector<double> wide;       ///< theta
  const std::vector<double> reference;  ///< full-precision losses, one per evaluation window

 private:
  Quantizer draw(std::int64_t bits, std::int64_t number) const;
  template <class S>
  Vector<double> error_of(const AlignedVector<S>& rounded) const;

  std::optional<Curvature> curvature_;
};

}  // namespace hone::experiments
