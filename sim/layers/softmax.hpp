// Softmax of rows and its derivatives, for the loss and for attention.
//   shapes  rows of n values, `stride` apart
//   source  Bridle 1990; tangents by the product rule
#pragma once

#include "sim/base/vector_math.hpp"

namespace hone {
namespace HONE_CLASS {

/// p = softmax(scale·z); p may be z.   Returns the largest z and Σ exp(scale·(z - largest)).
/// ensures  no overflow for finite z; NaN among the p for a NaN or +inf in z; -inf is probability 0
template <class S>
void softmax_row(S* p, const S* z, Index n, S scale, S* top, S* total) {
  const S t = largest(z, n);
  each(n, [=](Index i) { p[i] = exponential((z[i] - t) * scale); });
  const S whole = sum<S>(n, [=](auto at) { return at(p); }), share = S(1) / whole;
  each(n, [=](Index i) { p[i] *= share; });
  *top = t;
  *total = whole;
}

/// p = softmax(z) for every row of (rows, n), with the log of the normalizer, ln Σ exp z.
template <class S>
void softmax_rows(S* p, S* log_total, const S* z, Index rows, Index n) {
  using std::log;
  for (Index m = 0; m < rows; ++m) {
    S top(0), total(0);
    softmax_row(p + m * n, z + m * n, n, S(1), &top, &total);
    log_total[m] = log(total) + top;
  }
}

/// Rows of scaled scores under a causal mask, in place: row i sees the first `visible` + i columns and is zero in the
/// others up to visible + rows - 1.
template <class S>
void softmax_causal_rows(S* z, Index stride, Index rows, Index visible, S scale) {
  for (Index i = 0; i < rows; ++i, z += stride) {
    S top(0), total(0);
    softmax_row(z, z, visible + i, scale, &top, &total);
    for (Index j = visible + i; j < visible + rows - 1; ++j) z[j] = S(0);
  }
}

/// ty = scale·p·(tz - Σ p tz) for every row: the tangent of p, and the adjoint of z. ty may be tz.
template <class S>
void softmax_tangent_rows(S* ty, const S* tz, Index stride, const S* p, Index p_stride, Index rows, Index n, S scale) {
  for (Index m = 0; m < rows; ++m, ty += stride, tz += stride, p += p_stride) {
    const S *z = tz, *q = p;
    S* y = ty;
    const S mean = sum<S>(n, [=](auto at) { return at(z) * at(q); });
    each(n, [=](Index i) { y[i] = q[i] * (z[i] - mean) * scale; });
  }
}

/// d = scale·p·(d - Σ p d) and its tangent along (td, tp), both in place.
template <class S>
void softmax_tangent_pair_rows(S* d, S* td, Index stride, const S* p, const S* tp, Index p_stride, Index rows, Index n,
                               S scale) {
  for (Index m = 0; m < rows; ++m, d += stride, td += stride, p += p_stride, tp += p_stride) {
    const S *q = p, *tq = tp;
    S *dm = d, *tdm = td;
    const S mean = sum<S>(n, [=](auto at) { return at(dm) * at(q); });
    const S tmean = sum<S>(n, [=](auto at) { return at(tdm) * at(q) + at(dm) * at(tq); });
    each(n, [=](Index i) {
      tdm[i] = (tq[i] * (dm[i] - mean) + q[i] * (tdm[i] - tmean)) * scale;
      dm[i] = q[i] * (dm[i] - mean) * scale;
    });
  }
}

}  // namespace HONE_CLASS

#define HONE_SOFTMAX_KERNELS(K)           \
  K(SoftmaxKernels, softmax_row)          \
  K(SoftmaxKernels, softmax_rows)         \
  K(SoftmaxKernels, softmax_causal_rows)  \
  K(SoftmaxKernels, softmax_tangent_rows) \
  K(SoftmaxKernels, softmax_tangent_pair_rows)
HONE_KERNEL_TABLE(SoftmaxKernels, HONE_SOFTMAX_KERNELS)

}  // namespace hone
