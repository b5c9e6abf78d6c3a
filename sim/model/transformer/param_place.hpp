// The parameters that the blocks of a transformer work on, in all four passes: the flat vectors, and places in them.
#pragma once

#include "sim/base/matrix.hpp"

namespace hone {

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
