#include "sim/formats/range_choice.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "sim/base/error.hpp"

namespace hone {
namespace {

constexpr double ternary_floor = 1e-5, llm_qat_floor = 1e-6, llm_qat_span_floor = 1e-8;

/// The values that share a step.
template <class S>
struct Window {
  const S* values;
  Index rows, cols, stride;
};

template <class S>
struct Extremes {
  S low = 0, high = 0;
  bool finite = true;
};

/// Extremes of the values and of `start`. The test for NaN and infinity is a sum of 0·x, which is 0 or
/// NaN in any order, so that the loop has no branch and vectorizes.
template <class S>
Extremes<S> extremes(const Window<S>& w, S start) {
  S low = start, high = start, poison = 0;
  if (w.cols == 1) {  // a loop of one pass per row would cost ten times as much
    for (Index r = 0; r < w.rows; ++r) {
      const S x = w.values[r * w.stride];
      low = std::min(low, x), high = std::max(high, x), poison += x * S(0);
    }
    return {low, high, poison == S(0)};
  }
  for (Index r = 0; r < w.rows; ++r) {
    const S* row = w.values + r * w.stride;
#pragma omp simd reduction(min : low) reduction(max : high) reduction(+ : poison)
    for (Index c = 0; c < w.cols; ++c) {
      low = row[c] < low ? row[c] : low;
      high = row[c] > high ? row[c] : high;
      poison += row[c] * S(0);
    }
  }
  return {low, high, poison == S(0)};
}

template <class S>
[[noreturn]] void refuse_non_finite(const Window<S>& w) {
  for (Index r = 0; r < w.rows; ++r)
    for (Index c = 0; c < w.cols; ++c)
      EXPECTS(std::isfinite(w.values[r * w.stride + c]),
              "quantizer: the value at row {}, column {} of a group of {} x {} is {}; quantize "
              "finite values only",
              r, c, w.rows, w.cols, w.values[r * w.stride + c]);
  throw ContractError("quantizer: a non-finite value vanished between two passes over the same group");
}

/// Mean of body(x) over the values, summed in double.
template <class S, class Body>
double mean_over(const Window<S>& w, Body&& body) {
  double sum = 0;
  for (Index r = 0; r < w.rows; ++r)
    for (Index c = 0; c < w.cols; ++c) sum += body(static_cast<double>(w.values[r * w.stride + c]));
  return sum / static_cast<double>(w.rows * w.cols);
}

/// v in half precision, ties to even.
double half_precision(double v) {
  static const StepRange e5m10{.step = 1, .format = minifloat(5, 10)};
  EXPECTS(std::abs(v) < 65520,
          "quantizer: {} is beyond half precision, at most 65504; rescale the values, or take "
          "scale 'real'",
          v);
  return quantize_value<double>(v, e5m10, Rounding::nearest_even, 0.5);
}

/// A step or minimum as codes are taken with it.
template <class S>
S used_scale(S value, const Quantizer& q) {
  return q.scale == ScaleKind::fp16 ? static_cast<S>(half_precision(static_cast<double>(value))) : value;
}

/// The range with the scale that its values are made with.
StepRange with_stored_scale(StepRange range, const Quantizer& q) {
  if (q.scale != ScaleKind::fp16_stored) return range;
  range.step_shift = half_precision(range.step) - range.step;
  range.offset_shift = half_precision(range.offset) - range.offset;
  return range;
}

bool has_zero_level(Grid grid) { return grid != Grid::float_min && grid != Grid::llm_qat_asymmetric; }

/// The step of the grid and of its codes; half = 2^(bits-1).
template <class S>
StepRange integer_range(S low, S high, const Quantizer& q) {
  const S absmax = std::max(-low, high);
  const double half = std::ldexp(1.0, q.bits - 1);
  StepRange range{.code_min = -half, .code_max = half - 1};
  const S levels = static_cast<S>(half), top = static_cast<S>(half - 1), span = static_cast<S>(2 * half - 1);
  S step = 0;
  switch (q.grid) {
    case Grid::restricted: range.code_min = 1 - half; [[fallthrough]];
    case Grid::full: step = absmax / top; break;
    case Grid::midrise:
      step = absmax / (span / 2);  // equals 2·absmax/span, without its overflow
      break;
    case Grid::no_clip: step = std::max(-low / levels, high / top); break;
    case Grid::signed_absmax: step = (-low >= high ? low : high) / -levels; break;
    case Grid::asymmetric:
    case Grid::float_min: step = (high - low) / span; break;
    case Grid::llm_qat:
      EXPECTS(q.bits > 2, "quantizer: llm_qat at {} bits scales by the mean of |x|, not by a range", q.bits);
      range.code_min = 1 - half;
      step = (absmax + static_cast<S>(llm_qat_floor)) / top;
      range.gain = 1 / (1 + llm_qat_floor * static_cast<double>(step));
      break;
    case Grid::llm_qat_asymmetric: step = (high - low + static_cast<S>(llm_qat_span_floor)) / span; break;
  }
  step = used_scale(step, q);
  if (q.grid == Grid::asymmetric && step > 0) range.zero_point = static_cast<double>(std::nearbyint(-low / step));
  if (q.grid == Grid::asymmetric || !has_zero_level(q.grid)) range.code_min = 0, range.code_max = 2 * half - 1;
  if (!has_zero_level(q.grid)) range.offset = static_cast<double>(used_scale(low, q));
  range.step = static_cast<double>(step);
  return range;
}

double largest_element(const Quantizer& q) {
  return q.format == Format::integer ? std::ldexp(1.0, q.bits - 1) - 1 : max_value(q.format);
}

/// The scale with which the largest element reaches absmax, as far as the kind of scale can express it.
template <class S>
S symmetric_step(S absmax, const Quantizer& q, std::optional<double> tensor_absmax) {
  const double largest = largest_element(q);
  if (is_real(q.scale) || absmax == 0) return used_scale(absmax / static_cast<S>(largest), q);
  if (q.scale == ScaleKind::e4m3_two_level) {
    EXPECTS(tensor_absmax.has_value() && *tensor_absmax > 0,
            "quantizer: scale e4m3_two_level needs the largest |x| of the tensor; take step_ranges");
    const S top = static_cast<S>(max_value(Format::e4m3));
    const S global = top * static_cast<S>(largest) / static_cast<S>(*tensor_absmax);
    const StepRange e4m3{.step = 1, .format = Format::e4m3};
    return quantize_value<S>(global * absmax / static_cast<S>(largest), e4m3, Rounding::nearest_even, 0.5) / global;
  }
  int exponent = std::ilogb(absmax) - std::ilogb(largest);
  if (q.scale == ScaleKind::e8m0_ceil) {
    const double ratio = static_cast<double>(absmax) / largest;
    exponent = std::ilogb(ratio);
    if (std::ldexp(1.0, exponent) < ratio) ++exponent;
  }
  return std::ldexp(S(1), std::clamp(exponent, -127, 127));
}

template <class S>
StepRange element_range(S absmax, const Quantizer& q, std::optional<double> tensor_absmax) {
  const double top = q.format == Format::integer ? largest_element(q) : top_code(q.format);
  StepRange range{.code_min = codes_are_places(q.format) ? 0 : -top, .code_max = top};
  range.step = static_cast<double>(symmetric_step(absmax, q, tensor_absmax));
  if (is_minifloat(q.format) || is_listed(q.format)) range.format = q.format;
  return range;
}

/// Grids whose step is a mean of |x|.
bool scales_by_mean(const Quantizer& q) {
  if (q.format == Format::ternary) return q.rule == ScaleRule::absmax;
  return q.format == Format::integer && q.grid == Grid::llm_qat && q.bits <= 2;
}

template <class S>
StepRange mean_range(const Window<S>& w, const Quantizer& q) {
  const double mean = static_cast<double>(static_cast<S>(mean_over(w, [](double x) { return std::abs(x); })));
  if (q.format == Format::ternary)
    return with_stored_scale({.step = static_cast<double>(used_scale(static_cast<S>(std::max(mean, ternary_floor)), q)),
                              .code_min = -1,
                              .code_max = 1},
                             q);
  const double half = std::ldexp(1.0, q.bits - 1), step = q.bits == 1 ? 2 * mean : mean;
  return {.step = step, .code_min = -half, .code_max = half - 1, .offset = step / 2};
}

/// The levels of q in units of its step, about the centre of the grid.
std::vector<double> levels_of(const Quantizer& q) {
  if (q.format != Format::integer) return levels(q.format);
  const double half = std::ldexp(1.0, q.bits - 1);
  const bool is_centred = q.grid == Grid::asymmetric || q.grid == Grid::float_min;
  const double low = q.grid == Grid::restricted ? 1 - half : is_centred ? 0.5 - half : -half;
  std::vector<double> out;
  for (double level = low; level < half; ++level) out.push_back(level);
  return out;
}

/// The best step for a standard normal, computed once per set of levels.
double kept_gaussian_step(const Quantizer& q) {
  static std::mutex mutex;
  static std::map<std::tuple<Format, int, Grid>, double> kept;
  const std::lock_guard lock(mutex);
  const auto [place, is_new] = kept.try_emplace({q.format, q.bits, q.grid}, 0);
  if (is_new) place->second = gaussian_step(levels_of(q));
  return place->second;
}

/// The extremes from which the grid of q has the best step for a normal: about 0, or about the mean where the grid
/// follows its values. `seen` decides the side of the extra level on signed_absmax.
template <class S>
Extremes<S> gaussian_extremes(const Window<S>& w, const Quantizer& q, const Extremes<S>& seen) {
  const bool follows_mean = q.format == Format::integer && (q.grid == Grid::asymmetric || q.grid == Grid::float_min);
  const double mean = follows_mean ? mean_over(w, [](double x) { return x; }) : 0;
  const double step =
      kept_gaussian_step(q) * std::sqrt(mean_over(w, [&](double x) { return (x - mean) * (x - mean); }));
  const double top = largest_element(q), half_span = std::ldexp(1.0, q.bits - 1) - 0.5;
  double low = -top * step, high = top * step;
  if (q.format == Format::integer) {
    if (q.grid == Grid::no_clip) low = -(top + 1) * step;
    if (q.grid == Grid::midrise) low = -half_span * step, high = -low;
    if (q.grid == Grid::signed_absmax) (-seen.low >= seen.high ? low : high) *= (top + 1) / top;
    if (follows_mean) low = mean - half_span * step, high = mean + half_span * step;
    if (q.grid == Grid::asymmetric) low = std::min(low, 0.0), high = std::max(high, 0.0);
  }
  return {static_cast<S>(low), static_cast<S>(high)};
}

template <class S>
StepRange grid_over(S low, S high, const Quantizer& q, std::optional<double> tensor_absmax) {
  EXPECTS(q.scale != ScaleKind::double_quantized,
          "quantizer: scale double_quantized needs the steps of the whole tensor; take step_ranges");
  const bool is_plain = q.format == Format::integer && is_real(q.scale);
  const StepRange range = with_stored_scale(
      is_plain ? integer_range(low, high, q) : element_range(std::max(-low, high), q, tensor_absmax), q);
  const S largest = is_plain ? S(1) : static_cast<S>(largest_element(q));
  EXPECTS(std::isfinite(static_cast<S>(range.step) * largest),
          "quantizer: the step of values in [{}, {}] overflows; rescale them", low, high);
  return range;
}

/// Shrinks the extremes by 1, .99, … .21 and keeps the grid of least Σ|q(x)-x|^exponent, of equal ones the widest.
template <class S>
StepRange searched_range(const Window<S>& w, const Extremes<S>& e, const Quantizer& q,
                         std::optional<double> tensor_absmax) {
  const double exponent = q.rule_value > 0 ? q.rule_value : 2;
  const Rounding rounding = q.rounding == Rounding::half_away ? Rounding::half_away : Rounding::nearest_even;
  std::vector<S> quantized(static_cast<std::size_t>(w.cols));
  StepRange best = grid_over<S>(e.low, e.high, q, tensor_absmax);  // should no error be finite
  double least = INFINITY;
  for (int i = 0; i < 80; ++i) {
    const S p = static_cast<S>(1 - i / 100.0);
    const StepRange range = grid_over<S>(p * e.low, p * e.high, q, tensor_absmax);
    double error = 0;
    for (Index r = 0; r < w.rows; ++r) {
      const S* row = w.values + r * w.stride;
      std::copy(row, row + w.cols, quantized.begin());
      quantize_values<S>(quantized.data(), w.cols, range, rounding, {}, 0);
      for (Index c = 0; c < w.cols; ++c) {
        const double d = std::abs(static_cast<double>(quantized[static_cast<std::size_t>(c)]) - double(row[c]));
        error += exponent == 2 ? d * d : std::pow(d, exponent);
      }
    }
    if (error < least) least = error, best = range;
  }
  return best;
}

}  // namespace

template <class S>
StepRange range_of_extremes(S low, S high, const Quantizer& q, std::optional<double> tensor_absmax) {
  EXPECTS(q.is_on() && low <= high, "quantizer: no grid for the range [{}, {}]", low, high);
  const bool takes_zero = q.format != Format::integer || has_zero_level(q.grid);
  return takes_zero ? grid_over<S>(std::min(low, S(0)), std::max(high, S(0)), q, tensor_absmax)
                    : grid_over<S>(low, high, q, tensor_absmax);
}

template <class S>
StepRange step_range(const S* values, Index rows, Index cols, Index stride, const Quantizer& q,
                     std::optional<double> tensor_absmax) {
  EXPECTS(q.is_on() && (q.format != Format::integer || q.bits >= 1), "quantizer: no grid of {} bits", q.bits);
  const Window<S> w{values, rows, cols, stride};
  const bool takes_zero = q.format != Format::integer || has_zero_level(q.grid);
  Extremes<S> e = extremes(w, takes_zero ? S(0) : values[0]);
  if (!e.finite) refuse_non_finite(w);
  if (scales_by_mean(q)) return mean_range(w, q);
  switch (q.rule) {
    case ScaleRule::absmax: break;
    case ScaleRule::clip: {
      const S ratio = static_cast<S>(q.rule_value > 0 ? q.rule_value : 0.9);
      e.low *= ratio, e.high *= ratio;
      break;
    }
    case ScaleRule::percentile: {
      const S cut = absolute_percentile(values, rows, cols, stride, q.rule_value > 0 ? q.rule_value : 99.9);
      e.low = std::clamp(e.low, -cut, cut), e.high = std::clamp(e.high, -cut, cut);
      break;
    }
    case ScaleRule::mse: return searched_range(w, e, q, tensor_absmax);
    case ScaleRule::gaussian: e = gaussian_extremes(w, q, e); break;
  }
  return grid_over<S>(e.low, e.high, q, tensor_absmax);
}

template StepRange step_range<float>(const float*, Index, Index, Index, const Quantizer&, std::optional<double>);
template StepRange step_range<double>(const double*, Index, Index, Index, const Quantizer&, std::optional<double>);
template StepRange range_of_extremes<float>(float, float, const Quantizer&, std::optional<double>);
template StepRange range_of_extremes<double>(double, double, const Quantizer&, std::optional<double>);

}  // namespace hone
