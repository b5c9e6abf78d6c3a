// Linear layer  y = x W' + b,  rows are examples.
//   shapes  x (M,I)  W (O,I)  b (O) or null  y (M,O);  t* and d* have the shape of their base name
#pragma once

#include "sim/base/gemm.hpp"
#include "sim/base/vector_ops.hpp"

namespace hone {

/// b (n) added to every row of y.
template <class S>
void add_bias(MatRef<S> y, const S* b) {
  add_to_rows<S>(y.data(), b, y.rows(), y.outerStride(), y.cols());
}

/// The rows of a (M,O) added to sum (O), in row order.
template <class S>
void add_rows(S* sum, ConstMatRef<S> a) {
  add_rows_to<S>(sum, a.data(), a.rows(), a.outerStride(), a.cols());
}

/// y = x W' + b.
/// cost  2·M·I·O flops
template <class S>
void linear_forward(MatRef<S> y, ConstMatRef<S> x, ConstMatRef<S> w, const S* b) {
  gemm_nt<S>(y, x, w);       // F1
  if (b) add_bias<S>(y, b);  // F2
}

/// dW += dy' x,  db += Σ dy,  and dx = dy W or dx += dy W as `write` says.
/// cost  4·M·I·O flops
template <class S>
void linear_backward(MatRef<S> dx, MatRef<S> dw, S* db, ConstMatRef<S> dy, ConstMatRef<S> x, ConstMatRef<S> w,
                     Write write = Write::assign) {
  gemm_nn<S>(dx, dy, w, write);       // B1 from F1
  gemm_tn<S>(dw, dy, x, Write::add);  // B2 from F1
  if (db) add_rows<S>(db, dy);        // B3 from F2
}

/// ty = tx W' + x tW' + tb.
template <class S>
void linear_tforward(MatRef<S> ty, ConstMatRef<S> tx, ConstMatRef<S> x, ConstMatRef<S> w, ConstMatRef<S> tw,
                     const S* tb) {
  gemm_nt<S>(ty, tx, w, x, tw);  // R F1
  if (tb) add_bias<S>(ty, tb);   // R F2
}

/// tdx = tdy W + dy tW,  tdW += tdy' x + dy' tx,  tdb += Σ tdy.
/// cost  8·M·I·O flops
template <class S>
void linear_tbackward(MatRef<S> tdx, MatRef<S> tdw, S* tdb, ConstMatRef<S> tdy, ConstMatRef<S> dy, ConstMatRef<S> tx,
                      ConstMatRef<S> x, ConstMatRef<S> w, ConstMatRef<S> tw, Write write = Write::assign) {
  gemm_nn<S>(tdx, tdy, w, dy, tw, write);       // R B1
  gemm_tn<S>(tdw, tdy, x, dy, tx, Write::add);  // R B2
  if (tdb) add_rows<S>(tdb, tdy);               // R B3
}

}  // namespace hone
