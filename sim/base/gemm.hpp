// The matrix products of the project, in one place. float and double run on the register tiles of gemm_kernel.hpp,
// every other scalar (the dual numbers of the tests, which include gemm_any_scalar.hpp) on Eigen. Products are
// single-threaded; parallelism is over chunks of sequences.
#pragma once

#include "sim/base/matrix.hpp"

namespace hone {

template <class S>
using MatRef = Eigen::Ref<Matrix<S>, 0, Eigen::OuterStride<>>;
template <class S>
using ConstMatRef = const Eigen::Ref<const Matrix<S>, 0, Eigen::OuterStride<>>&;

enum class Write { assign, add };

/// y = a b, or y += a b.
/// shapes  y (m,n)  a (m,k)  b (k,n)
/// cost    2mnk flops
template <class S>
void gemm_nn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write = Write::assign);
/// y = a b', or y += a b'.
/// shapes  y (m,n)  a (m,k)  b (n,k)
template <class S>
void gemm_nt(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write = Write::assign);
/// y = a' b, or y += a' b.
/// shapes  y (m,n)  a (k,m)  b (k,n)
template <class S>
void gemm_tn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write = Write::assign);

/// The same for a sum of two products, a b + c d, which every R-operator of a product is: y is touched once.
template <class S>
void gemm_nn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, ConstMatRef<S> c, ConstMatRef<S> d,
             Write write = Write::assign);
template <class S>
void gemm_nt(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, ConstMatRef<S> c, ConstMatRef<S> d,
             Write write = Write::assign);
template <class S>
void gemm_tn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, ConstMatRef<S> c, ConstMatRef<S> d,
             Write write = Write::assign);

/// A right factor laid out once for many products (the keys and values of one head).
template <class S>
class RightFactor {
 public:
  /// The right factor b.
  /// shapes  b (k,n)
  void set(ConstMatRef<S> b);
  /// The right factor b'.
  /// shapes  b (n,k)
  void set_transposed(ConstMatRef<S> b);

  Index depth = 0, cols = 0;
  AlignedVector<S> layout;
};

/// y = a B or y += a B with the leading (k,n) part of B.
/// shapes  y (m,n)  a (m,k)  k ≤ B.depth, n ≤ B.cols
template <class S>
void gemm_right(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, Write write = Write::assign);
/// y = a B + c D or y += a B + c D.
template <class S>
void gemm_right(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, ConstMatRef<S> c, const RightFactor<S>& d,
                Write write = Write::assign);

// float and double are compiled once, in gemm.cpp.
#define HONE_GEMM_INSTANCES(prefix, S)                                                                               \
  prefix template class RightFactor<S>;                                                                              \
  prefix template void gemm_nn<S>(MatRef<S>, ConstMatRef<S>, ConstMatRef<S>, Write);                                 \
  prefix template void gemm_nt<S>(MatRef<S>, ConstMatRef<S>, ConstMatRef<S>, Write);                                 \
  prefix template void gemm_tn<S>(MatRef<S>, ConstMatRef<S>, ConstMatRef<S>, Write);                                 \
  prefix template void gemm_nn<S>(MatRef<S>, ConstMatRef<S>, ConstMatRef<S>, ConstMatRef<S>, ConstMatRef<S>, Write); \
  prefix template void gemm_nt<S>(MatRef<S>, ConstMatRef<S>, ConstMatRef<S>, ConstMatRef<S>, ConstMatRef<S>, Write); \
  prefix template void gemm_tn<S>(MatRef<S>, ConstMatRef<S>, ConstMatRef<S>, ConstMatRef<S>, ConstMatRef<S>, Write); \
  prefix template void gemm_right<S>(MatRef<S>, ConstMatRef<S>, const RightFactor<S>&, Write);                       \
  prefix template void gemm_right<S>(MatRef<S>, ConstMatRef<S>, const RightFactor<S>&, ConstMatRef<S>,               \
                                     const RightFactor<S>&, Write);
HONE_GEMM_INSTANCES(extern, float)
HONE_GEMM_INSTANCES(extern, double)

}  // namespace hone
