// Choosing the next token from a row of logits.
#pragma once

#include <algorithm>
#include <cmath>

#include "sim/base/matrix.hpp"

namespace hone {

/// The token of the largest logit, the smallest id among equals.
template <class S>
Index likeliest(ConstVecView<S> logits) {
  return std::max_element(logits.data(), logits.data() + logits.size()) - logits.data();
}

/// Inverts the cumulative softmax of logits/temperature at u in [0, 1), in double. A common u keeps the tokens of two
/// models together as long as their laws are close.
/// expects  temperature > 0
template <class S>
Index sampled(ConstVecView<S> logits, double temperature, double u) {
  const double top = double(logits.maxCoeff());
  double total = 0, cumulative = 0;
  for (Index i = 0; i < logits.size(); ++i) total += std::exp((double(logits[i]) - top) / temperature);
  for (Index i = 0; i < logits.size(); ++i) {
    cumulative += std::exp((double(logits[i]) - top) / temperature);
    if (u * total < cumulative) return i;
  }
  return logits.size() - 1;
}

}  // namespace hone
