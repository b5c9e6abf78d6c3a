// One block of aligned memory, given out from front to back. The memory of a pass is reserved once, at construction; no
// pass allocates afterwards.
#pragma once

#include "sim/base/error.hpp"
#include "sim/base/matrix.hpp"

namespace hone {

/// A named piece of a workspace: where it lies and its shape. Converts to every view that a layer takes.
template <class S>
struct Block {
  S* data = nullptr;
  Index rows = 0, cols = 0;

  Index size() const { return rows * cols; }
  MatView<S> view() const { return MatView<S>(data, rows, cols); }
  operator MatView<S>() const { return view(); }
  operator ConstMatView<S>() const { return ConstMatView<S>(data, rows, cols); }
  operator Eigen::Ref<Matrix<S>, 0, Eigen::OuterStride<>>() const { return view(); }
  operator Eigen::Ref<const Matrix<S>, 0, Eigen::OuterStride<>>() const { return ConstMatView<S>(data, rows, cols); }
};

/// Bump allocator of scalars. Every block starts at a multiple of 64 bytes from an aligned base.
template <class S>
class Workspace {
 public:
  /// Number of scalars that a block of `count` scalars occupies, with its padding.
  static Index padded(Index count) {
    constexpr Index grain = sizeof(S) < 64 ? Index(64 / sizeof(S)) : 1;
    return (count + grain - 1) / grain * grain;
  }

  explicit Workspace(Index capacity) : memory_(static_cast<size_t>(capacity)) {}

  /// Next rows×cols block; its content is whatever was there before (zero at first use).
  /// errors  ContractError when the capacity is used up
  MatView<S> take(Index rows, Index cols) {
    const Index need = padded(rows * cols);
    EXPECTS(used_ + need <= capacity(), "workspace: {} scalars wanted, {} left", need, capacity() - used_);
    S* begin = memory_.data() + used_;
    used_ += need;
    return MatView<S>(begin, rows, cols);
  }

  Index capacity() const { return static_cast<Index>(memory_.size()); }
  Index used() const { return used_; }

 private:
  AlignedVector<S> memory_;
  Index used_ = 0;
};

}  // namespace hone
