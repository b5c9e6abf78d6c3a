// Hadamard transforms: orthogonal maps with entries ±1/√n, applied in O(n log n) without a stored matrix.
//   H_n = S_outer ⊗ H_K ⊗ S_inner   with S the Sylvester matrices of sizes 2^m and H_K, K ∈ {12, 20, 28, 36}, by Paley
// Like RoPE the map is linear and orthogonal: tforward is forward, backward and tbackward are the transpose.
//   source  Sylvester 1867; Paley 1933; sign conventions of had12, had20, had28 in QuaRot (Ashkboos et al. 2024)
#pragma once

#include <array>
#include <cmath>
#include <string>

#include "sim/base/error.hpp"
#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"
#include "sim/layers/rope.hpp"

namespace hone {

/// size = outer·base·inner. The factor 2 nearest to 20 stands in front of it (QuaRot's order of 40), all others behind.
struct HadamardFactors {
  Index outer = 1, base = 1, inner = 1;
};

/// Largest base: height of the transform's stack buffer.
inline constexpr Index hadamard_base_max = 36;

/// Whether size is 2^m, 12·2^m, 20·2^m, 28·2^m or 36·2^m.
bool has_hadamard(Index size);

/// The nearest sizes with a matrix, for messages: "16 and 20".
std::string nearest_hadamard_sizes(Index size);

/// errors  OptionError naming the size and the nearest ones that have a matrix
HadamardFactors hadamard_factors(Index size);

/// The base matrix, entries ±1.
/// shapes   (base, base)
/// expects  base is 1, 12, 20, 28 or 36
Matrix<double> hadamard_base(Index base);

/// √n H_n, entries ±1 exactly.
/// errors  as hadamard_factors
Matrix<double> hadamard_signs(Index size);

/// diag(s) H_n with signs s from the stream: orthogonal, and a different one for each seed.
/// errors  as hadamard_factors
Matrix<double> random_sign_hadamard(Index size, const Stream& stream);

/// A draw from the uniform distribution on the orthogonal matrices, for any size.
/// math    G = QR with G normal, the signs of Q's columns such that diag R > 0
/// cost    4/3·n³ flops
/// source  Mezzadri 2007
Matrix<double> random_orthogonal(Index size, const Stream& stream);

/// What hadamard_rotate needs, built once.
/// errors  as hadamard_factors
template <class S>
struct HadamardTable {
  Index size = 0;
  HadamardFactors factors;
  Matrix<S> base;  // (K,K) ±1

  explicit HadamardTable(Index n) : size(n), factors(hadamard_factors(n)) {
    const Matrix<double> signs = hadamard_base(factors.base);
    base.resize(signs.rows(), signs.cols());
    for (Index i = 0; i < signs.size(); ++i) base.data()[i] = S(signs.data()[i]);
  }
};

namespace detail {

/// (a, b) -> (a+b, a-b) for all pairs `stride` apart, among `count` values.
template <class S>
void butterflies(S* x, Index count, Index stride) {
  for (Index start = 0; start < count; start += 2 * stride)
    for (Index i = start; i < start + stride; ++i) {
      const S a = x[i], b = x[i + stride];
      x[i] = a + b;
      x[i + stride] = a - b;
    }
}

/// base or its transpose on every set of K values `stride` apart, among `count` values.
template <class S>
void apply_base(S* x, Index count, Index stride, const Matrix<S>& base, Turn turn) {
  const Index K = base.rows(), out = turn == Turn::forward ? K : 1, in = turn == Turn::forward ? 1 : K;
  std::array<S, hadamard_base_max> column;
  for (Index start = 0; start < count; start += K * stride)
    for (Index i = start; i < start + stride; ++i) {
      for (Index k = 0; k < K; ++k) column[size_t(k)] = x[i + k * stride];
      for (Index k = 0; k < K; ++k) {
        S sum(0);
        for (Index j = 0; j < K; ++j) sum += base.data()[k * out + j * in] * column[size_t(j)];
        x[i + k * stride] = sum;
      }
    }
}

}  // namespace detail

/// Multiplies by H_n, or its transpose, in place. x is read as a sequence of groups of n·channels values, and the map
/// is H_n ⊗ I_channels on each: `channels` = 1 turns n neighbours, the head width mixes whole heads.
/// expects  x.size() is a multiple of n·channels
/// cost     (log2(n/K) + K)·x.size() flops, K the base; nothing is allocated
template <class S>
void hadamard_rotate(MatView<S> x, const HadamardTable<S>& table, Index channels, Turn turn) {
  const Index group = table.size * channels;
  EXPECTS(x.size() % group == 0, "hadamard: {} values in groups of {}", x.size(), group);
  const HadamardFactors& f = table.factors;
  const S scale = S(1 / std::sqrt(double(table.size)));
  for (S* part = x.data(); part < x.data() + x.size(); part += group) {
    for (Index m = 1; m < f.inner; m *= 2) detail::butterflies(part, group, m * channels);
    if (f.base > 1) detail::apply_base(part, group, f.inner * channels, table.base, turn);
    if (f.outer == 2) detail::butterflies(part, group, group / 2);
    for (Index i = 0; i < group; ++i) part[i] *= scale;
  }
}

}  // namespace hone
