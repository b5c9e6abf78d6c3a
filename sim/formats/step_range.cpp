#include "sim/formats/step_range.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>

#include "sim/formats/integer_grid.hpp"

namespace hone {
namespace {

/// An integer grid and what a code of 0 stands for.
template <class S>
struct IntegerElement {
  explicit IntegerElement(const StepRange& range)
      : grid{static_cast<S>(range.step), static_cast<S>(range.code_min - range.zero_point),
             static_cast<S>(range.code_max - range.zero_point)},
        zero_point(static_cast<S>(range.zero_point)) {}

  template <Rounding rounding>
  S value(S x, double u) const {
    return rounded<rounding>(grid.clipped(x), u) * grid.step;
  }
  template <Rounding rounding>
  S code(S x, double u) const {
    return rounded<rounding>(grid.clipped(x), u) + zero_point;
  }

  IntegerGrid<S> grid;
  S zero_point;
};

/// An integer grid whose code 0 is not the value 0, or whose stored step is not the one that codes are taken with. Apart
/// from IntegerElement, for adding an offset of 0 would turn -0 into 0 and cost an addition.
template <class S>
struct ShiftedElement {
  explicit ShiftedElement(const StepRange& range)
      : unshifted(range),
        offset(static_cast<S>(range.offset)),
        decode_offset(static_cast<S>(range.stored_offset())),
        decode_step(static_cast<S>(range.stored_step())) {}

  template <Rounding rounding>
  S value(S x, double u) const {
    return rounded<rounding>(unshifted.grid.clipped(x - offset), u) * decode_step + decode_offset;
  }
  template <Rounding rounding>
  S code(S x, double u) const {
    return rounded<rounding>(unshifted.grid.clipped(x - offset), u) + unshifted.zero_point;
  }

  IntegerElement<S> unshifted;
  S offset, decode_offset, decode_step;
};

/// The power of two at or below |v|, 0 for subnormal v: the exponent field alone.
template <class S>
S power_below(S v) {
  using Bits = std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>;
  constexpr Bits exponent = sizeof(S) == 4 ? Bits(0x7f800000u) : static_cast<Bits>(0x7ff0000000000000ull);
  return std::bit_cast<S>(std::bit_cast<Bits>(v) & exponent);
}

/// A minifloat: inside a binade it is an integer grid whose step is the binade over 2^M.
template <class S>
struct MinifloatElement {
  explicit MinifloatElement(const StepRange& range)
      : step(static_cast<S>(range.step)), decode_step(static_cast<S>(range.stored_step())) {
    const MinifloatShape shape = shape_of(range.format);
    max = static_cast<S>(shape.max);
    min_power = static_cast<S>(std::ldexp(1.0, shape.min_exponent));
    fraction = static_cast<S>(std::ldexp(1.0, -shape.mantissa_bits));
  }

  S clipped(S x) const {
    const S v = x / step;
    return v < -max ? -max : (v > max ? max : v);
  }
  S quantum(S v) const {
    const S power = power_below(v);
    return (power < min_power ? min_power : power) * fraction;
  }
  template <Rounding rounding>
  S value(S x, double u) const {
    const S v = clipped(x), q = quantum(v);
    return rounded<rounding>(v / q, u) * q * decode_step;
  }
  /// Codes count the values from 0: 2^M per binade, and as many below the smallest normal value.
  template <Rounding rounding>
  S code(S x, double u) const {
    const S v = clipped(x), q = quantum(v);
    const int binade = std::ilogb(q) - std::ilogb(min_power * fraction);
    return rounded<rounding>(v / q, u) + std::copysign(static_cast<S>(binade) / fraction, v);
  }

  S step, decode_step, max, min_power, fraction;
};

/// A list of values: a binary search among 15 thresholds, in double so that float data meet exact midpoints.
template <class S>
struct ListElement {
  explicit ListElement(const StepRange& range)
      : list(list_of(range.format)),
        step(static_cast<S>(range.step)),
        decode_step(static_cast<S>(range.stored_step())),
        zero_place(range.code_min < 0 ? list.count / 2 : 0) {}

  static int below(const std::array<double, 15>& thresholds, double v) {
    int place = 0;
    for (const int half : {8, 4, 2, 1}) place += v > thresholds[static_cast<std::size_t>(place + half - 1)] ? half : 0;
    return place;
  }
  int lower_neighbour(double v) const {
    const auto end = list.value.begin() + list.count;
    const auto above = std::upper_bound(list.value.begin() + 1, end - 1, v);
    return static_cast<int>(above - list.value.begin()) - 1;
  }
  template <Rounding rounding>
  int place(S x, double u) const {
    const double v = static_cast<double>(x / step);
    if constexpr (rounding == Rounding::nearest_even) return below(list.nearest, v);
    if constexpr (rounding == Rounding::half_away) return below(list.half_away, v);
    const auto lower = static_cast<std::size_t>(lower_neighbour(v));
    const double low = list.value[lower], high = list.value[lower + 1];
    return static_cast<int>(lower) + (u < (v - low) / (high - low));
  }
  template <Rounding rounding>
  S value(S x, double u) const {
    return static_cast<S>(list.value[static_cast<std::size_t>(place<rounding>(x, u))]) * decode_step;
  }
  template <Rounding rounding>
  S code(S x, double u) const {
    return static_cast<S>(place<rounding>(x, u) - zero_place);
  }

  const ValueList& list;
  S step, decode_step;
  int zero_place;
};

/// Calls body with the element that works on `range`.
template <class S, class Body>
decltype(auto) with_element(const StepRange& range, Body&& body) {
  if (is_minifloat(range.format)) return body(MinifloatElement<S>(range));
  if (is_listed(range.format)) return body(ListElement<S>(range));
  if (range.offset != 0 || range.gain != 1 || range.step_shift != 0) return body(ShiftedElement<S>(range));
  return body(IntegerElement<S>(range));
}

/// The code of the value that stands for a group without a step.
template <class S>
S code_of_constant(const StepRange& range) {
  if (!codes_are_places(range.format)) return static_cast<S>(range.zero_point);
  const auto& value = list_of(range.format).value;
  return static_cast<S>(std::find(value.begin(), value.end(), 0.0) - value.begin());
}

}  // namespace

template <class S>
S code(S x, const StepRange& range, Rounding rounding, double u) {
  if (range.step == 0) return code_of_constant<S>(range);
  return with_element<S>(range, [&](const auto& element) {
    if (rounding == Rounding::nearest_even) return element.template code<Rounding::nearest_even>(x, u);
    if (rounding == Rounding::half_away) return element.template code<Rounding::half_away>(x, u);
    return element.template code<Rounding::stochastic>(x, u);
  });
}

template <class S>
S quantize_value(S x, const StepRange& range, Rounding rounding, double u) {
  if (range.step == 0) return static_cast<S>(range.stored_offset());
  return with_element<S>(range, [&](const auto& element) {
    if (rounding == Rounding::nearest_even) return element.template value<Rounding::nearest_even>(x, u);
    if (rounding == Rounding::half_away) return element.template value<Rounding::half_away>(x, u);
    return element.template value<Rounding::stochastic>(x, u);
  });
}

template <class S>
void quantize_values(S* values, Index count, const StepRange& range, Rounding rounding, const Stream& stream,
                     Index first, Index draw_stride) {
  if (range.step == 0) {
    std::fill(values, values + count, static_cast<S>(range.stored_offset()));
    return;
  }
  with_element<S>(range, [&](const auto& shared) {
    if constexpr (std::is_same_v<decltype(shared), const IntegerElement<S>&>) {
      if (rounding == Rounding::nearest_even) return round_to_even<S>(values, count, shared.grid);
      if (rounding == Rounding::half_away) return round_half_away<S>(values, count, shared.grid);
    }
    const auto element = shared;  // a copy of known address, so that no store to `values` can change it
    switch (rounding) {
      case Rounding::nearest_even:
        for (Index i = 0; i < count; ++i) values[i] = element.template value<Rounding::nearest_even>(values[i], 0);
        return;
      case Rounding::half_away:
        for (Index i = 0; i < count; ++i) values[i] = element.template value<Rounding::half_away>(values[i], 0);
        return;
      case Rounding::stochastic:
        for (Index i = 0; i < count; ++i)
          values[i] = element.template value<Rounding::stochastic>(
              values[i], uniform(stream, static_cast<std::uint64_t>(first + i * draw_stride)));
        return;
    }
  });
}

template float code<float>(float, const StepRange&, Rounding, double);
template double code<double>(double, const StepRange&, Rounding, double);
template float quantize_value<float>(float, const StepRange&, Rounding, double);
template double quantize_value<double>(double, const StepRange&, Rounding, double);
template void quantize_values<float>(float*, Index, const StepRange&, Rounding, const Stream&, Index, Index);
template void quantize_values<double>(double*, Index, const StepRange&, Rounding, const Stream&, Index, Index);

}  // namespace hone
