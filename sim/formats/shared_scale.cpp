#include "sim/formats/shared_scale.hpp"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

template <class S>
double block_absmax(ConstMatRef<S> m, Index first, Index width) {
  if (m.rows() == 0) return 0;
  const double absmax =
      static_cast<double>(m.middleCols(first, width).cwiseAbs().template maxCoeff<Eigen::PropagateNaN>());
  EXPECTS(std::isfinite(absmax), "shared scales: columns {} to {} hold the value {}; quantize finite values only",
          first, first + width - 1, absmax);
  return absmax;
}

/// Quantizes every block on the grid that its step has after `factor` of the block was divided out again.
template <class S, class Factor>
void quantize_blocks(MatRef<S> m, const SharedScales& scales, Factor&& factor) {
  const Index blocks = (m.cols() + scales.group - 1) / scales.group;
  EXPECTS(blocks == static_cast<Index>(scales.step.size()), "shared scales: {} blocks for {} columns in groups of {}",
          scales.step.size(), m.cols(), scales.group);
  const double top = std::ldexp(1.0, scales.bits - 1) - 1;
  for (Index b = 0; b < blocks; ++b) {
    const auto number = static_cast<std::size_t>(b);
    const StepRange range{
        .step = scales.step[number] * factor(scales.migration[number]), .code_min = -top, .code_max = top};
    const Index first = b * scales.group;
    fake_quantize_static<S>(m.middleCols(first, std::min(scales.group, m.cols() - first)), range,
                            Rounding::nearest_even);
  }
}

}  // namespace

template <class S>
SharedScales shared_scales(ConstMatRef<S> x, ConstMatRef<S> w, int bits, Index group, Balance balance) {
  EXPECTS(bits >= 2 && bits < 16 && group >= 1, "shared scales: {} bits, groups of {}", bits, group);
  EXPECTS(x.cols() == w.cols(), "shared scales: {} columns of inputs, {} of weights", x.cols(), w.cols());
  SharedScales scales{.bits = bits, .group = group, .step = {}, .migration = {}};
  const double top = std::ldexp(1.0, bits - 1) - 1;
  for (Index first = 0; first < x.cols(); first += group) {
    const Index width = std::min(group, x.cols() - first);
    const double a_x = block_absmax<S>(x, first, width), a_w = block_absmax<S>(w, first, width);
    const bool balances = balance == Balance::balanced && a_x > 0 && a_w > 0;
    scales.step.push_back((balances ? std::sqrt(a_x) * std::sqrt(a_w) : std::max(a_x, a_w)) / top);
    scales.migration.push_back(balances ? std::sqrt(a_x / a_w) : 1);
  }
  return scales;
}

template <class S>
void quantize_shared_inputs(MatRef<S> x, const SharedScales& scales) {
  quantize_blocks<S>(x, scales, [](double t) { return t; });
}

template <class S>
void quantize_shared_weights(MatRef<S> w, const SharedScales& scales) {
  quantize_blocks<S>(w, scales, [](double t) { return 1 / t; });
}

HONE_SHARED_SCALE_INSTANCES(, float)
HONE_SHARED_SCALE_INSTANCES(, double)

}  // namespace hone
