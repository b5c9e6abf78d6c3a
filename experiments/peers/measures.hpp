// The measured operations behind one interface for all models and both scalars.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/peers/problem.hpp"
#include "sim/curvature/density.hpp"
#include "sim/curvature/extremes.hpp"
#include "sim/curvature/trace.hpp"

namespace hone::experiments {

enum class Measure {
  train,     ///< forward, backward and AdamW update on the whole batch
  gradient,  ///< loss and gradient
  hvp,       ///< Hessian product, values and adjoints kept from before
  ggn,       ///< Gauss-Newton product, values kept from before
  blocks,    ///< Hessian product over the matrices of the layers alone, values and adjoints kept from before
};

/// errors  OptionError naming the nearest known name
Measure measure_from_name(const std::string& name);

/// The whole analysis of a spectrum, as a user would ask for it.
struct SpectrumJob {
  int pairs = 5, probes = 16, density_steps = 100;
  double tolerance = 1e-4;
  std::uint64_t seed = 1;
};

struct SpectrumReport {
  Eigenpairs pairs;
  TraceEstimate trace;
  SpectralDensity density;
};

/// One problem in one scalar. What a measure needs is prepared at its first call.
class Measures {
 public:
  virtual ~Measures() = default;
  /// Does it once.
  virtual void run(Measure measure) = 0;
  /// Gradient or product of the last run.
  /// expects  not `train`
  virtual std::vector<double> vector(Measure measure) = 0;
  /// Training losses from the initial point: before each of `steps` updates, and after the last.
  virtual std::vector<double> losses(int steps) = 0;
  /// Preparation included.
  virtual SpectrumReport spectrum(const SpectrumJob& job) = 0;
};

/// expects  scalar is "f32" or "f64"; the problem outlives the result
std::unique_ptr<Measures> make_measures(const PeerProblem& problem, std::string_view scalar, int threads);

}  // namespace hone::experiments
