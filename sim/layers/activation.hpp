// Elementwise activations a(x) with their first and second derivatives, and SwiGLU  y = silu(g)·u.
//   source  GELU: Hendrycks & Gimpel 2016, exact (erf) and the tanh form of GPT-2; SwiGLU: Shazeer 2020
#pragma once

#include <cmath>
#include <numbers>

#include "sim/base/vector_math.hpp"

namespace hone {

/// identity makes a network linear, so that its training and curvature have closed forms.
enum class Activation { tanh, relu, gelu, gelu_tanh, silu, identity };

namespace HONE_CLASS {

/// a(x), a'(x), a''(x) of one element. The second derivative of ReLU is 0 everywhere.
template <class S>
struct ActivationJet {
  S value, first, second;
};

/// Derivatives of tanh from t = tanh x.
template <class S>
ActivationJet<S> tanh_jet(S t) {
  const S first = S(1) - t * t;
  return {t, first, S(-2) * t * first};
}

template <class S>
ActivationJet<S> relu_jet(S x) {
  return x > S(0) ? ActivationJet<S>{x, S(1), S(0)} : ActivationJet<S>{S(0), S(0), S(0)};
}

template <class S>
ActivationJet<S> identity_jet(S x) {
  return {x, S(1), S(0)};
}

/// x Φ(x);  a' = Φ + x φ;  a'' = (2 - x²) φ.
template <class S>
ActivationJet<S> gelu_jet(S x) {
  using std::erf;
  const S cdf = S(0.5) * (S(1) + erf(x * S(1 / std::numbers::sqrt2)));
  const S density = exponential(S(-0.5) * x * x) * S(0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2);
  return {x * cdf, cdf + x * density, (S(2) - x * x) * density};
}

/// √(2/π)(x + 0.044715 x³), the argument u of the tanh form.
template <class S>
S gelu_tanh_argument(S x) {
  return S(std::numbers::inv_sqrtpi * std::numbers::sqrt2) * (x + S(0.044715) * x * x * x);
}

/// ½x(1+t) from t = tanh u(x).
template <class S>
ActivationJet<S> gelu_tanh_jet(S x, S t) {
  const S k = S(std::numbers::inv_sqrtpi * std::numbers::sqrt2);
  const S u1 = k * (S(1) + S(3 * 0.044715) * x * x);
  const S u2 = k * S(6 * 0.044715) * x;
  const S sech2 = S(1) - t * t;
  return {S(0.5) * x * (S(1) + t), S(0.5) * (S(1) + t + x * sech2 * u1),
          S(0.5) * sech2 * (S(2) * u1 + x * u2 - S(2) * x * t * u1 * u1)};
}

/// xσ;  a' = σ(1 + x(1-σ));  a'' = σ(1-σ)(2 + x(1-2σ)), from σ = 1/(1+e^-x) given.
template <class S>
ActivationJet<S> silu_jet_from_sigmoid(S x, S sigmoid) {
  const S slope = sigmoid * (S(1) - sigmoid);
  return {x * sigmoid, sigmoid + x * slope, slope * (S(2) + x * (S(1) - S(2) * sigmoid))};
}

/// Calls body(i, jet of silu at g[i]) for all i.
template <class S, class Body>
inline __attribute__((always_inline)) void for_silu(const S* g, Index n, Body&& body) {
  each(n, [=](Index i) { body(i, silu_jet_from_sigmoid(g[i], S(1) / (S(1) + exponential(-g[i])))); });
}

/// Calls body(i, jet of the activation at x[i]) for all i.
template <class S, class Body>
inline __attribute__((always_inline)) void for_jets(const S* x, Index n, Activation kind, Body&& body) {
  switch (kind) {
    case Activation::tanh: return each(n, [=](Index i) { body(i, tanh_jet(hyperbolic_tangent(x[i]))); });
    case Activation::relu: return each(n, [=](Index i) { body(i, relu_jet(x[i])); });
    case Activation::gelu: return each(n, [=](Index i) { body(i, gelu_jet(x[i])); });
    case Activation::gelu_tanh:
      return each(n, [=](Index i) { body(i, gelu_tanh_jet(x[i], hyperbolic_tangent(gelu_tanh_argument(x[i])))); });
    case Activation::silu: return for_silu(x, n, body);
    case Activation::identity: return each(n, [=](Index i) { body(i, identity_jet(x[i])); });
  }
}

/// y = a(x), n elements.
template <class S>
void activation_forward(S* y, const S* x, Index n, Activation kind) {
  for_jets(x, n, kind, [=](Index i, const ActivationJet<S>& a) { y[i] = a.value; });
}
/// dx = dy·a'(x).
template <class S>
void activation_backward(S* dx, const S* dy, const S* x, Index n, Activation kind) {
  for_jets(x, n, kind, [=](Index i, const ActivationJet<S>& a) { dx[i] = dy[i] * a.first; });
}
/// ty = tx·a'(x).
template <class S>
void activation_tforward(S* ty, const S* tx, const S* x, Index n, Activation kind) {
  activation_backward(ty, tx, x, n, kind);
}
/// tdx = tdy·a'(x) + dy·a''(x)·tx.
template <class S>
void activation_tbackward(S* tdx, const S* tdy, const S* dy, const S* tx, const S* x, Index n, Activation kind) {
  for_jets(x, n, kind,
           [=](Index i, const ActivationJet<S>& a) { tdx[i] = tdy[i] * a.first + dy[i] * a.second * tx[i]; });
}

/// y = silu(g)·u.
template <class S>
void swiglu_forward(S* y, const S* g, const S* u, Index n) {
  for_silu(g, n, [=](Index i, const ActivationJet<S>& a) { y[i] = a.value * u[i]; });
}
/// dg = dy·u·a',  du = dy·a.
template <class S>
void swiglu_backward(S* dg, S* du, const S* dy, const S* g, const S* u, Index n) {
  for_silu(g, n, [=](Index i, const ActivationJet<S>& a) {
    dg[i] = dy[i] * u[i] * a.first;
    du[i] = dy[i] * a.value;
  });
}
/// ty = a'·tg·u + a·tu.
template <class S>
void swiglu_tforward(S* ty, const S* tg, const S* tu, const S* g, const S* u, Index n) {
  for_silu(g, n, [=](Index i, const ActivationJet<S>& a) { ty[i] = a.first * tg[i] * u[i] + a.value * tu[i]; });
}
/// tdg = (tdy·u + dy·tu)·a' + dy·u·a''·tg,   tdu = tdy·a + dy·a'·tg.
template <class S>
void swiglu_tbackward(S* tdg, S* tdu, const S* tdy, const S* dy, const S* tg, const S* tu, const S* g, const S* u,
                      Index n) {
  for_silu(g, n, [=](Index i, const ActivationJet<S>& a) {
    tdg[i] = (tdy[i] * u[i] + dy[i] * tu[i]) * a.first + dy[i] * u[i] * a.second * tg[i];
    tdu[i] = tdy[i] * a.value + dy[i] * a.first * tg[i];
  });
}

}  // namespace HONE_CLASS

#define HONE_ACTIVATION_KERNELS(K)           \
  K(ActivationKernels, activation_forward)   \
  K(ActivationKernels, activation_backward)  \
  K(ActivationKernels, activation_tforward)  \
  K(ActivationKernels, activation_tbackward) \
  K(ActivationKernels, swiglu_forward)       \
  K(ActivationKernels, swiglu_backward)      \
  K(ActivationKernels, swiglu_tforward)      \
  K(ActivationKernels, swiglu_tbackward)
HONE_KERNEL_TABLE(ActivationKernels, HONE_ACTIVATION_KERNELS)

}  // namespace hone
