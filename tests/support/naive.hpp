// Twins of the layers, as plain as their formulas: loops over scalars, no blocks, no Eigen
// expressions. The layers are held against them, so nothing here may be clever.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/layers/activation.hpp"
#include "sim/layers/attention.hpp"
#include "sim/layers/rope.hpp"

namespace hone::test::naive {

/// y[m][o] = Σ_i x[m][i] W[o][i] + b[o]; b may be null.
inline Matrix<double> linear(const double* x, const double* w, const double* b, Index M, Index I, Index O) {
  Matrix<double> y(M, O);
  for (Index m = 0; m < M; ++m)
    for (Index o = 0; o < O; ++o) {
      double sum = b ? b[o] : 0;
      for (Index i = 0; i < I; ++i) sum += x[m * I + i] * w[o * I + i];
      y(m, o) = sum;
    }
  return y;
}

/// y = x·w / √(mean(x²) + eps).
inline Matrix<double> rmsnorm(const double* x, const double* w, double eps, Index M, Index C) {
  Matrix<double> y(M, C);
  for (Index m = 0; m < M; ++m) {
    double squares = 0;
    for (Index c = 0; c < C; ++c) squares += x[m * C + c] * x[m * C + c];
    for (Index c = 0; c < C; ++c) y(m, c) = x[m * C + c] / std::sqrt(squares / double(C) + eps) * w[c];
  }
  return y;
}

/// y = (x - mean)·w / √(variance + eps) + b.
inline Matrix<double> layernorm(const double* x, const double* w, const double* b, double eps, Index M, Index C) {
  Matrix<double> y(M, C);
  for (Index m = 0; m < M; ++m) {
    double mean = 0, variance = 0;
    for (Index c = 0; c < C; ++c) mean += x[m * C + c] / double(C);
    for (Index c = 0; c < C; ++c) variance += std::pow(x[m * C + c] - mean, 2) / double(C);
    for (Index c = 0; c < C; ++c) y(m, c) = (x[m * C + c] - mean) / std::sqrt(variance + eps) * w[c] + b[c];
  }
  return y;
}

/// Each pair of each head as a complex number times e^{i t base^(-2j/hd)}.
inline Matrix<double> rope(const double* x, Index M, Index T, Index heads, Index hd, double base, RopePairing pairing) {
  Matrix<double> y(M, heads * hd);
  for (Index m = 0; m < M; ++m)
    for (Index h = 0; h < heads; ++h)
      for (Index j = 0; j < hd / 2; ++j) {
        const Index first = h * hd + (pairing == RopePairing::half ? j : 2 * j);
        const Index second = pairing == RopePairing::half ? first + hd / 2 : first + 1;
        const double angle = double(m % T) / std::pow(base, 2.0 * double(j) / double(hd));
        const double a = x[m * heads * hd + first], b = x[m * heads * hd + second];
        y(m, first) = a * std::cos(angle) - b * std::sin(angle);
        y(m, second) = a * std::sin(angle) + b * std::cos(angle);
      }
  return y;
}

/// o[t] = Σ_{s≤t} softmax_s(q[t]·k[s]/√hd) v[s], head by head.
inline Matrix<double> attention(const double* q, const double* k, const double* v, const AttentionShape& a) {
  const Index hd = a.head_width, T = a.positions, kv_stride = a.kv_heads * hd, stride = a.heads * hd;
  Matrix<double> o = Matrix<double>::Zero(a.sequences * T, stride);
  for (Index b = 0; b < a.sequences; ++b)
    for (Index h = 0; h < a.heads; ++h)
      for (Index t = 0; t < T; ++t) {
        const Index g = h * a.kv_heads / a.heads;
        std::vector<double> weight;
        double total = 0;
        for (Index s = 0; s <= t; ++s) {
          double dot = 0;
          for (Index i = 0; i < hd; ++i)
            dot += q[(b * T + t) * stride + h * hd + i] * k[(b * T + s) * kv_stride + g * hd + i];
          weight.push_back(std::exp(dot / std::sqrt(double(hd))));
          total += weight.back();
        }
        for (Index s = 0; s <= t; ++s)
          for (Index i = 0; i < hd; ++i)
            o(b * T + t, h * hd + i) += weight[size_t(s)] / total * v[(b * T + s) * kv_stride + g * hd + i];
      }
  return o;
}

inline double silu(double x) { return x / (1 + std::exp(-x)); }

inline double activation(double x, Activation kind) {
  switch (kind) {
    case Activation::tanh: return std::tanh(x);
    case Activation::relu: return std::max(x, 0.0);
    case Activation::gelu: return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
    case Activation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * std::pow(x, 3))));
    case Activation::silu: return silu(x);
    case Activation::identity: return x;
  }
  return NAN;
}

/// -ln softmax(z)[target] row by row; only for moderate z, since nothing is shifted.
inline Vector<double> softmax_xent(const double* z, const std::int32_t* targets, Index M, Index V) {
  Vector<double> loss(M);
  for (Index m = 0; m < M; ++m) {
    double sum = 0;
    for (Index v = 0; v < V; ++v) sum += std::exp(z[m * V + v]);
    loss[m] = -std::log(std::exp(z[m * V + targets[m]]) / sum);
  }
  return loss;
}

}  // namespace hone::test::naive
