// The definitions behind gemm.hpp, for any scalar Eigen can multiply. float and double are compiled once, in gemm.cpp,
// and go from here to the register tiles; another scalar includes this file and takes Eigen's product.
#pragma once

#include <type_traits>

#include "sim/base/gemm.hpp"

namespace hone {

namespace detail {

enum class Layout { nn, nt, tn };

template <class S>
struct FactorPair {
  const S *a, *b;
  Index a_row, b_row;
};

/// y = or += Σ of `count` ≤ 2 products of the given layout and depth.
template <class S>
void tiled_product(MatRef<S> y, Index depth, const FactorPair<S>* pairs, int count, Layout layout, Write write);
template <class S>
void tiled_product(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, Write write);
template <class S>
void tiled_product(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, ConstMatRef<S> c, const RightFactor<S>& d,
                   Write write);
template <class S>
void tiled_layout(RightFactor<S>& factor, ConstMatRef<S> b, bool transposed);

template <class S>
inline constexpr bool tiled = std::is_floating_point_v<S>;

template <class S>
void any_product(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Layout layout, Write write) {
  if constexpr (tiled<S>) {
    const FactorPair<S> pairs[] = {{a.data(), b.data(), a.outerStride(), b.outerStride()}};
    return tiled_product<S>(y, layout == Layout::tn ? a.rows() : a.cols(), pairs, 1, layout, write);
  } else {
    if (write == Write::assign) y.setZero();
    if (layout == Layout::nn) y.noalias() += a * b;
    if (layout == Layout::nt) y.noalias() += a * b.transpose();
    if (layout == Layout::tn) y.noalias() += a.transpose() * b;
  }
}

template <class S>
void any_product(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, ConstMatRef<S> c, ConstMatRef<S> d, Layout layout,
                 Write write) {
  if constexpr (tiled<S>) {
    const FactorPair<S> pairs[] = {{a.data(), b.data(), a.outerStride(), b.outerStride()},
                                   {c.data(), d.data(), c.outerStride(), d.outerStride()}};
    return tiled_product<S>(y, layout == Layout::tn ? a.rows() : a.cols(), pairs, 2, layout, write);
  } else {
    any_product<S>(y, a, b, layout, write);
    any_product<S>(y, c, d, layout, Write::add);
  }
}

/// The leading (depth, cols) part of a factor that is kept as a plain matrix.
template <class S>
auto leading(const RightFactor<S>& b, Index depth, Index cols) {
  return ConstStridedView<S>(b.layout.data(), depth, cols, Eigen::OuterStride<>(b.cols));
}

}  // namespace detail

template <class S>
void gemm_nn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write) {
  detail::any_product<S>(y, a, b, detail::Layout::nn, write);
}
template <class S>
void gemm_nn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, ConstMatRef<S> c, ConstMatRef<S> d, Write write) {
  detail::any_product<S>(y, a, b, c, d, detail::Layout::nn, write);
}
template <class S>
void gemm_nt(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write) {
  detail::any_product<S>(y, a, b, detail::Layout::nt, write);
}
template <class S>
void gemm_nt(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, ConstMatRef<S> c, ConstMatRef<S> d, Write write) {
  detail::any_product<S>(y, a, b, c, d, detail::Layout::nt, write);
}
template <class S>
void gemm_tn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, Write write) {
  detail::any_product<S>(y, a, b, detail::Layout::tn, write);
}
template <class S>
void gemm_tn(MatRef<S> y, ConstMatRef<S> a, ConstMatRef<S> b, ConstMatRef<S> c, ConstMatRef<S> d, Write write) {
  detail::any_product<S>(y, a, b, c, d, detail::Layout::tn, write);
}

template <class S>
void RightFactor<S>::set(ConstMatRef<S> b) {
  depth = b.rows(), cols = b.cols();
  if constexpr (detail::tiled<S>) return detail::tiled_layout<S>(*this, b, false);
  layout.resize(size_t(b.size()));
  MatView<S>(layout.data(), depth, cols) = b;
}
template <class S>
void RightFactor<S>::set_transposed(ConstMatRef<S> b) {
  depth = b.cols(), cols = b.rows();
  if constexpr (detail::tiled<S>) return detail::tiled_layout<S>(*this, b, true);
  layout.resize(size_t(b.size()));
  MatView<S>(layout.data(), depth, cols) = b.transpose();
}

template <class S>
void gemm_right(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, Write write) {
  if constexpr (detail::tiled<S>) {
    detail::tiled_product<S>(y, a, b, write);
  } else {
    if (write == Write::assign) y.setZero();
    y.noalias() += a * detail::leading(b, a.cols(), y.cols());
  }
}
template <class S>
void gemm_right(MatRef<S> y, ConstMatRef<S> a, const RightFactor<S>& b, ConstMatRef<S> c, const RightFactor<S>& d,
                Write write) {
  if constexpr (detail::tiled<S>) {
    detail::tiled_product<S>(y, a, b, c, d, write);
  } else {
    gemm_right<S>(y, a, b, write);
    gemm_right<S>(y, c, d, Write::add);
  }
}

}  // namespace hone
