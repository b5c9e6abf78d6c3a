#include "sim/formats/double_quantization.hpp"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

std::array<double, 256> make_values() {
  std::array<double, 256> values{};
  std::size_t next = 0;
  values[next++] = 0, values[next++] = 1;
  for (int i = 0; i < 7; ++i) {
    const int parts = 1 << i;
    for (int k = 0; k < parts; ++k) {
      const double middle = (0.1 + 0.9 * (k + 0.5) / parts) * std::pow(10.0, i - 6);
      values[next++] = middle, values[next++] = -middle;
    }
  }
  std::sort(values.begin(), values.end());
  return values;
}

/// Of two equally near values the lower one.
double nearest_value(double x) {
  const std::array<double, 256>& values = dynamic_8bit_values();
  const auto above = std::lower_bound(values.begin(), values.end(), x);
  if (above == values.begin()) return *above;
  if (above == values.end()) return values.back();
  return x - above[-1] <= *above - x ? above[-1] : *above;
}

}  // namespace

const std::array<double, 256>& dynamic_8bit_values() {
  static const std::array<double, 256> values = make_values();
  return values;
}

std::vector<double> double_quantized(const std::vector<double>& scales) {
  double mean = 0;
  for (double scale : scales) mean += scale;
  if (!scales.empty()) mean /= static_cast<double>(scales.size());
  std::vector<double> stored(scales.size(), mean);
  for (std::size_t first = 0; first < scales.size(); first += double_quantization_block) {
    const std::size_t last = std::min(scales.size(), first + double_quantization_block);
    double largest = 0;
    for (std::size_t i = first; i < last; ++i) largest = std::max(largest, std::abs(scales[i] - mean));
    if (largest == 0) continue;
    for (std::size_t i = first; i < last; ++i) stored[i] += largest * nearest_value((scales[i] - mean) / largest);
  }
  return stored;
}

}  // namespace hone
