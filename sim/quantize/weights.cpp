#include "sim/quantize/weights.hpp"

#include <cmath>
#include <limits>

namespace hone {
namespace {

/// Whether the nearest code of x has to be pulled back into the grid; for formats with values of their own, whether x is
/// beyond the largest.
template <class S>
bool is_clipped(S x, const StepRange& range, Rounding rounding) {
  if (range.step == 0) return false;
  if (range.format != Format::integer) return std::abs(double(x)) > std::abs(range.step) * max_value(range.format);
  const S v = (x - static_cast<S>(range.offset)) / static_cast<S>(range.step * range.gain);
  const S nearest = rounding == Rounding::half_away ? std::round(v) : std::nearbyint(v);
  const double code = static_cast<double>(nearest) + range.zero_point;
  return code < range.code_min || code > range.code_max;
}

/// Whether all neighbouring levels of a group lie one step apart.
bool is_even_grid(const Quantizer& q) {
  return q.format == Format::integer || q.format == Format::ternary || q.format == Format::mxint8;
}

/// Compares a block before and after; the quantizer is on.
template <class S>
void measure(ConstMatView<S> before, ConstMatView<S> after, const Quantizer& q, BlockReport& report) {
  double error2 = 0, power = 0, step2 = 0;
  Index clipped = 0;
  const std::vector<StepRange> ranges = step_ranges<S>(before, q, before.rows());
  size_t next = 0;
  for_each_group(q, before.rows(), before.cols(), before.rows(), [&](const StepGroup& g) {
    const StepRange& range = ranges[next++];
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
  report.mean_step2 = is_even_grid(q) ? step2 / count : std::nan("");
  if (error2 > 0) report.sqnr_db = 10 * std::log10(power / error2);
  report.clip_fraction = static_cast<double>(clipped) / count;
}

}  // namespace

template <class S>
void fake_quantize_block(S* theta, const ParamLayout& layout, size_t number, const Quantizer& q) {
  const ParamBlock& block = layout.blocks()[number];
  Quantizer own = q;
  own.substream = static_cast<std::uint32_t>(number);
  fake_quantize<S>(view(theta, block), own, block.rows);
}

template <class S>
QuantizedWeights<S> quantize_weights(const S* theta, const ParamLayout& layout, const Quantizer& q) {
  q.validate("weights");
  QuantizedWeights<S> result;
  result.theta.assign(theta, theta + layout.size());
  double total_bits = 0;
  for (size_t number = 0; number < layout.blocks().size(); ++number) {
    const ParamBlock& block = layout.blocks()[number];
    if (!block.is_quantizable()) continue;
    fake_quantize_block(result.theta.data(), layout, number, q);
    BlockReport report{.name = block.name,
                       .count = block.size(),
                       .sqnr_db = std::numeric_limits<double>::infinity(),
                       .bits_per_weight = bits_per_weight(q, block.rows, block.cols)};
    const S* after = result.theta.data();
    if (q.is_on()) measure<S>(view(theta, block), view(after, block), q, report);
    total_bits += report.bits_per_weight * static_cast<double>(report.count);
    result.blocks.push_back(std::move(report));
  }
  const Index count = layout.quantizable_size();
  result.bits_per_weight = count > 0 ? total_bits / static_cast<double>(count) : 16;
  return result;
}

std::vector<double> step2_per_parameter(const double* theta, const ParamLayout& layout, const Quantizer& q) {
  q.validate("weights");
  EXPECTS(!q.is_on() || is_even_grid(q), "squared steps of {}, whose levels are not evenly spaced", name_of(q.format));
  std::vector<double> step2(static_cast<size_t>(layout.size()), 0.0);
  if (!q.is_on()) return step2;
  for (const ParamBlock& block : layout.blocks()) {
    if (!block.is_quantizable()) continue;
    const std::vector<StepRange> ranges = step_ranges<double>(view(theta, block), q, block.rows);
    size_t next = 0;
    for_each_group(q, block.rows, block.cols, block.rows, [&](const StepGroup& g) {
      const Index first = block.offset + g.row * block.cols + g.col;
      const double step = ranges[next++].step;
      for (Index r = 0; r < g.rows; ++r)
        for (Index c = 0; c < g.cols; ++c) step2[static_cast<size_t>(first + r * block.cols + c)] = step * step;
    });
  }
  return step2;
}

template void fake_quantize_block(float*, const ParamLayout&, size_t, const Quantizer&);
template void fake_quantize_block(double*, const ParamLayout&, size_t, const Quantizer&);
template QuantizedWeights<float> quantize_weights(const float*, const ParamLayout&, const Quantizer&);
template QuantizedWeights<double> quantize_weights(const double*, const ParamLayout&, const Quantizer&);

}  // namespace hone
