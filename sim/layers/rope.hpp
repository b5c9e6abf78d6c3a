// Rotary positions: each pair (a, b) among the first rd channels of a head at position t is turned by the angle
// t·base^(-2i/rd), or t·f_i with scaled frequencies (rope_scaling.hpp); the other hd-rd channels of the head stay.
// The map is linear and orthogonal: tforward is forward, backward and tbackward are the inverse rotation.
//   shapes  x (M, heads·hd), rotated in place; tables (T, rd/2)
//   source  Su et al. 2021; pairing `half` and partial rotation as in GPT-NeoX (Black et al. 2022), `interleaved` as in
//           the original Llama
#pragma once

#include <cmath>
#include <optional>

#include "sim/base/vector_math.hpp"
#include "sim/layers/rope_scaling.hpp"

namespace hone {

enum class RopePairing { half, interleaved };
enum class Turn { forward, inverse };

/// Cosines and sines of all angles, computed in double. Without `rotary` all channels of a head turn.
template <class S>
struct RopeTable {
  Matrix<S> cosine, sine;  // (T, rd/2)
  Index head_width = 0;
  RopePairing pairing = RopePairing::half;

  RopeTable(Index positions, Index width, double base, RopePairing pair, std::optional<Index> rotary = {},
            const RopeScaling& scaling = {})
      : cosine(positions, rotary.value_or(width) / 2),
        sine(positions, rotary.value_or(width) / 2),
        head_width(width),
        pairing(pair) {
    for (Index t = 0; t < positions; ++t)
      for (Index i = 0; i < cosine.cols(); ++i) {
        const double angle = double(t) * rope_frequency(base, rotary.value_or(width), i, scaling);
        cosine(t, i) = S(std::cos(angle));
        sine(t, i) = S(std::sin(angle));
      }
  }
};

namespace HONE_CLASS {

/// (a, b) -> (a cos - b sin, a sin + b cos), or its inverse, for every head of one row of `width` values.
/// expects  position below the rows of the table
template <class S>
void rope_rotate_row(S* row, Index width, const RopeTable<S>& table, Index position, Turn turn) {
  const Index pairs = table.cosine.cols();
  const S sign = turn == Turn::forward ? S(1) : S(-1);
  const S* cosine = table.cosine.data() + position * pairs;
  const S* sine = table.sine.data() + position * pairs;
  const auto turn_head = [=](S* head, Index stride, Index offset) {
    each(pairs, [=](Index i) {
      const S a = head[i * stride], b = head[i * stride + offset];
      const S s = sine[i] * sign;
      head[i * stride] = a * cosine[i] - b * s;
      head[i * stride + offset] = a * s + b * cosine[i];
    });
  };
  for (S* head = row; head < row + width; head += table.head_width)
    if (table.pairing == RopePairing::half)
      turn_head(head, 1, pairs);
    else
      turn_head(head, 2, 1);
}

/// The same for every row of x; row m stands at position m mod T.
template <class S>
void rope_rotate(MatView<S> x, const RopeTable<S>& table, Turn turn) {
  for (Index m = 0; m < x.rows(); ++m)
    rope_rotate_row(x.data() + m * x.cols(), x.cols(), table, m % table.cosine.rows(), turn);
}

}  // namespace HONE_CLASS

#define HONE_ROPE_KERNELS(K)      \
  K(RopeKernels, rope_rotate_row) \
  K(RopeKernels, rope_rotate)
HONE_KERNEL_TABLE(RopeKernels, HONE_ROPE_KERNELS)

}  // namespace hone
