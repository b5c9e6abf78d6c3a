#include "sim/quantize/rounding_variance.hpp"

#include "sim/quantize/weights.hpp"

namespace hone {
namespace {

/// The mean squared error of stochastic rounding of x.
double stochastic_variance(double x, const StepRange& range) {
  const double lower = quantize_value(x, range, Rounding::stochastic, 1.0);
  const double upper = quantize_value(x, range, Rounding::stochastic, 0.0);
  return lower == upper ? (x - lower) * (x - lower) : (x - lower) * (upper - x);
}

}  // namespace

std::vector<double> rounding_variance(const double* theta, const ParamLayout& layout, const Quantizer& q) {
  q.validate("weights");
  if (q.rounding != Rounding::stochastic) {
    std::vector<double> variance = step2_per_parameter(theta, layout, q);
    for (double& v : variance) v /= 12;
    return variance;
  }
  std::vector<double> variance(static_cast<size_t>(layout.size()), 0.0);
  if (!q.is_on()) return variance;
  for (const ParamBlock& block : layout.blocks()) {
    if (!block.is_quantizable()) continue;
    const std::vector<StepRange> ranges = step_ranges<double>(view(theta, block), q, block.rows);
    size_t next = 0;
    for_each_group(q, block.rows, block.cols, block.rows, [&](const StepGroup& g) {
      const StepRange& range = ranges[next++];
      for (Index r = g.row; r < g.row + g.rows; ++r)
        for (Index c = g.col; c < g.col + g.cols; ++c) {
          const Index i = block.offset + r * block.cols + c;
          variance[static_cast<size_t>(i)] = stochastic_variance(theta[i], range);
        }
    });
  }
  return variance;
}

}  // namespace hone
