// Mixture of experts around its linears: tokens are gathered into one contiguous block per expert, and the experts'
// outputs combined,  y_m += Σ_j g_mj o_slot(m,j).  An expert without tokens has blocks of 0 rows.
//   shapes  x, y (M,C)  gates (M,k)  routed, out (k·M, C), rows are the slots of the routing
//   source  Shazeer et al. 2017 (arXiv:1701.06538), equation 1
#pragma once

#include "sim/base/vector_ops.hpp"
#include "sim/base/workspace.hpp"
#include "sim/layers/router.hpp"

namespace hone {

/// The rows of expert e in a block with a row per slot.
template <class S>
Block<S> expert_rows(const Block<S>& slots, const Routing& routing, Index e) {
  return {slots.data + routing.first[size_t(e)] * slots.cols, routing.load(e), slots.cols};
}

/// routed_s = x_token(s); its own tforward.
template <class S>
void gather_forward(MatView<S> routed, ConstMatView<S> x, const Routing& routing) {
  for (Index s = 0; s < routed.rows(); ++s) routed.row(s) = x.row(routing.token[size_t(s)]);
}
/// dx_m = Σ_j drouted_slot(m,j), in the order of the choices; its own tbackward.
template <class S>
void gather_backward(MatView<S> dx, ConstMatView<S> drouted, const Routing& routing) {
  const Index k = routing.chosen;
  for (Index m = 0; m < dx.rows(); ++m) {
    dx.row(m) = drouted.row(routing.slot[size_t(m * k)]);
    for (Index j = 1; j < k; ++j) dx.row(m) += drouted.row(routing.slot[size_t(m * k + j)]);
  }
}

/// Row m of a contiguous matrix.
template <class M>
auto row_of(const M& a, Index m) {
  return a.data() + m * a.cols();
}

/// y_m += Σ_j g_mj out_slot(m,j), in the order of the choices.
template <class S>
void combine_forward(MatView<S> y, ConstMatView<S> gates, ConstMatView<S> out, const Routing& routing) {
  const Index k = routing.chosen;
  for (Index m = 0; m < y.rows(); ++m)
    for (Index j = 0; j < k; ++j) y.row(m) += gates(m, j) * out.row(routing.slot[size_t(m * k + j)]);
}
/// dgates_mj = dy_m·out_s,  dout_s = g_mj dy_m with s = slot(m,j).
template <class S>
void combine_backward(MatView<S> dgates, MatView<S> dout, ConstMatView<S> dy, ConstMatView<S> gates,
                      ConstMatView<S> out, const Routing& routing) {
  const Index k = routing.chosen;
  for (Index m = 0; m < dy.rows(); ++m)
    for (Index j = 0; j < k; ++j) {
      const Index s = routing.slot[size_t(m * k + j)];
      dgates(m, j) = dot_product<S>(row_of(dy, m), row_of(out, s), dy.cols());
      dout.row(s) = gates(m, j) * dy.row(m);
    }
}
/// ty_m += Σ_j tg_mj out_s + g_mj tout_s.
template <class S>
void combine_tforward(MatView<S> ty, ConstMatView<S> tgates, ConstMatView<S> tout, ConstMatView<S> gates,
                      ConstMatView<S> out, const Routing& routing) {
  combine_forward<S>(ty, tgates, out, routing);
  combine_forward<S>(ty, gates, tout, routing);
}
/// tdgates_mj = tdy_m·out_s + dy_m·tout_s,  tdout_s = tg_mj dy_m + g_mj tdy_m.
template <class S>
void combine_tbackward(MatView<S> tdgates, MatView<S> tdout, ConstMatView<S> tdy, ConstMatView<S> dy,
                       ConstMatView<S> tgates, ConstMatView<S> tout, ConstMatView<S> gates, ConstMatView<S> out,
                       const Routing& routing) {
  const Index k = routing.chosen;
  for (Index m = 0; m < dy.rows(); ++m)
    for (Index j = 0; j < k; ++j) {
      const Index s = routing.slot[size_t(m * k + j)];
      tdgates(m, j) = dot_product<S>(row_of(tdy, m), row_of(out, s), dy.cols()) +
                      dot_product<S>(row_of(dy, m), row_of(tout, s), dy.cols());
      tdout.row(s) = tgates(m, j) * dy.row(m) + gates(m, j) * tdy.row(m);
    }
}

}  // namespace hone
