// The register tile behind gemm.cpp and the layout of its right factor, compiled per instruction class.
//   y (R rows, one panel) = Σ_t a_t b_t  with up to two terms t summed in registers, so that the R-operator of a
//   product, ta b + a tb, touches y once. b is laid out in panels of `panel` columns, each (depth, panel), padded
//   with zeros; a is read in place, one element broadcast over a panel.
//   One arithmetic: every element of y is a chain of multiply-adds (madd of vector_math.hpp) from 0 over the depth of
//   the first term and then of the second, in a tile of any height and at any column.
//   source  tiling: Goto & van de Geijn 2008; register blocking of BLIS, Van Zee & van de Geijn 2015
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstring>

#include "sim/base/vector_math.hpp"

namespace hone {

/// One product a b of the sum. Element (i,k) of a is a[i·row + k·step]; b is one panel after another.
template <class S>
struct ProductTerm {
  const S* a = nullptr;
  Index row = 0, step = 0;
  const S* b = nullptr;
  Index depth = 0;    ///< of the product
  Index b_depth = 0;  ///< rows of each panel of b, at least depth
};

namespace HONE_CLASS {

#if defined(__AVX512F__)
inline constexpr int tile_rows = 12;  // 24 sums, 2 of b, 1 of a: 27 of 32 registers
#else
inline constexpr int tile_rows = 6;  // 12 sums, 2 of b, 1 of a: 15 of 16 registers
#endif

template <class S>
inline constexpr Index panel = 2 * lanes<S>;

template <class S>
using Term = ProductTerm<S>;

/// a b + c of vectors: in each lane what madd() is.
#if defined(__AVX512F__)
inline __attribute__((always_inline)) __m512 fused(__m512 a, __m512 b, __m512 c) { return _mm512_fmadd_ps(a, b, c); }
inline __attribute__((always_inline)) __m512d fused(__m512d a, __m512d b, __m512d c) {
  return _mm512_fmadd_pd(a, b, c);
}
#elif defined(__AVX2__)
inline __attribute__((always_inline)) __m256 fused(__m256 a, __m256 b, __m256 c) { return _mm256_fmadd_ps(a, b, c); }
inline __attribute__((always_inline)) __m256d fused(__m256d a, __m256d b, __m256d c) {
  return _mm256_fmadd_pd(a, b, c);
}
#elif defined(__ARM_FEATURE_FMA)
template <class V>
inline __attribute__((always_inline)) V fused(V a, V b, V c) {
  for (int l = 0; l < int(sizeof(V) / sizeof(a[0])); ++l)
    c[l] = madd<std::remove_reference_t<decltype(a[0])>>(a[l], b[l], c[l]);
  return c;
}
#else
template <class V>
inline __attribute__((always_inline)) V fused(V a, V b, V c) {
  return a * b + c;
}
#endif

template <class S, int V>
inline void store_row(S* y, const typename Register<S>::Value* sums, Index cols, bool add) {
  using Memory = typename Register<S>::Memory;
  if (cols == V * lanes<S>) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      Memory* out = reinterpret_cast<Memory*>(y + v * lanes<S>);
      *out = add ? *out + sums[v] : sums[v];
    }
    return;
  }
  alignas(64) S row[V * lanes<S>];
  std::memcpy(row, sums, sizeof(row));
  for (Index c = 0; c < cols; ++c) y[c] = add ? y[c] + row[c] : row[c];
}

/// R rows of y against one panel, of which V vectors are used.
template <class S, int R, int V>
inline __attribute__((always_inline)) void tile(S* y, Index y_row, const Term<S>* terms, int count, Index cols,
                                                bool add) {
  using Value = typename Register<S>::Value;
  Value sums[R][V] = {};
  for (int t = 0; t < count; ++t) {
    const Index row = terms[t].row, step = terms[t].step;
    // Three bases, so that every row is at most three strides away and the addresses fit the registers.
    const S *a = terms[t].a, *a4 = a + 4 * row, *a8 = a + 8 * row, *b = terms[t].b;
    for (Index k = 0; k < terms[t].depth; ++k, a += step, a4 += step, a8 += step, b += panel<S>) {
      Value right[V];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) right[v] = *reinterpret_cast<const Value*>(b + v * lanes<S>);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        const S* base = r < 4 ? a : r < 8 ? a4 : a8;
        const Value left = base[(r % 4) * row] - Value{};  // a broadcast: x - 0 is x for every x
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) sums[r][v] = fused(left, right[v], sums[r][v]);
      }
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) store_row<S, V>(y + r * y_row, sums[r], cols, add);
}

/// R rows of y against all panels.
template <class S, int R>
__attribute__((noinline)) void tile_row(S* y, Index y_row, Index cols, const Term<S>* terms, int count, bool add) {
  Term<S> at[2] = {terms[0], count == 2 ? terms[1] : Term<S>{}};
  for (Index first = 0; first < cols; first += panel<S>) {
    const Index width = std::min(panel<S>, cols - first);
    if (width > lanes<S>)
      tile<S, R, 2>(y + first, y_row, at, count, width, add);
    else
      tile<S, R, 1>(y + first, y_row, at, count, width, add);
    for (int t = 0; t < count; ++t) at[t].b += panel<S> * at[t].b_depth;
  }
}

/// y (rows, cols) = or += Σ of `count` ≤ 2 terms. Rows go in tiles of 12 (or 6), 8, 4 and 1, which changes no sum. The last
/// 8 or 9 rows of tiles of 6 go as 4 + 4: a tile of one row waits for its few sums.
template <class S>
void gemm_multiply(S* y, Index y_row, Index rows, Index cols, const Term<S>* terms, int count, bool add) {
  Term<S> at[2] = {terms[0], count == 2 ? terms[1] : Term<S>{}};
  const auto tile_of = [&]<int R>(std::integral_constant<int, R>) {
    tile_row<S, R>(y, y_row, cols, at, count, add);
    y += R * y_row;
    for (int t = 0; t < count; ++t) at[t].a += R * at[t].row;
    return Index(R);
  };
  const auto ends_in_fours = [](Index left) { return tile_rows == 6 && (left == 8 || left == 9); };
  while (rows >= tile_rows && !ends_in_fours(rows)) rows -= tile_of(std::integral_constant<int, tile_rows>());
  if constexpr (tile_rows > 8)
    if (rows >= 8) rows -= tile_of(std::integral_constant<int, 8>());
  while (rows >= 4) rows -= tile_of(std::integral_constant<int, 4>());
  while (rows > 0) rows -= tile_of(std::integral_constant<int, 1>());
}

/// Panels of b (depth, cols) into out (padded(cols)·depth).
template <class S>
void gemm_pack(S* out, const S* b, Index b_row, Index depth, Index cols) {
  for (Index first = 0; first < cols; first += panel<S>) {
    const Index width = std::min(panel<S>, cols - first);
    for (Index k = 0; k < depth; ++k, out += panel<S>) {
      const S* row = b + k * b_row + first;
      if (width == panel<S>) {
        std::memcpy(out, row, panel<S> * sizeof(S));
      } else {
        std::copy_n(row, width, out);
        std::fill_n(out + width, panel<S> - width, S(0));
      }
    }
  }
}

/// Transposes a square of `lanes` rows in registers by log2(lanes) perfect shuffles.
template <class S>
inline void transpose_square(S* out, Index out_row, const S* in, Index in_row) {
  constexpr int n = int(lanes<S>);
#if defined(__clang__)  // has no shuffle by a mask that is made here
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) out[i * out_row + j] = in[j * in_row + i];
#else
  using Value = typename Register<S>::Value;
  using Memory = typename Register<S>::Memory;
  using Lane = std::conditional_t<sizeof(S) == 4, std::int32_t, std::int64_t>;
  typedef Lane Mask __attribute__((vector_size(vector_bytes)));
  Mask low, high;
  for (int i = 0; i < n; ++i) {
    low[i] = i / 2 + (i % 2) * n;
    high[i] = n / 2 + i / 2 + (i % 2) * n;
  }
  Value rows[n], mixed[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) rows[i] = *reinterpret_cast<const Memory*>(in + i * in_row);
#pragma GCC unroll 4
  for (int stage = n; stage > 1; stage /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; ++i) {
      mixed[2 * i] = __builtin_shuffle(rows[i], rows[i + n / 2], low);
      mixed[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + n / 2], high);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) rows[i] = mixed[i];
  }
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) *reinterpret_cast<Memory*>(out + i * out_row) = rows[i];
#endif
}

/// Panels of b' for b (cols, depth) into out (padded(cols)·depth).
template <class S>
void gemm_pack_transposed(S* out, const S* b, Index b_row, Index depth, Index cols) {
  constexpr Index square = lanes<S>;
  for (Index first = 0; first < cols; first += panel<S>, out += panel<S> * depth) {
    const Index width = std::min(panel<S>, cols - first);
    if (width < panel<S>) std::fill_n(out, panel<S> * depth, S(0));
    for (Index c = 0; c < width; c += square) {
      const S* rows = b + (first + c) * b_row;
      const Index here = std::min(square, width - c);
      Index k = 0;
      if (here == square)
        for (; k + square <= depth; k += square) transpose_square(out + k * panel<S> + c, panel<S>, rows + k, b_row);
      for (; k < depth; ++k)
        for (Index i = 0; i < here; ++i) out[k * panel<S> + c + i] = rows[i * b_row + k];
    }
  }
}

/// Columns [0, rows) of a (depth, ·) side by side: out (depth, rows).
template <class S>
void gemm_pack_columns(S* out, const S* a, Index a_row, Index depth, Index rows) {
  if (rows == tile_rows)  // a length known to the compiler: a few moves instead of a call
    for (Index k = 0; k < depth; ++k) std::memcpy(out + k * tile_rows, a + k * a_row, tile_rows * sizeof(S));
  else
    for (Index k = 0; k < depth; ++k) std::copy_n(a + k * a_row, rows, out + k * rows);
}

/// Columns of a panel, and rows of the highest tile.
template <class S>
Index gemm_panel_width() {
  return panel<S>;
}
template <class S>
Index gemm_tile_height() {
  return tile_rows;
}

}  // namespace HONE_CLASS

#define HONE_GEMM_KERNELS(K)           \
  K(GemmKernels, gemm_multiply)        \
  K(GemmKernels, gemm_pack)            \
  K(GemmKernels, gemm_pack_transposed) \
  K(GemmKernels, gemm_pack_columns)    \
  K(GemmKernels, gemm_panel_width)     \
  K(GemmKernels, gemm_tile_height)
HONE_KERNEL_TABLE(GemmKernels, HONE_GEMM_KERNELS)

}  // namespace hone
