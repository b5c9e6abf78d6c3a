// The functions of inner kernels: multiply-add, sums, the largest of a row, exp and tanh, each with one arithmetic at
// every position. Element i of a result depends on the values at i only, and a sum on its terms in their order. Neither
// depends on alignment, on the number of rows, or on whether a whole vector or the end of a row processes the value.
//   A sum runs over 16 lanes of float or 8 of double, whatever the machine's vectors hold, so its bits are those of all
// instruction classes. madd() alone differs between them: fused from v3 on, a product and a sum in v2.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "sim/base/dispatch.hpp"
#include "sim/base/matrix.hpp"

namespace hone {
namespace HONE_CLASS {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

/// One vector of this class, aligned, and the same at any address.
template <class S>
struct Register {
  typedef S Value __attribute__((vector_size(vector_bytes)));
  typedef S Memory __attribute__((vector_size(vector_bytes), aligned(sizeof(S)), may_alias));
};

template <class S>
inline constexpr Index lanes = vector_bytes / Index(sizeof(S));

/// a b + c of one number, rounded once where the class has a fused instruction.
template <class S>
inline __attribute__((always_inline)) S madd(S a, S b, S c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  if constexpr (std::is_same_v<S, float>) return __builtin_fmaf(a, b, c);
  if constexpr (std::is_same_v<S, double>) return __builtin_fma(a, b, c);
#endif
  return a * b + c;
}

/// Calls body(i) for i = 0 … n-1; an output either is the input of the same element or overlaps none.
template <class Body>
inline __attribute__((always_inline)) void each(Index n, Body&& body) {
#pragma GCC ivdep
  for (Index i = 0; i < n; ++i) body(i);
}

/// Where a term of a sum reads its inputs: at(x) is x[i], or the vector of x[i] and those behind it.
template <class S>
struct AtVector {
  Index i;
  __attribute__((always_inline)) typename Register<S>::Value operator()(const S* x) const {
    return *reinterpret_cast<const typename Register<S>::Memory*>(x + i);
  }
};
template <class S>
struct AtElement {
  Index i;
  __attribute__((always_inline)) S operator()(const S* x) const { return x[i]; }
};

/// Sum of the lanes of 64 bytes of vectors: lane l with lane l + half, half as many at each step.
template <class S>
inline __attribute__((always_inline)) S sum_of_lanes(typename Register<S>::Value* total) {
  constexpr int pieces = 64 / vector_bytes, width = int(lanes<S>);
#pragma GCC unroll 4
  for (int half = pieces / 2; half > 0; half /= 2)
#pragma GCC unroll 4
    for (int p = 0; p < half; ++p) total[p] += total[p + half];
  auto v = total[0];
  if constexpr (width == 16) {
    v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1);
  } else if constexpr (width == 8) {
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 2, 3, 0, 1);
  } else if constexpr (width == 4) {
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1);
  }
  return v[0] + v[1];
}

/// Σ_i term at i for i < n.  Term: at -> value, for AtVector<S> and AtElement<S>, by the same operations on both.
/// math  16 (float) or 8 (double) partial sums, i modulo that number; then by halves. Other scalars: in order
template <class S, class Term>
inline __attribute__((always_inline)) S sum(Index n, Term&& term) {
  if constexpr (!std::is_floating_point_v<S>) {
    S total(0);
    for (Index i = 0; i < n; ++i) total += term(AtElement<S>{i});
    return total;
  } else {
    using Value = typename Register<S>::Value;
    constexpr Index block = 64 / Index(sizeof(S));
    constexpr int pieces = 64 / vector_bytes;
    Value total[pieces] = {};
    Index i = 0;
    for (; i + block <= n; i += block)
#pragma GCC unroll 4
      for (int p = 0; p < pieces; ++p) total[p] += term(AtVector<S>{i + p * lanes<S>});
    if (i < n) {
      alignas(64) S rest[block] = {};
      for (Index l = 0; i < n; ++l, ++i) rest[l] = term(AtElement<S>{i});
#pragma GCC unroll 4
      for (int p = 0; p < pieces; ++p) total[p] += *reinterpret_cast<const Value*>(rest + p * lanes<S>);
    }
    return sum_of_lanes<S>(total);
  }
}

/// The largest of n ≥ 1 numbers; with a NaN among them any of them or NaN.
template <class S>
inline __attribute__((always_inline)) S largest(const S* x, Index n) {
  S top = x[0];
  Index i = 0;
  if constexpr (std::is_floating_point_v<S>) {
    using Value = typename Register<S>::Value;
    if (n >= lanes<S>) {
      Value tops = AtVector<S>{0}(x);
      for (i = lanes<S>; i + lanes<S> <= n; i += lanes<S>) {
        const Value here = AtVector<S>{i}(x);
        tops = here > tops ? here : tops;
      }
      top = tops[0];
      for (Index l = 1; l < lanes<S>; ++l) top = tops[l] > top ? tops[l] : top;
    }
  }
  for (; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

/// What exponential() needs to know of a floating format.
template <class S>
struct ExpFormat;
template <>
struct ExpFormat<float> {
  using Bits = std::int32_t;
  static constexpr int mantissa = 23, bias = 127, degree = 7;
  static constexpr float low = -104, high = 89;                               ///< exp is 0 and +inf beyond
  static constexpr float shift = 0x1.8p23f;                                   ///< x + shift rounds x to an integer
  static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;  ///< their sum is ln 2; n·high is exact
};
template <>
struct ExpFormat<double> {
  using Bits = std::int64_t;
  static constexpr int mantissa = 52, bias = 1023, degree = 13;
  static constexpr double low = -746, high = 710;
  static constexpr double shift = 0x1.8p52;
  static constexpr double ln2_high = 0x1.62e42fefap-1, ln2_low = 0x1.cf79abc9e3b3ap-40;
};

/// 1/k!
inline constexpr double inverse_factorial[] = {
    1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
    1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

/// 2^n for a whole n, given as n + ExpFormat::shift.
template <class S>
inline __attribute__((always_inline)) S power_of_two(S shifted) {
  using F = ExpFormat<S>;
  typename F::Bits bits, origin;
  const S shift = F::shift;
  std::memcpy(&bits, &shifted, sizeof(S));
  std::memcpy(&origin, &shift, sizeof(S));
  bits = (bits - origin + F::bias) << F::mantissa;
  S power;
  std::memcpy(&power, &bits, sizeof(S));
  return power;
}

/// e^x.
/// math    n = round(x/ln 2), r = x - n ln 2, |r| ≤ ½ ln 2, e^r by its Taylor series to degree 7 (float) or 13
///         (double), whose rest is below 6e-9 and 5e-18; times 2^n in two factors, so that subnormal results are right
/// ensures relative error below 2 units in the last place; 0 below and +inf above the range, NaN for NaN
template <class S>
inline __attribute__((always_inline)) S exponential(S x) {
  if constexpr (!std::is_floating_point_v<S>) {
    using std::exp;
    return exp(x);
  } else {
    using F = ExpFormat<S>;
    x = x < F::low ? F::low : x;
    x = x > F::high ? F::high : x;
    const S n = madd(x, S(1.4426950408889634), F::shift) - F::shift;
    const S r = madd(n, -F::ln2_low, madd(n, -F::ln2_high, x));
    S series = S(inverse_factorial[F::degree]);
#pragma GCC unroll 16
    for (int k = F::degree - 1; k >= 0; --k) series = madd(series, r, S(inverse_factorial[k]));
    const S half = madd(n, S(0.5), F::shift), other = n - (half - F::shift) + F::shift;
    return series * power_of_two(half) * power_of_two(other);
  }
}

/// tanh x.
/// math     (1-e)/(1+e) with e = exp(-2|x|); the odd series to x^13 below 0.1, where 1-e cancels
/// ensures  relative error below 3e-7 (float), 4e-15 (double)
template <class S>
inline __attribute__((always_inline)) S hyperbolic_tangent(S x) {
  if constexpr (!std::is_floating_point_v<S>) {
    using std::tanh;
    return tanh(x);
  } else {
    const S q = x * x, size = x < S(0) ? -x : x, e = exponential(S(-2) * size);
    const S magnitude = (S(1) - e) / (S(1) + e), large = x < S(0) ? -magnitude : magnitude;
    S tail = madd(q, S(21844.0 / 6081075), S(-1382.0 / 155925));
    tail = madd(q, tail, S(62.0 / 2835));
    tail = madd(q, tail, S(-17.0 / 315));
    tail = madd(q, tail, S(2.0 / 15));
    tail = madd(q, tail, S(-1.0 / 3));
    const S small = madd(x * q, tail, x);
    return q < S(0.01) ? small : large;
  }
}

}  // namespace HONE_CLASS
}  // namespace hone
