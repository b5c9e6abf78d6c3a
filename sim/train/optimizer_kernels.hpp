// The elementwise part of an update, compiled per instruction class. Internal to optimizer.cpp.
#pragma once

#include "sim/base/vector_math.hpp"

namespace hone {

/// What one update of AdamW needs besides the vectors.
///   scale1, scale2   1/(1-β^t), the corrections of the two means
template <class S>
struct AdamwStep {
  S beta1, beta2, rate, eps, decay, scale1, scale2;
};

namespace HONE_CLASS {

/// m = β1 m + (1-β1) g,  v = β2 v + (1-β2) g²,  w -= rate·(m̂/(√v̂+eps) + decay·w).
/// source  Loshchilov & Hutter 2019
template <class S>
void adamw_update(S* w, S* m, S* v, const S* g, Index n, const AdamwStep<S>& step) {
  using std::sqrt;
  const AdamwStep<S> o = step;  // a copy of known address, so that no store can change it
  each(n, [=](Index i) {
    m[i] = o.beta1 * m[i] + (S(1) - o.beta1) * g[i];
    v[i] = o.beta2 * v[i] + (S(1) - o.beta2) * g[i] * g[i];
    w[i] -= o.rate * (m[i] * o.scale1 / (sqrt(v[i] * o.scale2) + o.eps) + o.decay * w[i]);
  });
}

/// m = β m + g,  w -= rate·(m + decay·w).
template <class S>
void sgd_update(S* w, S* m, const S* g, Index n, S beta, S rate, S decay) {
  each(n, [=](Index i) {
    m[i] = beta * m[i] + g[i];
    w[i] -= rate * (m[i] + decay * w[i]);
  });
}

/// Σ g² in double.
template <class S>
double squared_norm(const S* g, Index n) {
  constexpr Index block = 256;
  double total = 0;
  alignas(64) double wide[block];
  for (Index first = 0; first < n; first += block) {
    const Index count = n - first < block ? n - first : block;
    const S* here = g + first;
    double* out = wide;
    each(count, [=](Index i) { out[i] = double(here[i]); });
    total += sum<double>(count, [=](auto at) { return at(out) * at(out); });
  }
  return total;
}

}  // namespace HONE_CLASS

#define HONE_UPDATE_KERNELS(K)   \
  K(UpdateKernels, adamw_update) \
  K(UpdateKernels, sgd_update)   \
  K(UpdateKernels, squared_norm)
HONE_KERNEL_TABLE(UpdateKernels, HONE_UPDATE_KERNELS)

}  // namespace hone
