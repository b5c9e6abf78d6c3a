// The definitions behind gemm.hpp, for any scalar Eigen can multiply. float and double are compiled once in
// gemm.cpp; another scalar (the dual numbers of the tests) includes this file.
#pragma once

#include "sim/base/gemm.hpp"

namespace hone {

template <class S>
void gemm_nn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write) {
  if (write == Write::assign)
    y.noalias() = a * b;
  else
    y.noalias() += a * b;
}

template <class S>
void gemm_nt(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write) {
  if (write == Write::assign)
    y.noalias() = a * b.transpose();
  else
    y.noalias() += a * b.transpose();
}

template <class S>
void gemm_tn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write) {
  if (write == Write::assign)
    y.noalias() = a.transpose() * b;
  else
    y.noalias() += a.transpose() * b;
}

}  // namespace hone
