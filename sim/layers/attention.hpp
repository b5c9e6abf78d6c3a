// Causal attention with grouped key/value heads. For each sequence and query head h, with g = h/(H/K):
//   A = softmax(scale·q k' + mask),  o = A v,   scale = 1/√hd
//   shapes  q, o (B·T, H·hd)   k, v (B·T, K·hd)   A (B·H·T, T), zero above the diagonal
// Work goes by blocks of query rows, so that only the columns a block can see are touched.
//   source  Vaswani et al. 2017; grouped heads: Ainslie et al. 2023; R-operator by the product rule
#pragma once

#include <cmath>

#include "sim/base/gemm.hpp"
#include "sim/layers/slot.hpp"
#include "sim/layers/softmax.hpp"

namespace hone {

struct AttentionShape {
  Index sequences = 0, positions = 0, heads = 0, kv_heads = 0, head_width = 0;

  double scale() const { return 1 / std::sqrt(double(head_width)); }
};

/// Rows of one block; also the height of the scratch that the passes need.
inline constexpr Index attention_block = 32;

namespace detail {

/// Head `head` of sequence `b` in a (B·T, heads·hd) matrix, rows [first, first+count).
template <class S, class M>
auto head_of(M& x, const AttentionShape& a, Index b, Index head, Index first, Index count) {
  using View = std::conditional_t<std::is_const_v<M>, ConstStridedView<S>, StridedView<S>>;
  return View(x.data() + (b * a.positions + first) * x.cols() + head * a.head_width, count, a.head_width,
              Eigen::OuterStride<>(x.cols()));
}

/// Rows [first, first+count) and columns [0, first+count) of the attention matrix of (b, head).
template <class S, class M>
auto scores_of(M& x, const AttentionShape& a, Index b, Index head, Index first, Index count) {
  using View = std::conditional_t<std::is_const_v<M>, ConstStridedView<S>, StridedView<S>>;
  return View(x.data() + ((b * a.heads + head) * a.positions + first) * a.positions, count, first + count,
              Eigen::OuterStride<>(a.positions));
}

/// Calls prepare(b, kv head) before the first block of each pair of those, and body(b, head, kv head, first row, rows,
/// visible columns) for every block, in a fixed order.
template <class Prepare, class Body>
void for_blocks(const AttentionShape& a, Prepare&& prepare, Body&& body) {
  const Index group = a.heads / a.kv_heads;
  for (Index b = 0; b < a.sequences; ++b)
    for (Index h = 0; h < a.heads; ++h) {
      if (h % group == 0) prepare(b, h / group);
      for (Index first = 0; first < a.positions; first += attention_block) {
        const Index count = std::min(attention_block, a.positions - first);
        body(b, h, h / group, first, count, first + count);
      }
    }
}

}  // namespace detail

/// What the derivative passes read and write. The attention matrix has no adjoints.
template <class S>
struct AttentionSlots {
  Slot<S> q, k, v, att, o;
};

/// A = softmax(scale·q k') row by row over the visible part, o = A v.
template <class S>
void attention_forward(MatView<S> o, MatView<S> att, MatView<S> q, MatView<S> k, MatView<S> v,
                       const AttentionShape& a) {
  const S scale = S(a.scale());
  RightFactor<S> keys, values;
  const auto prepare = [&](Index b, Index g) {
    keys.set_transposed(detail::head_of<S>(k, a, b, g, 0, a.positions));
    values.set(detail::head_of<S>(v, a, b, g, 0, a.positions));
  };
  detail::for_blocks(a, prepare, [&](Index b, Index h, Index, Index first, Index count, Index) {
    auto p = detail::scores_of<S>(att, a, b, h, first, count);
    gemm_right<S>(p, detail::head_of<S>(q, a, b, h, first, count), keys);    // F1
    softmax_causal_rows<S>(p.data(), a.positions, count, first + 1, scale);  // F2
    gemm_right<S>(detail::head_of<S>(o, a, b, h, first, count), p, values);  // F3
  });
}

/// With dA = do v' and dS = A·(dA - Σ dA A):  dq = scale·dS k,  dk = scale·dS' q,  dv = A' do.
/// expects  scratch of attention_block × T values
template <class S>
void attention_backward(const AttentionSlots<S>& s, MatView<S> scratch, const AttentionShape& a) {
  const S scale = S(a.scale());
  MatView<S> q = s.q.x, k = s.k.x, v = s.v.x, att = s.att.x;
  MatView<S> dq = s.q.dx, dk = s.k.dx, dv = s.v.dx, d_o = s.o.dx;
  dk.setZero();
  dv.setZero();
  RightFactor<S> keys, values;
  const auto prepare = [&](Index b, Index g) {
    keys.set(detail::head_of<S>(k, a, b, g, 0, a.positions));
    values.set_transposed(detail::head_of<S>(v, a, b, g, 0, a.positions));
  };
  detail::for_blocks(a, prepare, [&](Index b, Index h, Index g, Index first, Index count, Index visible) {
    const auto p = detail::scores_of<S>(att, a, b, h, first, count);
    const auto doh = detail::head_of<S>(d_o, a, b, h, first, count);
    StridedView<S> ds(scratch.data(), count, visible, Eigen::OuterStride<>(visible));
    gemm_tn<S>(detail::head_of<S>(dv, a, b, g, 0, visible), p, doh, Write::add);                           // B1 from F3
    gemm_right<S>(ds, doh, values);                                                                        // B2 from F3
    softmax_tangent_rows<S>(ds.data(), ds.data(), visible, p.data(), a.positions, count, visible, scale);  // B3 from F2
    gemm_right<S>(detail::head_of<S>(dq, a, b, h, first, count), ds, keys);                                // B4
    gemm_tn<S>(detail::head_of<S>(dk, a, b, g, 0, visible), ds, detail::head_of<S>(q, a, b, h, first, count),
               Write::add);  // B5 from F1
  });
}

/// tS = scale·(tq k' + q tk'),  tA = A·(tS - Σ A tS),  to = tA v + A tv.
template <class S>
void attention_tforward(const AttentionSlots<S>& s, const AttentionShape& a) {
  const S scale = S(a.scale());
  MatView<S> q = s.q.x, k = s.k.x, v = s.v.x, att = s.att.x;
  MatView<S> tq = s.q.tx, tk = s.k.tx, tv = s.v.tx, tatt = s.att.tx, to = s.o.tx;
  RightFactor<S> keys, values, tkeys, tvalues;
  const auto prepare = [&](Index b, Index g) {
    keys.set_transposed(detail::head_of<S>(k, a, b, g, 0, a.positions));
    tkeys.set_transposed(detail::head_of<S>(tk, a, b, g, 0, a.positions));
    values.set(detail::head_of<S>(v, a, b, g, 0, a.positions));
    tvalues.set(detail::head_of<S>(tv, a, b, g, 0, a.positions));
  };
  detail::for_blocks(a, prepare, [&](Index b, Index h, Index, Index first, Index count, Index visible) {
    const auto p = detail::scores_of<S>(att, a, b, h, first, count);
    auto tp = detail::scores_of<S>(tatt, a, b, h, first, count);
    gemm_right<S>(tp, detail::head_of<S>(tq, a, b, h, first, count), keys, detail::head_of<S>(q, a, b, h, first, count),
                  tkeys);                                                                                      // R F1
    softmax_tangent_rows<S>(tp.data(), tp.data(), a.positions, p.data(), a.positions, count, visible, scale);  // R F2
    gemm_right<S>(detail::head_of<S>(to, a, b, h, first, count), tp, values, p, tvalues);                      // R F3
  });
}

/// Tangents of B1-B5. dA and dS are computed again from do, so that nothing of size T² is kept for them.
/// expects  scratch of 2·attention_block × T values
template <class S>
void attention_tbackward(const AttentionSlots<S>& s, MatView<S> scratch, const AttentionShape& a) {
  const S scale = S(a.scale());
  MatView<S> q = s.q.x, k = s.k.x, v = s.v.x, att = s.att.x, d_o = s.o.dx;
  MatView<S> tq = s.q.tx, tk = s.k.tx, tv = s.v.tx, tatt = s.att.tx;
  MatView<S> tdq = s.q.tdx, tdk = s.k.tdx, tdv = s.v.tdx, tdo = s.o.tdx;
  tdk.setZero();
  tdv.setZero();
  RightFactor<S> keys, values, tkeys, tvalues;
  const auto prepare = [&](Index b, Index g) {
    keys.set(detail::head_of<S>(k, a, b, g, 0, a.positions));
    tkeys.set(detail::head_of<S>(tk, a, b, g, 0, a.positions));
    values.set_transposed(detail::head_of<S>(v, a, b, g, 0, a.positions));
    tvalues.set_transposed(detail::head_of<S>(tv, a, b, g, 0, a.positions));
  };
  detail::for_blocks(a, prepare, [&](Index b, Index h, Index g, Index first, Index count, Index visible) {
    const auto p = detail::scores_of<S>(att, a, b, h, first, count);
    const auto tp = detail::scores_of<S>(tatt, a, b, h, first, count);
    const auto doh = detail::head_of<S>(d_o, a, b, h, first, count);
    const auto tdoh = detail::head_of<S>(tdo, a, b, h, first, count);
    const auto qh = detail::head_of<S>(q, a, b, h, first, count);
    const auto tqh = detail::head_of<S>(tq, a, b, h, first, count);
    auto tdkh = detail::head_of<S>(tdk, a, b, g, 0, visible);
    auto tdvh = detail::head_of<S>(tdv, a, b, g, 0, visible);
    StridedView<S> ds(scratch.data(), count, visible, Eigen::OuterStride<>(visible));
    StridedView<S> tds(scratch.data() + attention_block * a.positions, count, visible, Eigen::OuterStride<>(visible));
    gemm_tn<S>(tdvh, tp, doh, p, tdoh, Write::add);  // R B1
    gemm_right<S>(ds, doh, values);                  // B2 again
    gemm_right<S>(tds, tdoh, values, doh, tvalues);  // R B2
    softmax_tangent_pair_rows<S>(ds.data(), tds.data(), visible, p.data(), tp.data(), a.positions, count, visible,
                                 scale);                                                  // B3 again, R B3
    gemm_right<S>(detail::head_of<S>(tdq, a, b, h, first, count), tds, keys, ds, tkeys);  // R B4
    gemm_tn<S>(tdkh, tds, qh, ds, tqh, Write::add);                                       // R B5
  });
}

}  // namespace hone
