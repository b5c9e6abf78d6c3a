#include "sim/quantize/weights.hpp"

#include <cmath>
#include <limits>

namespace hone {
namespace {

/// Whether the nearest code of x has to be pulled back into the grid.
template <class S>
bool is_clipped(S x, const StepRange& range, Rounding rounding) {
  if (range.step == 0) return false;
  const S v = x / static_cast<S>(range.step);
  const S nearest = rounding == Rounding::half_away ? std::round(v) : std::nearbyint(v);
  const double code = static_cast<double>(nearest) + range.zero_point;
  return code < range.code_min || code > range.code_max;
}

/// Compares a block before and after; the quantizer is on.
template <class S>
void measure(ConstMatView<S> before, ConstMatView<S> after, const Quantizer& q, BlockReport& report) {
  double error2 = 0, power = 0, step2 = 0;
  Index clipped = 0;
  for_each_group(q, before.rows(), before.cols(), before.rows(), [&](const StepGroup& g) {
    const S* begin = &before.coeffRef(g.row, g.col);
    const StepRange range = step_range<S>(begin, g.rows, g.cols, before.cols(), q);
    step2 += range.step * range.step * static_cast<double>(g.rows * g.cols);
    for (Index r = g.row; r < g.row + g.rows; ++r)
      for (Index c = g.col; c < g.col + g.cols; ++c) {
        const double w = static_cast<double>(before(r, c));
        const double error = static_cast<double>(after(r, c)) - w;
        error2 += error * error;
        power += w * w;
        clipped += is_clipped(before(r, c), range, q.rounding);
      }
  });
  const double count = static_cast<double>(report.count);
  report.mse = error2 / count;
  report.mean_step2 = step2 / count;
  if (error2 > 0) report.sqnr_db = 10 * std::log10(power / error2);
  report.clip_fraction = static_cast<double>(clipped) / count;
}

}  // namespace

template <class S>
QuantizedWeights<S> quantize_weights(const S* theta, const ParamLayout& layout, const Quantizer& q) {
  q.validate("weights");
  QuantizedWeights<S> result;
  result.theta.assign(theta, theta + layout.size());
  double total_bits = 0;
  for (size_t number = 0; number < layout.blocks().size(); ++number) {
    const ParamBlock& block = layout.blocks()[number];
    if (!block.is_quantizable()) continue;
    Quantizer own = q;
    own.substream = static_cast<std::uint32_t>(number);
    fake_quantize<S>(view(result.theta.data(), block), own, block.rows);
    BlockReport report{.name = block.name,
                       .count = block.size(),
                       .sqnr_db = std::numeric_limits<double>::infinity(),
                       .bits_per_weight = bits_per_weight(q, block.rows, block.cols)};
    const S* after = result.theta.data();
    if (q.is_on()) measure<S>(view(theta, block), view(after, block), own, report);
    total_bits += report.bits_per_weight * static_cast<double>(report.count);
    result.blocks.push_back(std::move(report));
  }
  const Index count = layout.quantizable_size();
  result.bits_per_weight = count > 0 ? total_bits / static_cast<double>(count) : 16;
  return result;
}

std::vector<double> step2_per_parameter(const double* theta, const ParamLayout& layout, const Quantizer& q) {
  q.validate("weights");
  std::vector<double> step2(static_cast<size_t>(layout.size()), 0.0);
  if (!q.is_on()) return step2;
  for (const ParamBlock& block : layout.blocks()) {
    if (!block.is_quantizable()) continue;
    for_each_group(q, block.rows, block.cols, block.rows, [&](const StepGroup& g) {
      const Index first = block.offset + g.row * block.cols + g.col;
      const double step = step_range<double>(theta + first, g.rows, g.cols, block.cols, q).step;
      for (Index r = 0; r < g.rows; ++r)
        for (Index c = 0; c < g.cols; ++c) step2[static_cast<size_t>(first + r * block.cols + c)] = step * step;
    });
  }
  return step2;
}

template QuantizedWeights<float> quantize_weights(const float*, const ParamLayout&, const Quantizer&);
template QuantizedWeights<double> quantize_weights(const double*, const ParamLayout&, const Quantizer&);

}  // namespace hone
