#include "sim/formats/scale_rule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sim/base/error.hpp"
#include "sim/formats/name_table.hpp"

namespace hone {
namespace {

constexpr NameTable<ScaleRule, 5> rule_names{{{ScaleRule::absmax, "absmax"},
                                              {ScaleRule::clip, "clip"},
                                              {ScaleRule::percentile, "percentile"},
                                              {ScaleRule::mse, "mse"},
                                              {ScaleRule::gaussian, "gaussian"}}};
constexpr NameTable<ScaleKind, 7> kind_names{{{ScaleKind::real, "real"},
                                              {ScaleKind::fp16, "fp16"},
                                              {ScaleKind::fp16_stored, "fp16_stored"},
                                              {ScaleKind::double_quantized, "double_quantized"},
                                              {ScaleKind::e8m0, "e8m0"},
                                              {ScaleKind::e8m0_ceil, "e8m0_ceil"},
                                              {ScaleKind::e4m3_two_level, "e4m3_two_level"}}};

double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }

/// Φ(b) - Φ(a), without cancellation in the tails.
double normal_mass(double a, double b) {
  if (a >= 0) return (std::erfc(a / std::numbers::sqrt2) - std::erfc(b / std::numbers::sqrt2)) / 2;
  return (std::erfc(-b / std::numbers::sqrt2) - std::erfc(-a / std::numbers::sqrt2)) / 2;
}

}  // namespace

std::string_view name_of(ScaleRule rule) { return find_name(rule_names, rule); }
std::string_view name_of(ScaleKind kind) { return find_name(kind_names, kind); }
ScaleKind scale_kind_from_name(std::string_view name) { return find_value(kind_names, "scale", name); }

double gaussian_error(const std::vector<double>& levels, double step) {
  double error = 1, left = -INFINITY;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const double level = step * levels[i];
    const double right = i + 1 < levels.size() ? step * (levels[i] + levels[i + 1]) / 2 : INFINITY;
    error += level * (level * normal_mass(left, right) - 2 * (normal_density(left) - normal_density(right)));
    left = right;
  }
  return error;
}

double gaussian_step(const std::vector<double>& levels) {
  EXPECTS(levels.size() >= 2 && levels.front() < 0 && levels.back() > 0, "gaussian step: {} levels", levels.size());
  const double reach = std::max(-levels.front(), levels.back());
  // Formats with exponent bits have many local minima; a scan of the ratio reach·step from 1/4 to 64 brackets the best.
  constexpr int brackets = 200;
  const auto candidate = [&](double i) { return std::exp2(-2 + 8 * i / brackets) / reach; };
  int best = 0;
  double least = INFINITY;
  for (int i = 0; i <= brackets; ++i) {
    const double error = gaussian_error(levels, candidate(i));
    if (error < least) least = error, best = i;
  }
  constexpr double ratio = 1 / std::numbers::phi;
  double low = candidate(best - 1), high = candidate(best + 1);
  while (high - low > 1e-8 * high) {
    const double a = high - ratio * (high - low), b = low + ratio * (high - low);
    if (gaussian_error(levels, a) < gaussian_error(levels, b))
      high = b;
    else
      low = a;
  }
  return (low + high) / 2;
}

template <class S>
S absolute_percentile(const S* values, Index rows, Index cols, Index stride, double percent) {
  EXPECTS(percent > 0 && percent <= 100 && rows * cols > 0, "percentile {} of {} x {} values", percent, rows, cols);
  std::vector<S> magnitudes;
  magnitudes.reserve(static_cast<std::size_t>(rows * cols));
  for (Index r = 0; r < rows; ++r)
    for (Index c = 0; c < cols; ++c) magnitudes.push_back(std::abs(values[r * stride + c]));
  const auto rank = static_cast<std::ptrdiff_t>(std::ceil(percent / 100 * static_cast<double>(rows * cols)));
  const auto place = magnitudes.begin() + std::max<std::ptrdiff_t>(rank, 1) - 1;
  std::nth_element(magnitudes.begin(), place, magnitudes.end());
  return *place;
}

template float absolute_percentile<float>(const float*, Index, Index, Index, double);
template double absolute_percentile<double>(const double*, Index, Index, Index, double);

}  // namespace hone
