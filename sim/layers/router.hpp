// Routing of tokens to experts: p = softmax(z), the k experts with the largest z (of equal ones the lowest index), and
// their gates, p itself or p over its sum on the chosen. The choice is fixed for the derivatives: it changes nowhere but
// on a set of measure 0. No capacity: every token reaches its experts.
//   shapes  z, p (M,E)  gates (M,k)
//   source  Fedus et al. 2021 (arXiv:2101.03961), equations 1-6; renormalized gates: Jiang et al. 2024 (Mixtral)
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/base/matrix.hpp"

namespace hone {

enum class Gates {
  probability,   ///< g = p (Switch)
  renormalized,  ///< g = p/Σp over the chosen experts
};

/// Which token goes where. Slots are the rows of the gathered inputs: those of expert 0 first, each expert's in token
/// order.
struct Routing {
  Routing() = default;
  /// The memory for `tokens` tokens of sequences of `sequence_tokens` each.
  Routing(Index tokens, Index sequence_tokens, Index expert_count, Index per_token)
      : experts(expert_count),
        chosen(per_token),
        positions(sequence_tokens),
        expert(size_t(tokens * per_token)),
        slot(size_t(tokens * per_token)),
        token(size_t(tokens * per_token)),
        first(size_t(expert_count + 1)),
        sequence_load(size_t(tokens / sequence_tokens * expert_count)) {}

  Index experts = 0, chosen = 0, positions = 0;
  std::vector<Index> expert, slot;   ///< (M,k), experts of a token in falling order of z
  std::vector<Index> token;          ///< (k·M), of each slot
  std::vector<Index> first;          ///< (E+1), slots of expert e are first[e] … first[e+1]-1
  std::vector<Index> sequence_load;  ///< (B,E), tokens of each sequence at each expert

  Index tokens() const { return Index(token.size()) / std::max<Index>(chosen, 1); }
  Index load(Index e) const { return first[size_t(e + 1)] - first[size_t(e)]; }
};

/// The k largest entries of z (E) in falling order, of equal ones the lowest index first; NaN is never larger.
template <class S>
void choose_largest(Index* chosen, Index k, const S* z, Index experts) {
  for (Index j = 0; j < k; ++j) {
    Index best = -1;
    for (Index e = 0; e < experts; ++e) {
      if (std::find(chosen, chosen + j, e) != chosen + j) continue;
      if (best < 0 || z[e] > z[best]) best = e;
    }
    chosen[j] = best;
  }
}

/// Fills a routing from the choices in routing.expert.
inline void sort_by_expert(Routing& routing) {
  const Index tokens = routing.tokens(), k = routing.chosen, experts = routing.experts;
  std::fill(routing.first.begin(), routing.first.end(), 0);
  std::fill(routing.sequence_load.begin(), routing.sequence_load.end(), 0);
  for (Index i = 0; i < tokens * k; ++i) {
    const Index e = routing.expert[size_t(i)];
    ++routing.first[size_t(e + 1)];
    ++routing.sequence_load[size_t(i / k / routing.positions * experts + e)];
  }
  for (Index e = 0; e < experts; ++e) routing.first[size_t(e + 1)] += routing.first[size_t(e)];
  for (Index i = 0; i < tokens * k; ++i) {
    const Index at = routing.first[size_t(routing.expert[size_t(i)])]++;
    routing.slot[size_t(i)] = at;
    routing.token[size_t(at)] = i / k;
  }
  for (Index e = experts; e > 0; --e) routing.first[size_t(e)] = routing.first[size_t(e - 1)];
  routing.first[0] = 0;
}

/// Sum of one row of probabilities over the chosen experts.
template <class S>
S chosen_sum(const S* p, const Routing& routing, Index token) {
  S sum(0);
  for (Index j = 0; j < routing.chosen; ++j) sum += p[routing.expert[size_t(token * routing.chosen + j)]];
  return sum;
}

/// p, the routing and the gates from z.
template <class S>
void router_forward(MatView<S> p, MatView<S> gates, Routing& routing, ConstMatView<S> z, Gates kind) {
  using std::exp;
  const Index k = routing.chosen;
  for (Index m = 0; m < z.rows(); ++m) {
    Index* chosen = routing.expert.data() + m * k;
    choose_largest(chosen, k, z.data() + m * z.cols(), z.cols());
    const S top = z(m, chosen[0]);
    S sum(0);
    for (Index e = 0; e < z.cols(); ++e) sum += p(m, e) = exp(z(m, e) - top);  // F1
    for (Index e = 0; e < z.cols(); ++e) p(m, e) /= sum;
    const S scale = kind == Gates::probability ? S(1) : chosen_sum(p.data() + m * p.cols(), routing, m);
    for (Index j = 0; j < k; ++j) gates(m, j) = p(m, chosen[j]) / scale;  // F2
  }
  sort_by_expert(routing);
}

/// dp and dz from dgates. dp comes in as the adjoint of p by other ways than the gates (the load-balance loss), and goes
/// out whole, for tbackward.
template <class S>
void router_backward(MatView<S> dz, MatView<S> dp, ConstMatView<S> dgates, ConstMatView<S> p, ConstMatView<S> gates,
                     const Routing& routing, Gates kind) {
  const Index k = routing.chosen;
  for (Index m = 0; m < p.rows(); ++m) {
    const Index* chosen = routing.expert.data() + m * k;
    S scale(1), mean(0);
    if (kind == Gates::renormalized) {
      scale = chosen_sum(p.data() + m * p.cols(), routing, m);
      for (Index j = 0; j < k; ++j) mean += gates(m, j) * dgates(m, j);
    }
    for (Index j = 0; j < k; ++j) dp(m, chosen[j]) += (dgates(m, j) - mean) / scale;  // B2
    S sum(0);
    for (Index e = 0; e < p.cols(); ++e) sum += p(m, e) * dp(m, e);
    for (Index e = 0; e < p.cols(); ++e) dz(m, e) = p(m, e) * (dp(m, e) - sum);  // B1
  }
}

/// tp and tgates from tz.
template <class S>
void router_tforward(MatView<S> tp, MatView<S> tgates, ConstMatView<S> tz, ConstMatView<S> p, ConstMatView<S> gates,
                     const Routing& routing, Gates kind) {
  const Index k = routing.chosen;
  for (Index m = 0; m < p.rows(); ++m) {
    const Index* chosen = routing.expert.data() + m * k;
    S mean(0);
    for (Index e = 0; e < p.cols(); ++e) mean += p(m, e) * tz(m, e);
    for (Index e = 0; e < p.cols(); ++e) tp(m, e) = p(m, e) * (tz(m, e) - mean);  // R F1
    S scale(1), tscale(0);
    if (kind == Gates::renormalized) {
      scale = chosen_sum(p.data() + m * p.cols(), routing, m);
      tscale = chosen_sum<S>(tp.data() + m * p.cols(), routing, m);
    }
    for (Index j = 0; j < k; ++j) tgates(m, j) = (tp(m, chosen[j]) - gates(m, j) * tscale) / scale;  // R F2
  }
}

/// What the passes before wrote of a router, for router_tbackward.
template <class S>
struct RouterState {
  ConstMatView<S> p, gates, dp, dgates, tp, tgates;
};

/// tdz from tdgates; the adjoint of p by other ways than the gates is taken as constant.
template <class S>
void router_tbackward(MatView<S> tdz, ConstMatView<S> tdgates, const RouterState<S>& s, const Routing& routing,
                      Gates kind) {
  const Index k = routing.chosen;
  for (Index m = 0; m < s.p.rows(); ++m) {
    const Index* chosen = routing.expert.data() + m * k;
    S scale(1), tscale(0), mean(0), tmean(0);
    if (kind == Gates::renormalized) {
      scale = chosen_sum(s.p.data() + m * s.p.cols(), routing, m);
      tscale = chosen_sum(s.tp.data() + m * s.p.cols(), routing, m);
      for (Index j = 0; j < k; ++j) {
        mean += s.gates(m, j) * s.dgates(m, j);
        tmean += s.tgates(m, j) * s.dgates(m, j) + s.gates(m, j) * tdgates(m, j);
      }
    }
    for (Index e = 0; e < s.p.cols(); ++e) tdz(m, e) = S(0);  // first as tdp
    for (Index j = 0; j < k; ++j)
      tdz(m, chosen[j]) = ((tdgates(m, j) - tmean) - (s.dgates(m, j) - mean) / scale * tscale) / scale;  // R B2
    S sum(0), tsum(0);
    for (Index e = 0; e < s.p.cols(); ++e) {
      sum += s.p(m, e) * s.dp(m, e);
      tsum += s.tp(m, e) * s.dp(m, e) + s.p(m, e) * tdz(m, e);
    }
    for (Index e = 0; e < s.p.cols(); ++e)
      tdz(m, e) = s.tp(m, e) * (s.dp(m, e) - sum) + s.p(m, e) * (tdz(m, e) - tsum);  // R B1
  }
}

/// Load-balance loss, the sum over the sequences.
/// math     T·E·Σ_e f_e P_e of a sequence of T tokens: f_e its share of choices that went to e (no gradient), P_e the
///          mean of p_e over its tokens. T·1 when balanced, so that it weighs as much as the sum of T row losses
/// source   Fedus et al. 2021, equations 4-6, there over a batch; sequences make it a sum that no chunking changes
template <class S>
S load_balance_loss(ConstMatView<S> p, const Routing& routing) {
  S sum(0);
  const double unit = double(routing.experts) / double(routing.positions * routing.chosen);
  for (Index m = 0; m < p.rows(); ++m)
    for (Index e = 0; e < p.cols(); ++e)
      sum += S(unit * double(routing.sequence_load[size_t(m / routing.positions * p.cols() + e)])) * p(m, e);
  return sum;
}

/// dp = weight·∂(load_balance_loss)/∂p.
template <class S>
void load_balance_backward(MatView<S> dp, const Routing& routing, S weight) {
  const double unit = double(routing.experts) / double(routing.positions * routing.chosen);
  for (Index m = 0; m < dp.rows(); ++m)
    for (Index e = 0; e < dp.cols(); ++e)
      dp(m, e) = weight * S(unit * double(routing.sequence_load[size_t(m / routing.positions * dp.cols() + e)]));
}

}  // namespace hone
