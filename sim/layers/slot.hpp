// One name for an activation in all four passes; the letters are those of the README beside.
#pragma once

#include "sim/base/workspace.hpp"

namespace hone {

/// One activation in the four passes. What a pass neither reads nor writes may be empty.
template <class S>
struct Slot {
  Block<S> x = {};    ///< value
  Block<S> dx = {};   ///< adjoint
  Block<S> tx = {};   ///< tangent
  Block<S> tdx = {};  ///< tangent of the adjoint
};

}  // namespace hone
