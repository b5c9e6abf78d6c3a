// Sums of whole vectors. Elementwise: one arithmetic at every element.
#pragma once

#include "sim/base/vector_math.hpp"

namespace hone {
namespace HONE_CLASS {

/// y += x, n numbers.
template <class S>
void add_to(S* y, const S* x, Index n) {
  each(n, [=](Index i) { y[i] += x[i]; });
}

/// y += x in every row of y (rows, n).
template <class S>
void add_to_rows(S* y, const S* x, Index rows, Index stride, Index n) {
  for (Index m = 0; m < rows; ++m) add_to(y + m * stride, x, n);
}

/// y += the rows of x (rows, n), in row order.
template <class S>
void add_rows_to(S* y, const S* x, Index rows, Index stride, Index n) {
  for (Index m = 0; m < rows; ++m) add_to(y, x + m * stride, n);
}

/// sum += x in double.
template <class S>
void accumulate(double* sum, const S* x, Index n) {
  each(n, [=](Index i) { sum[i] += double(x[i]); });
}

/// y = x from double.
template <class S>
void narrow(S* y, const double* x, Index n) {
  each(n, [=](Index i) { y[i] = S(x[i]); });
}

/// y = x·scale.
template <class S>
void scale_to(S* y, const S* x, S scale, Index n) {
  each(n, [=](Index i) { y[i] = x[i] * scale; });
}

/// Σ x y.
template <class S>
S dot_product(const S* x, const S* y, Index n) {
  return sum<S>(n, [=](auto at) { return at(x) * at(y); });
}

/// Σ (x - y)².
template <class S>
S squared_distance(const S* x, const S* y, Index n) {
  return sum<S>(n, [=](auto at) { return (at(x) - at(y)) * (at(x) - at(y)); });
}

}  // namespace HONE_CLASS

#define HONE_VECTOR_KERNELS(K)  \
  K(VectorKernels, add_to)      \
  K(VectorKernels, add_to_rows) \
  K(VectorKernels, add_rows_to) \
  K(VectorKernels, accumulate)  \
  K(VectorKernels, narrow)      \
  K(VectorKernels, scale_to)    \
  K(VectorKernels, dot_product) \
  K(VectorKernels, squared_distance)
HONE_KERNEL_TABLE(VectorKernels, HONE_VECTOR_KERNELS)

}  // namespace hone
