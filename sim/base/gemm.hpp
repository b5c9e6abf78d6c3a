// The matrix products of the project, in one place: every layer calls these, so a faster kernel replaces one
// file. Products are single-threaded; parallelism is over chunks of sequences.
#pragma once

#include "sim/base/matrix.hpp"

namespace hone {

template <class S>
using MatRef = Eigen::Ref<Matrix<S>, 0, Eigen::OuterStride<>>;
template <class S>
using ConstMatRef = const Eigen::Ref<const Matrix<S>, 0, Eigen::OuterStride<>>&;

enum class Write { assign, add };

/// y = a b, or y += a b.      shapes  y (m,n)  a (m,k)  b (k,n)      cost  2mnk flops
template <class S>
void gemm_nn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write = Write::assign);
/// y = a b', or y += a b'.    shapes  y (m,n)  a (m,k)  b (n,k)
template <class S>
void gemm_nt(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write = Write::assign);
/// y = a' b, or y += a' b.    shapes  y (m,n)  a (k,m)  b (k,n)
template <class S>
void gemm_tn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write = Write::assign);

extern template void gemm_nn<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, Write);
extern template void gemm_nt<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, Write);
extern template void gemm_tn<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, Write);
extern template void gemm_nn<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, Write);
extern template void gemm_nt<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, Write);
extern template void gemm_tn<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, Write);

}  // namespace hone
