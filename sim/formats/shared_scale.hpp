// One step per block of the contraction axis, shared by inputs and weights, so that y = Σ_b s_b² (codes of x)·(codes
// of w). Taken raw, the larger factor decides the step and the smaller one is wiped out; balanced, each block is first
// rescaled so that both factors have the same range.
#pragma once

#include <vector>

#include "sim/formats/quantizer.hpp"

namespace hone {

enum class Balance { raw, balanced };

/// Blocks of `group` columns, the last one may be shorter.
struct SharedScales {
  int bits = 8;
  Index group = 1;
  std::vector<double> step;       ///< s_b of the codes of both factors
  std::vector<double> migration;  ///< t_b: the grid acts on x/t_b and w·t_b; 1 when raw
};

/// math     a_x, a_w the largest |x|, |w| of a block, Q = 2^(b-1)-1. raw: s = max(a_x, a_w)/Q, t = 1. balanced:
///          t = √(a_x/a_w), s = √(a_x a_w)/Q; a block in which a factor is all 0 is taken raw
/// shapes   x (M,I)  w (O,I)
/// expects  all values finite, 2 ≤ bits < 16, group ≥ 1
template <class S>
SharedScales shared_scales(ConstMatRef<S> x, ConstMatRef<S> w, int bits, Index group, Balance balance);

/// Replaces inputs (weights) by the values of their codes, migrated back: products of either with the other factor,
/// quantized or not, need no further scale.
template <class S>
void quantize_shared_inputs(MatRef<S> x, const SharedScales& scales);
template <class S>
void quantize_shared_weights(MatRef<S> w, const SharedScales& scales);

#define HONE_SHARED_SCALE_INSTANCES(prefix, S)                                                        \
  prefix template SharedScales shared_scales<S>(ConstMatRef<S>, ConstMatRef<S>, int, Index, Balance); \
  prefix template void quantize_shared_inputs<S>(MatRef<S>, const SharedScales&);                     \
  prefix template void quantize_shared_weights<S>(MatRef<S>, const SharedScales&);
HONE_SHARED_SCALE_INSTANCES(extern, float)
HONE_SHARED_SCALE_INSTANCES(extern, double)

}  // namespace hone
