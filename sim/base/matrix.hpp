// Row-major Eigen aliases used everywhere. Capitals name extents throughout the project:
//   B sequences in a batch   T positions   M = B·T rows   C channels (model width)   H heads
//   V vocabulary   I/O inputs/outputs of a linear map   P parameters
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

namespace hone {

using Index = Eigen::Index;

template <class S>
using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class S>
using Vector = Eigen::Matrix<S, Eigen::Dynamic, 1>;

/// Contiguous row-major view of memory that it does not own.
template <class S>
using MatView = Eigen::Map<Matrix<S>>;
template <class S>
using ConstMatView = Eigen::Map<const Matrix<S>>;
template <class S>
using VecView = Eigen::Map<Vector<S>>;
template <class S>
using ConstVecView = Eigen::Map<const Vector<S>>;

/// Row-major view with a free outer stride: one head of [M, H·hd], one window of a matrix.
template <class S>
using StridedView = Eigen::Map<Matrix<S>, 0, Eigen::OuterStride<>>;
template <class S>
using ConstStridedView = Eigen::Map<const Matrix<S>, 0, Eigen::OuterStride<>>;

/// Allocator at 64 bytes: packed factors are read by aligned loads, and no vector crosses a cache line.
template <class T>
struct AlignedAllocator {
  using value_type = T;
  static constexpr std::size_t alignment = 64;
  AlignedAllocator() = default;
  template <class U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(alignment))); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, std::align_val_t(alignment)); }
  template <class U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
};

template <class S>
using AlignedVector = std::vector<S, AlignedAllocator<S>>;

}  // namespace hone
