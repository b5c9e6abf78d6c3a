// The curvature at one parameter vector: checks of the products, the certified spectrum, weighted traces, the second
// order of the real rounding errors, and the spread between windows.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/instruments/bench.hpp"
#include "experiments/instruments/instrument.hpp"
#include "experiments/instruments/spectrum.hpp"

namespace hone::experiments {

/// Probes of the trace on each part of the curvature windows.
inline constexpr int window_probes = 8;

struct Curvature {
  Spectrum spectrum;                     ///< its certificates hold those of the products and the windows too
  std::vector<TraceEstimate> predicted;  ///< ½ Σ rounding_variance_i H_ii, per bit width
  std::vector<double> quadratic;         ///< ½e'He of each error
  std::vector<std::string> blocks;       ///< quantizable matrices
  std::vector<TraceEstimate> block_traces;
  std::vector<double> window_traces, window_errors;  ///< per part of the windows; NaN where there are too few
  double noise_floor = 0;                            ///< relative rounding of the products; 0 in float64
  double loss_nats = 0;                              ///< on the curvature windows
  double gradient_norm = 0;                          ///< of its quantizable part
};

/// Rounding errors one after another, so that only one of them is in memory.
struct RoundingErrors {
  std::int64_t count = 0;
  std::function<Vector<double>(std::int64_t)> at;  ///< (positions)
};

/// Hessian products run in float32 or float64 as the study says, sums in float64.
/// shapes  theta (parameters)
/// errors  Interrupted from the watch
/// cost    at most moment_products() Hessian products
template <template <class> class Model>
Curvature measure_curvature(const Bench<Model>& bench, const std::vector<double>& theta, const RoundingErrors& errors);

/// Peak memory of measure_curvature, in bytes.
template <template <class> class Model>
std::int64_t curvature_bytes(const Bench<Model>& bench);

/// Rows of group /curvature.
template <template <class> class Model>
std::unique_ptr<Instrument<Model>> spectrum_instrument();

}  // namespace hone::experiments
