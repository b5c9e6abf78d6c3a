// Rotary positions: each pair (a, b) of a head at position t is turned by the angle t·base^(-2i/hd).
// The map is linear and orthogonal: tforward is forward, backward and tbackward are the inverse rotation.
//   shapes  x (M, heads·hd), rotated in place; tables (T, hd/2)
//   source  Su et al. 2021; pairing `half` as in GPT-NeoX, `interleaved` as in the original Llama
#pragma once

#include <cmath>

#include "sim/base/matrix.hpp"

namespace hone {

enum class RopePairing { half, interleaved };
enum class Turn { forward, inverse };

/// Cosines and sines of all angles, computed in double.
template <class S>
struct RopeTable {
  Matrix<S> cosine, sine;  // (T, hd/2)
  RopePairing pairing = RopePairing::half;

  RopeTable(Index positions, Index head_width, double base, RopePairing pair)
      : cosine(positions, head_width / 2), sine(positions, head_width / 2), pairing(pair) {
    for (Index t = 0; t < positions; ++t)
      for (Index i = 0; i < head_width / 2; ++i) {
        const double angle = double(t) * std::pow(base, -2.0 * double(i) / double(head_width));
        cosine(t, i) = S(std::cos(angle));
        sine(t, i) = S(std::sin(angle));
      }
  }
};

/// (a, b) -> (a cos - b sin, a sin + b cos), or its inverse, for every head of every row.
template <class S>
void rope_rotate(MatView<S> x, const RopeTable<S>& table, Turn turn) {
  const Index pairs = table.cosine.cols();
  const Index positions = table.cosine.rows();
  const S sign = turn == Turn::forward ? S(1) : S(-1);
  const Index stride = table.pairing == RopePairing::half ? 1 : 2;
  const Index offset = table.pairing == RopePairing::half ? pairs : 1;
  for (Index m = 0; m < x.rows(); ++m) {
    const S* cosine = table.cosine.data() + (m % positions) * pairs;
    const S* sine = table.sine.data() + (m % positions) * pairs;
    for (S* head = x.data() + m * x.cols(); head < x.data() + (m + 1) * x.cols(); head += 2 * pairs)
      for (Index i = 0; i < pairs; ++i) {
        const S a = head[i * stride], b = head[i * stride + offset];
        const S s = sine[i] * sign;
        head[i * stride] = a * cosine[i] - b * s;
        head[i * stride + offset] = a * s + b * cosine[i];
      }
  }
}

}  // namespace hone
