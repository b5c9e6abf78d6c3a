#include "sim/train/mixed_precision.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace hone {
namespace {

constexpr double largest_scale = 0x1p60;  ///< so that scale·g of a gradient near 0 stays exact in float

bool overflows(const float* gradient, Index size, float scale) {
  return std::any_of(gradient, gradient + size, [scale](float g) {
    return std::isfinite(g) && std::isinf(rounded_to(NumberFormat::fp16, scale * g));
  });
}

bool round_scaled(float* gradient, Index size, LossScale& state) {
  const auto scale = static_cast<float>(state.scale);
  if (overflows(gradient, size, scale)) {
    state = {state.scale / 2, 0};
    return false;
  }
  for (Index i = 0; i < size; ++i) gradient[i] = rounded_to(NumberFormat::fp16, scale * gradient[i]) / scale;
  if (++state.good_updates == loss_scale_growth_interval) state = {std::min(2 * state.scale, largest_scale), 0};
  return true;
}

}  // namespace

bool round_gradient(NumberFormat format, float* gradient, Index size, LossScale& state) {
  if (format == NumberFormat::fp16) return round_scaled(gradient, size, state);
  if (format == NumberFormat::bf16) round_all(format, gradient, size, gradient);
  return true;
}

bool round_gradient(NumberFormat format, double*, Index, LossScale&) {
  EXPECTS(format == NumberFormat::fp32, "training in double with gradients in {}", name_of(format));
  return true;
}

}  // namespace hone
