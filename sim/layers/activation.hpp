// Elementwise activations a(x) with their first and second derivatives, and SwiGLU  y = silu(g)·u.
// Each pass works on blocks of 64 elements, so that the transcendental part is vectorized and the rest stays in
// registers.
//   source  GELU: Hendrycks & Gimpel 2016, exact (erf) and the tanh form of GPT-2; SwiGLU: Shazeer 2020
#pragma once

#include <cmath>
#include <numbers>
#include <string_view>

#include "sim/base/matrix.hpp"

namespace hone {

/// identity makes a network linear, so that its training and curvature have closed forms.
enum class Activation { tanh, relu, gelu, gelu_tanh, silu, identity };

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
  using std::exp;
  const S cdf = S(0.5) * (S(1) + erf(x * S(1 / std::numbers::sqrt2)));
  const S density = exp(S(-0.5) * x * x) * S(0.5 * std::numbers::inv_sqrtpi * std::numbers::sqrt2);
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

inline constexpr Index activation_block = 64;

/// In place tanh of up to a block.
/// math  (1-e)/(1+e) with e = exp(-2|x|), the odd series to x^13 below 0.1 where 1-e cancels: relative error 4e-15
template <class S>
void tanh_block(S* x, Index count) {
  using std::tanh;
  if constexpr (!std::is_same_v<S, double>) {
    Eigen::Map<Eigen::Array<S, Eigen::Dynamic, 1>> all(x, count);
    all = all.tanh();
  } else {
    Eigen::Map<Eigen::ArrayXd> all(x, count);
    alignas(64) double e[activation_block];
    Eigen::Map<Eigen::ArrayXd>(e, count) = (-2 * all.abs()).exp();
#pragma GCC ivdep
    for (Index i = 0; i < count; ++i) {
      const double v = x[i], q = v * v;
      const double large = std::copysign((1 - e[i]) / (1 + e[i]), v);
      const double tail = -17.0 / 315 + q * (62.0 / 2835 + q * (-1382.0 / 155925 + q * (21844.0 / 6081075)));
      const double small = v + v * q * (-1.0 / 3 + q * (2.0 / 15 + q * tail));
      x[i] = q < 0.01 ? small : large;
    }
  }
}

/// Calls body(i, jet from x[i] and core[i]) for all i with core = transform of a block of x, in place.
template <class S, class Transform, class Jet, class Body>
void for_blocks(const S* x, Index n, Transform&& transform, Jet&& jet, Body&& body) {
  alignas(64) S core[activation_block];
  for (Index begin = 0; begin < n; begin += activation_block) {
    const Index count = std::min(activation_block, n - begin);
    std::copy_n(x + begin, count, core);
    transform(core, count);
#pragma GCC ivdep  // an output either is the input of the same element or overlaps none
    for (Index i = 0; i < count; ++i) body(begin + i, jet(x[begin + i], core[i]));
  }
}

/// Calls body(i, jet of silu at g[i]) for all i.
template <class S, class Body>
void for_silu(const S* g, Index n, Body&& body) {
  const auto sigmoid = [](S* x, Index count) {
    Eigen::Map<Eigen::Array<S, Eigen::Dynamic, 1>> all(x, count);
    all = S(1) / (S(1) + (-all).exp());
  };
  for_blocks(g, n, sigmoid, silu_jet_from_sigmoid<S>, body);
}

/// Calls body(i, jet of the activation at x[i]) for all i.
template <class S, class Body>
void for_jets(const S* x, Index n, Activation kind, Body&& body) {
  const auto nothing = [](S*, Index) {};
  const auto tanh_of_argument = [](S* core, Index count) {
    for (Index i = 0; i < count; ++i) core[i] = gelu_tanh_argument(core[i]);
    tanh_block(core, count);
  };
  switch (kind) {
    case Activation::tanh:
      return for_blocks(
          x, n, tanh_block<S>, [](S, S t) { return tanh_jet(t); }, body);
    case Activation::relu:
      return for_blocks(
          x, n, nothing, [](S v, S) { return relu_jet(v); }, body);
    case Activation::gelu:
      return for_blocks(
          x, n, nothing, [](S v, S) { return gelu_jet(v); }, body);
    case Activation::gelu_tanh: return for_blocks(x, n, tanh_of_argument, gelu_tanh_jet<S>, body);
    case Activation::silu: return for_silu(x, n, body);
    case Activation::identity:
      return for_blocks(
          x, n, nothing, [](S v, S) { return identity_jet(v); }, body);
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

}  // namespace hone
