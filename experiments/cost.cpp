// The cost model of plans and progress bars, in floating-point operations.
#include "experiments/measure.hpp"

namespace hone::experiments {

double training_flops(const RunSpec& run, Index parameters) {
  return 6.0 * double(parameters) * double(tokens_per_step(run));
}

double moment_flops(const RunSpec& run, Index parameters) {
  const double window = 2.0 * double(parameters) * (run.model.kind == "mlp" ? 1 : double(run.model.context));
  const double product = 6 * window * (run.measure.precision == "float64" ? 2 : 1);
  const MeasureSpec& m = run.measure;
  const QuantizeSpec& q = run.quantize;
  // Beside the spectrum: the rounding errors, gradients and products of the checks, and the probes of the windows.
  const double products = spectrum_products(m) + double(q.bits.size()) + 24 + (m.windows > 0 ? window_probes : 0);
  const double evaluations =
      double(1 + q.bits.size() + q.factorial_w.size() * q.factorial_a.size() + 2 * q.factorial_kv.size());
  const double noise = 8.0 * double(run.noise.draws) * double(run.noise.rises.size());
  return (products * product + noise * window) * double(m.curvature_windows) +
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
