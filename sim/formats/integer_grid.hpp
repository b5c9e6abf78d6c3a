// Rounding to an integer grid of one step, the inner loop of every integer format.
#pragma once

#include "sim/base/vector_math.hpp"
#include "sim/formats/rounding.hpp"

namespace hone {

/// An integer grid in the scalar of the data, with the zero point folded into the clip range.
template <class S>
struct IntegerGrid {
  S step, low, high;

  /// x/step within the range. Division, not a product with 1/step: the two differ in the last bit and thus on ties.
  S clipped(S x) const {
    const S v = x / step;
    return v < low ? low : (v > high ? high : v);
  }
};

namespace HONE_CLASS {

/// values = step·round(clip(values/step)), ties to even or away from 0.
template <class S>
void round_to_even(S* values, Index n, const IntegerGrid<S>& range) {
  const IntegerGrid<S> grid = range;  // a copy of known address, so that no store can change it
  each(n, [=](Index i) { values[i] = rounded<Rounding::nearest_even>(grid.clipped(values[i]), 0) * grid.step; });
}
template <class S>
void round_half_away(S* values, Index n, const IntegerGrid<S>& range) {
  const IntegerGrid<S> grid = range;
  each(n, [=](Index i) { values[i] = rounded<Rounding::half_away>(grid.clipped(values[i]), 0) * grid.step; });
}

}  // namespace HONE_CLASS

#define HONE_GRID_KERNELS(K)    \
  K(GridKernels, round_to_even) \
  K(GridKernels, round_half_away)
HONE_KERNEL_TABLE(GridKernels, HONE_GRID_KERNELS)

}  // namespace hone
