// What the blocks of a transformer work on: activations and parameters of all four passes under one name each. The letters
// are those of sim/layers/README.md.
#pragma once

#include "sim/base/workspace.hpp"

namespace hone {

/// One activation in the four passes. What a pass neither reads nor writes may be empty.
template <class S>
struct Slot {
  Block<S> x;    ///< value
  Block<S> dx;   ///< adjoint
  Block<S> tx;   ///< tangent
  Block<S> tdx;  ///< tangent of the adjoint
};

/// The flat vectors (P) of the four passes. Those that a pass neither reads nor writes may be null.
template <class S>
struct ParamVectors {
  const S* theta = nullptr;   ///< parameters
  S* dtheta = nullptr;        ///< backward adds the gradient
  const S* ttheta = nullptr;  ///< direction of the tangents
  S* tdtheta = nullptr;       ///< tbackward adds the tangent of the gradient
};

/// Where a block of parameters lies in the flat vectors. One of 0 rows is a block that the model does not have.
struct ParamPlace {
  Index offset = 0, rows = 0, cols = 0;

  explicit operator bool() const { return rows > 0; }

  /// Null when the model does not have the block.
  template <class S>
  S* data(S* vector) const {
    return rows > 0 ? vector + offset : nullptr;
  }
  template <class S>
  ConstMatView<S> matrix(const S* vector) const {
    return ConstMatView<S>(vector + offset, rows, cols);
  }
  template <class S>
  MatView<S> matrix(S* vector) const {
    return MatView<S>(vector + offset, rows, cols);
  }
};

}  // namespace hone
