// What every instrument works with: one run, its model, its held-out data, and where work is reported.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "experiments/instruments/watch.hpp"
#include "experiments/study/sources.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/model/objective.hpp"

namespace hone::experiments {

/// Model is Transformer or Mlp; training runs in float32, every sum in float64. What is referred to outlives this.
template <template <class> class Model>
struct Bench {
  using Float = Model<float>;
  using Data = typename Float::Data;

  Bench(const RunSpec& run, const Float& model, const Source<Data>& source, int threads, Watch watch);

  /// The quantizable part of a whole parameter vector.
  /// shapes  in (parameters), out (positions)
  Vector<double> restricted(const std::vector<double>& full) const;
  /// Held-out losses, one per evaluation window, in nats, in the precision of the study.
  std::vector<double> losses(const float* theta, const Precision& precision);
  /// The same on other windows.
  std::vector<double> losses_on(const Data& windows, const float* theta, const Precision& precision = {});
  /// Of one forward pass over the data.
  double evaluation_flops(const Data& data) const;
  /// Of one Hessian product over the curvature windows, in the precision of the study.
  double product_flops() const;
  /// With the study's memory for cached activations divided by `share`; none of it when that is 0.
  CurvatureOptions curvature_options(std::int64_t share) const;

  const RunSpec& run;
  const Float& model;
  const Source<Data>& source;
  int threads = 1;
  Watch watch;
  Objective<Float> objective;
  std::vector<Index> positions;   ///< of the quantizable parameters
  std::filesystem::path journal;  ///< of the Hessian products of the measurement under way; empty: none is kept
  const Data* shifted = nullptr;  ///< windows of other data on which losses are measured too

 private:
  std::unique_ptr<Model<double>> wide_model_;  ///< both made when the study asks for losses in float64
  std::unique_ptr<Objective<Model<double>>> wide_;
};

}  // namespace hone::experiments
