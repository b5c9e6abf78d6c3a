// Token embedding, with optional learned positions:  y[m] = E[token m] + P[m mod T].
//   shapes  E (V,C)  P (T,C) or null  y (M,C)  tokens: M ids, sequence after sequence of T positions
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/base/vector_ops.hpp"

namespace hone {

/// y[m] = E[tokens[m]] + P[m mod T]. The same function is tforward: the map is linear in its parameters.
template <class S>
void embedding_forward(MatView<S> y, const std::uint16_t* tokens, ConstMatView<S> e, const S* p, Index positions) {
  const Index channels = y.cols();
  for (Index m = 0; m < y.rows(); ++m) {
    S* ym = y.data() + m * channels;
    std::copy_n(e.data() + tokens[m] * channels, channels, ym);      // F1
    if (p) add_to<S>(ym, p + (m % positions) * channels, channels);  // F2
  }
}

/// dE[tokens[m]] += dy[m],  dP[m mod T] += dy[m]. The same function is tbackward.
template <class S>
void embedding_backward(MatView<S> de, S* dp, const std::uint16_t* tokens, ConstMatView<S> dy, Index positions) {
  const Index channels = dy.cols();
  for (Index m = 0; m < dy.rows(); ++m) {
    const S* dym = dy.data() + m * channels;
    add_to<S>(de.data() + tokens[m] * channels, dym, channels);         // B1 from F1
    if (dp) add_to<S>(dp + (m % positions) * channels, dym, channels);  // B2 from F2
  }
}

}  // namespace hone
