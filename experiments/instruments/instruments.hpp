// The instruments of a study, applied to one parameter vector: held-out loss, curvature, damage of quantization with
// its predictions, the factorial of precisions, and noise in chosen subspaces. One call gives one row of each group.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "experiments/instruments/spectrum.hpp"
#include "experiments/instruments/watch.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/sources.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/record/dataset.hpp"

namespace hone::experiments {

/// What is measured, and where in the run.
struct Moment {
  std::int64_t step = 0, tokens = 0;
  std::int64_t branched_at = 0;  ///< tokens of the trunk where a branch left; elsewhere `tokens`
  std::string variant;           ///< trunk | ema | lawa | the name of a branch
  std::string kind;              ///< trunk | average | cooldown | tuned | lowered
  double lr = 0;
  bool is_last = false;  ///< the end of the trunk
};

/// Probes of the trace on each part of the curvature windows.
inline constexpr int window_probes = 8;

/// Rows by group name; every variable's first dimension is `checkpoint`, of length 1, or it is a coordinate.
using Rows = std::map<std::string, Dataset>;

/// All instruments for one model and its held-out data. Model is Transformer or Mlp; training runs in float32,
/// Hessian products in float32 or float64 as the study says, every sum in float64.
template <template <class> class Model>
class Instruments {
 public:
  using Float = Model<float>;
  using Data = typename Float::Data;

  Instruments(const RunSpec& run, const Float& model, const Source<Data>& source, int threads, Watch watch);

  /// ensures  no rows when theta or its held-out loss is not finite
  /// errors   Interrupted from the watch
  Rows measure(const AlignedVector<float>& theta, const Moment& moment);

  /// Keeps the Hessian products of the measurement under way in this file, so that a killed one goes on from there.
  void set_journal(std::filesystem::path path) { journal_path_ = std::move(path); }
  /// Windows of other data on which losses are measured too; they outlive this.
  void set_shifted(const Data* windows) { shifted_ = windows; }
  /// All certificates of the last measurement.
  const std::vector<Certificate>& certificates() const { return certificates_; }
  /// Peak memory of the curvature part of a measurement.
  std::int64_t memory_bytes() const;

 private:
  /// What the products gave.
  struct Curvature {
    Spectrum spectrum;
    std::vector<TraceEstimate> predicted;  ///< (1/24) Σ step² H_ii, per bit width
    std::vector<double> quadratic;         ///< ½e'He of the real rounding errors, per bit width and of the residual
  };

  // curvature.cpp
  template <class S>
  Curvature curvature(const std::vector<double>& theta, const std::vector<Vector<double>>& errors, Dataset& group);
  template <class S>
  double check_products(Linearization<Model<S>>& linear, const std::vector<double>& theta,
                        std::vector<Certificate>& certificates);
  template <class S>
  void add_window_spread(const Model<S>& model, const std::vector<double>& theta, Spectrum& spectrum, Dataset& group);
  LinearOperator watched(LinearOperator op, double flops) const;
  /// With the study's memory for cached activations divided by `share`; none of it when that is 0.
  CurvatureOptions curvature_options(std::int64_t share) const;
  std::vector<Vector<double>> trace_weights(const std::vector<double>& theta, std::vector<std::string>& blocks) const;
  std::string journal_identity(const std::vector<double>& theta, const Vector<double>& gradient) const;
  // instruments.cpp
  void add_damage(const AlignedVector<float>& theta, const std::vector<AlignedVector<float>>& quantized,
                  const std::vector<double>& first_order, const Curvature& found, Dataset& group);
  std::vector<double> first_order(const std::vector<double>& theta, const std::vector<Vector<double>>& errors);
  void add_factorial(const AlignedVector<float>& theta, bool is_measured, Dataset& group);
  void add_shift(const AlignedVector<float>& theta, const std::vector<AlignedVector<float>>& quantized, Dataset& group);
  void add_noise(const std::vector<double>& theta, const Curvature& found, const Vector<double>& residual,
                 double residual_quadratic, Dataset& group);
  Vector<double> residual_error(const std::vector<double>& theta) const;
  std::vector<std::array<int, 3>> factorial_cells() const;
  Vector<double> restricted(const std::vector<double>& full) const;
  std::vector<double> losses(const float* theta, const Precision& precision);
  double evaluation_flops(const Data& data) const;
  double product_flops() const;

  const RunSpec& run_;
  const Float& model_;
  const Source<Data>& source_;
  int threads_;
  Watch watch_;
  Objective<Float> objective_;
  std::vector<Index> positions_;  ///< of the quantizable parameters
  std::filesystem::path journal_path_;
  const Data* shifted_ = nullptr;
  std::vector<Certificate> certificates_;
  std::vector<double> reference_;  ///< full-precision losses of the evaluation windows, of the current call
};

/// One update: 6 flops per parameter and token.
double training_flops(const RunSpec& run, Index parameters);

/// The table of schemes at the end of a run: two evaluations and a Hessian product per entry, and as much again for what
/// the schemes do themselves.
double schemes_flops(const RunSpec& run, Index parameters);

/// All instruments at one checkpoint, when the Lanczos run takes all its steps.
double moment_flops(const RunSpec& run, Index parameters);

extern template class Instruments<Transformer>;
extern template class Instruments<Mlp>;

}  // namespace hone::experiments
