#include "sim/formats/straight_through.hpp"

#include <cmath>

#include "sim/formats/name_table.hpp"

namespace hone {
namespace {

constexpr NameTable<SteKind, 3> ste_names{
    {{SteKind::identity, "identity"}, {SteKind::clipped, "clipped"}, {SteKind::llm_qat, "llm_qat"}}};
constexpr double llm_qat_clip = 2;

/// How far beyond its outermost values, in steps, a grid still holds x: half of the outermost cell.
double reach_beyond(Format format) {
  if (is_minifloat(format)) {
    const MinifloatShape shape = shape_of(format);
    return std::ldexp(1.0, std::ilogb(shape.max) - shape.mantissa_bits - 1);
  }
  if (!is_listed(format)) return 0.5;
  const ValueList& list = list_of(format);
  const auto last = static_cast<std::size_t>(list.count - 1);
  return (list.value[last] - list.value[last - 1]) / 2;
}

double top_of(int bits) {
  EXPECTS(bits >= 2 && bits < 16, "learned step: no grid of {} bits; take 2 to 15", bits);
  return std::ldexp(1.0, bits - 1) - 1;
}

}  // namespace

std::string_view name_of(SteKind kind) { return find_name(ste_names, kind); }
SteKind ste_from_name(std::string_view name) { return find_value(ste_names, "ste", name); }

template <class S>
S ste_mask(S x, const StepRange& range, SteKind kind) {
  if (kind == SteKind::identity) return 1;
  if (kind == SteKind::llm_qat) return static_cast<S>(std::abs(x) < S(llm_qat_clip));
  if (range.step == 0) return 1;
  const double v = (static_cast<double>(x) - range.offset) / range.step, reach = reach_beyond(range.format);
  const bool has_codes = range.format == Format::integer;
  const double low = has_codes ? range.code_min - range.zero_point : -max_value(range.format);
  const double high = has_codes ? range.code_max - range.zero_point : max_value(range.format);
  return static_cast<S>(v >= low - reach && v <= high + reach);
}

template <class S>
void apply_ste_mask(MatRef<S> dx, ConstMatRef<S> x, const Quantizer& q, SteKind kind, Index rows_per_tensor) {
  EXPECTS(dx.rows() == x.rows() && dx.cols() == x.cols(), "ste mask: {} x {} gradients of {} x {} values", dx.rows(),
          dx.cols(), x.rows(), x.cols());
  if (kind == SteKind::identity) return;
  std::vector<StepRange> ranges;
  if (kind == SteKind::clipped) ranges = step_ranges<S>(x, q, rows_per_tensor);
  std::size_t number = 0;
  for_each_group(q, x.rows(), x.cols(), rows_per_tensor, [&](const StepGroup& g) {
    const StepRange range = ranges.empty() ? StepRange{} : ranges[number++];
    for (Index r = g.row; r < g.row + g.rows; ++r)
      for (Index c = g.col; c < g.col + g.cols; ++c) dx(r, c) *= ste_mask<S>(x(r, c), range, kind);
  });
}

StepRange learned_range(double step, int bits) {
  EXPECTS(step > 0 && std::isfinite(step), "learned step: {}", step);
  return {.step = step, .code_min = -top_of(bits) - 1, .code_max = top_of(bits)};
}

template <class S>
double initial_learned_step(ConstMatRef<S> w, int bits) {
  EXPECTS(w.size() > 0, "learned step: no weights");
  double sum = 0;
  for (Index r = 0; r < w.rows(); ++r)
    for (Index c = 0; c < w.cols(); ++c) sum += std::abs(static_cast<double>(w(r, c)));
  return 2 * sum / static_cast<double>(w.size()) / std::sqrt(top_of(bits));
}

template <class S>
double learned_step_backward(MatRef<S> dw, ConstMatRef<S> w, double step, int bits) {
  const StepRange range = learned_range(step, bits);
  double sum = 0;
  for (Index r = 0; r < w.rows(); ++r)
    for (Index c = 0; c < w.cols(); ++c) {
      const double v = static_cast<double>(w(r, c)) / step, gradient = static_cast<double>(dw(r, c));
      if (v > range.code_min && v < range.code_max) {
        sum += gradient * (std::nearbyint(v) - v);
      } else {
        sum += gradient * (v < 0 ? range.code_min : range.code_max);
        dw(r, c) = 0;
      }
    }
  return sum / std::sqrt(static_cast<double>(w.size()) * range.code_max);
}

HONE_STRAIGHT_THROUGH_INSTANCES(, float)
HONE_STRAIGHT_THROUGH_INSTANCES(, double)

}  // namespace hone
