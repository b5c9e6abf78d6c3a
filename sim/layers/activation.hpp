// Elementwise activations a(x) with their first and second derivatives, and SwiGLU  y = silu(g)·u.
// Each pass works on blocks of 64 elements, so that the exponential is vectorized and the rest stays in registers.
//   source  GELU: Hendrycks & Gimpel 2016, exact (erf) and the tanh form of GPT-2; SwiGLU: Shazeer 2020
#pragma once

#include <cmath>
#include <numbers>
#include <string_view>

#include "sim/base/matrix.hpp"

namespace hone {

enum class Activation { tanh, relu, gelu, gelu_tanh, silu };

/// a(x), a'(x), a''(x) of one element. The second derivative of ReLU is 0 everywhere.
template <class S>
struct ActivationJet {
  S value, first, second;
};

template <class S>
ActivationJet<S> tanh_jet(S x) {
  using std::tanh;
  const S t = tanh(x);
  const S first = S(1) - t * t;
  return {t, first, S(-2) * t * first};
}

template <class S>
ActivationJet<S> relu_jet(S x) {
  return x > S(0) ? ActivationJet<S>{x, S(1), S(0)} : ActivationJet<S>{S(0), S(0), S(0)};
}

/// x Φ(x);  a' = Φ + x φ;  a'' = (2 - x²) φ.
template <class S>
ActivationJet<S> gelu_jet(S x) {
  using std::erf;
  using std::exp;
  const S cdf = S(0.5) * (S(1) + erf(x * S(1 / std::numbers::sqrt2)));
  const S density = exp(S(-0.5) * x * x) * S(0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2);
  return {x * cdf, cdf + x * density, (S(2) - x * x) * density};
}

/// ½x(1+tanh u), u = √(2/π)(x + 0.044715 x³).
template <class S>
ActivationJet<S> gelu_tanh_jet(S x) {
  using std::tanh;
  const S k = S(std::numbers::inv_sqrtpi * std::numbers::sqrt2);
  const S t = tanh(k * (x + S(0.044715) * x * x * x));
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

template <class S>
ActivationJet<S> silu_jet(S x) {
  using std::exp;
  return silu_jet_from_sigmoid(x, S(1) / (S(1) + exp(-x)));
}

/// Calls visit(jet function) for the chosen activation, outside the element loop.
template <class S, class Visit>
void with_activation(Activation kind, Visit&& visit) {
  switch (kind) {
    case Activation::tanh: return visit([](S x) { return tanh_jet(x); });
    case Activation::relu: return visit([](S x) { return relu_jet(x); });
    case Activation::gelu: return visit([](S x) { return gelu_jet(x); });
    case Activation::gelu_tanh: return visit([](S x) { return gelu_tanh_jet(x); });
    case Activation::silu: return visit([](S x) { return silu_jet(x); });
  }
}

/// y = a(x), n elements.
template <class S>
void activation_forward(S* y, const S* x, Index n, Activation kind) {
  with_activation<S>(kind, [&](auto jet) {
    for (Index i = 0; i < n; ++i) y[i] = jet(x[i]).value;
  });
}
/// dx = dy·a'(x).
template <class S>
void activation_backward(S* dx, const S* dy, const S* x, Index n, Activation kind) {
  with_activation<S>(kind, [&](auto jet) {
    for (Index i = 0; i < n; ++i) dx[i] = dy[i] * jet(x[i]).first;
  });
}
/// ty = tx·a'(x).
template <class S>
void activation_tforward(S* ty, const S* tx, const S* x, Index n, Activation kind) {
  activation_backward(ty, tx, x, n, kind);
}
/// tdx = tdy·a'(x) + dy·a''(x)·tx.
template <class S>
void activation_tbackward(S* tdx, const S* tdy, const S* dy, const S* tx, const S* x, Index n, Activation kind) {
  with_activation<S>(kind, [&](auto jet) {
    for (Index i = 0; i < n; ++i) {
      const ActivationJet<S> a = jet(x[i]);
      tdx[i] = tdy[i] * a.first + dy[i] * a.second * tx[i];
    }
  });
}

/// Calls body(i, jet of silu at g[i]) for all i, the exponentials of 64 elements at once.
template <class S, class Body>
void for_silu(const S* g, Index n, Body&& body) {
  constexpr Index width = 64;
  alignas(64) S sigmoid[width];
  for (Index begin = 0; begin < n; begin += width) {
    const Index count = std::min(width, n - begin);
    const Eigen::Map<const Eigen::Array<S, Eigen::Dynamic, 1>> block(g + begin, count);
    Eigen::Map<Eigen::Array<S, Eigen::Dynamic, 1>>(sigmoid, count) = S(1) / (S(1) + (-block).exp());
    for (Index i = 0; i < count; ++i) body(begin + i, silu_jet_from_sigmoid(g[begin + i], sigmoid[i]));
  }
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

}  // namespace hone
