// The cost model of plans and progress bars, in floating-point operations.
#include "experiments/cost.hpp"

#include "experiments/measure.hpp"

namespace hone::experiments {

double training_flops(const RunSpec& run, Index parameters) {
  return 6.0 * double(parameters) * double(tokens_per_step(run));
}

namespace {

/// A forward pass over one window (mlp: example).
double window_flops(const RunSpec& run, Index parameters) {
  return 2.0 * double(parameters) * (run.model.kind == "mlp" ? 1 : double(run.model.context));
}

}  // namespace

double window_product_flops(const RunSpec& run, Index parameters) {
  return 6 * window_flops(run, parameters) * (run.measure.precision == "float64" ? 2 : 1);
}

double moment_products(const RunSpec& run) {
  // Beside the spectrum: the rounding errors, gradients and products of the checks, and the probes of the windows.
  return spectrum_products(run.measure) + double(run.quantize.bits.size()) + 24 +
         (run.measure.windows > 0 ? window_probes : 0);
}

double moment_flops(const RunSpec& run, Index parameters) {
  const double window = window_flops(run, parameters);
  const MeasureSpec& m = run.measure;
  const QuantizeSpec& q = run.quantize;
  const double evaluations =
      double(1 + q.bits.size() + q.factorial_w.size() * q.factorial_a.size() + 2 * q.factorial_kv.size());
  const double noise = 8.0 * double(run.noise.draws) * double(run.noise.rises.size());
  return (moment_products(run) * window_product_flops(run, parameters) + noise * window) * double(m.curvature_windows) +
         evaluations * window * double(m.evaluation_windows);
}

double schemes_flops(const RunSpec& run, Index parameters) {
  if (run.model.kind == "mlp") return 0;
  const double window = 2.0 * double(parameters) * double(run.model.context);
  const double entries = double(run.quantize.schemes.size() * run.quantize.scheme_bits.size());
  return entries * window *
         (4.0 * double(run.measure.evaluation_windows) + 8.0 * double(run.measure.curvature_windows) +
          2.0 * double(run.quantize.calibration_windows));
}

}  // namespace hone::experiments
