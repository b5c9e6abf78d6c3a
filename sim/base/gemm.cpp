#include "sim/base/gemm.hpp"

#include "sim/base/gemm_any_scalar.hpp"
#include "sim/base/gemm_kernel.hpp"
#include "sim/base/parallel.hpp"

namespace hone {

namespace {

const bool pinned = (pin_eigen(), true);  // Eigen still multiplies in the solvers; before its first product

/// Depth and columns of the part of a right factor that is laid out at once: two of them fit a 2 MiB second-level cache.
constexpr Index depth_block = 256, cols_block = 512;

/// A left factor read by columns is laid out first when more panels than this read it.
constexpr Index strip_pays = 4;

/// Columns that the panels of a right factor take.
template <class S>
Index padded(Index cols) {
  const Index panel = gemm_panel_width<S>();
  return (cols + panel - 1) / panel * panel;
}

/// Packed factors of one thread, reused by all its products.
template <class S>
S* scratch(Index count) {
  thread_local AlignedVector<S> memory;
  if (Index(memory.size()) < count) memory.resize(size_t(count));
  return memory.data();
}

using detail::FactorPair;
using detail::Layout;

/// The part of a pair at (k, j) of the right factor, laid out for the kernel; moves `memory` behind it.
template <class S>
ProductTerm<S> lay_out(const FactorPair<S>& pair, Layout layout, Index k, Index depth, Index j, Index cols,
                       S*& memory) {
  ProductTerm<S> term;
  if (layout == Layout::nt)
    gemm_pack_transposed<S>(memory, pair.b + j * pair.b_row + k, pair.b_row, depth, cols);
  else
    gemm_pack<S>(memory, pair.b + k * pair.b_row + j, pair.b_row, depth, cols);
  term.a = layout == Layout::tn ? pair.a + k * pair.a_row : pair.a + k;
  term.row = layout == Layout::tn ? 1 : pair.a_row;
  term.step = layout == Layout::tn ? pair.a_row : 1;
  term.b = memory;
  term.depth = term.b_depth = depth;
  memory += padded<S>(cols) * depth;
  return term;
}

/// gemm_multiply() for a left factor that is read by columns: a strip of a tile's height is laid out first, because
/// its rows lie a power of two apart in memory and would fall onto few cache sets.
template <class S>
void multiply_columns(S* y, Index y_row, Index rows, Index cols, const ProductTerm<S>* terms, int count, S* strip,
                      bool add) {
  const Index height = gemm_tile_height<S>();
  for (Index first = 0; first < rows; first += height) {
    const Index here = std::min<Index>(height, rows - first);
    ProductTerm<S> at[2];
    S* memory = strip;
    for (int t = 0; t < count; ++t) {
      at[t] = terms[t];
      gemm_pack_columns<S>(memory, terms[t].a + first, terms[t].step, terms[t].depth, here);
      at[t].a = memory, at[t].step = here;
      memory += here * terms[t].depth;
    }
    gemm_multiply<S>(y + first * y_row, y_row, here, cols, at, count, add);
  }
}

template <class S>
ProductTerm<S> term_of(ConstMatRef<S> a, const RightFactor<S>& b) {
  return {a.data(), a.outerStride(), 1, b.layout.data(), a.cols(), b.depth};
}

}  // namespace

template <class S>
void detail::tiled_product(MatRef<S> y, Index depth, const FactorPair<S>* pairs, int count, Layout layout,
                           Write write) {
  if (y.size() == 0) return;
  if (depth == 0 && write == Write::assign) y.setZero();
  for (Index k = 0; k < depth; k += depth_block)
    for (Index j = 0; j < y.cols(); j += cols_block) {
      const Index deep = std::min(depth_block, depth - k), wide = std::min(cols_block, y.cols() - j);
      S* memory = scratch<S>(2 * depth_block * (cols_block + gemm_tile_height<S>()));
      ProductTerm<S> terms[2];
      for (int t = 0; t < count; ++t) terms[t] = lay_out(pairs[t], layout, k, deep, j, wide, memory);
      const bool add = write == Write::add || k > 0;
      S* out = y.data() + j;
      if (layout == Layout::tn && wide > strip_pays * gemm_panel_width<S>())
        multiply_columns(out, y.outerStride(), y.rows(), wide, terms, count, memory, add);
      else
        gemm_multiply<S>(out, y.outerStride(), y.rows(), wide, terms, count, add);
    }
}

template <class S>
void detail::tiled_product(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, Write write) {
  const ProductTerm<S> terms[] = {term_of<S>(a, b)};
  gemm_multiply<S>(y.data(), y.outerStride(), y.rows(), y.cols(), terms, 1, write == Write::add);
}

template <class S>
void detail::tiled_product(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, ConstMatRef<S> c,
                           const RightFactor<S>& d, Write write) {
  const ProductTerm<S> terms[] = {term_of<S>(a, b), term_of<S>(c, d)};
  gemm_multiply<S>(y.data(), y.outerStride(), y.rows(), y.cols(), terms, 2, write == Write::add);
}

template <class S>
void detail::tiled_layout(RightFactor<S>& factor, ConstMatRef<S> b, bool transposed) {
  factor.layout.resize(size_t(padded<S>(factor.cols) * factor.depth));
  S* out = factor.layout.data();
  if (transposed)
    gemm_pack_transposed<S>(out, b.data(), b.outerStride(), factor.depth, factor.cols);
  else
    gemm_pack<S>(out, b.data(), b.outerStride(), factor.depth, factor.cols);
}

HONE_GEMM_INSTANCES(, float)
HONE_GEMM_INSTANCES(, double)

}  // namespace hone
