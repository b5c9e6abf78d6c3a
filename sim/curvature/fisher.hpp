// Fisher matrices: J'BJ as Gauss-Newton is, with the loss Hessian B of each row replaced by Σ s s' over scores
// s = dl/dz. The score of a row stands at the label of the data (empirical) or at labels drawn from the model
// itself (Monte Carlo). No gradient of a single token is ever formed: c = s·(J v) comes from one tangent pass, and
// Σ c (J's) from one backward pass whose rows are weighted by c.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/base/rng.hpp"
#include "sim/layers/loss.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

/// Whose gradients g make the empirical Fisher matrix, the mean of g g'.
enum class FisherUnit {
  token,    ///< g of one token's loss:           F = (1/M) Σ_t g_t g_t'
  example,  ///< g of one example's mean loss:    F = (1/B) Σ_b g_b g_b', g_b = (1/T) Σ_{t in b} g_t;
            ///< minus the squared full gradient this is the covariance of gradient noise
};

struct SampledFisherOptions {
  std::uint32_t samples = 1;  ///< labels per token
  std::uint64_t seed = 1;     ///< token t of the set takes counter t of stream (seed, label, sample)
};

/// Scores dl/dz of each row at the labels of the data.
/// shapes  s (M, V)
/// expects forward ran on x
template <class S>
void data_scores(const Transformer<S>& model, const TransformerActs<S>& x, Block<S> s) {
  softmax_xent_backward<S>(s, x.probs, x.targets.data(), S(1));
}
template <class S>
void data_scores(const Mlp<S>& model, const MlpActs<S>& x, Block<S> s) {
  if (model.options().loss == MlpLoss::squared_error)
    squared_error_backward<S>(s, x.logits, x.wanted, S(1));
  else
    softmax_xent_backward<S>(s, x.probs, x.targets.data(), S(1));
}

/// Column drawn with the probabilities of one row.
/// expects  u in (0,1)
/// ensures  a column of positive probability; the last column when the row is not finite
template <class S>
Index draw_label(const S* probs, Index columns, double u) {
  double total = 0;
  for (Index v = 0; v < columns; ++v) total += double(probs[v]);
  double below = 0;
  for (Index v = 0; v < columns; ++v) {
    below += double(probs[v]);
    if (u * total < below) return v;
  }
  return columns - 1;
}

/// s = p - onehot(y) with y drawn from p; row m takes counter first_row + m.
template <class S>
void softmax_sampled_scores(Block<S> p, const Stream& stream, Index first_row, Block<S> s) {
  s.view() = p.view();
  for (Index m = 0; m < p.rows; ++m) {
    const double u = uniform(stream, std::uint64_t(first_row + m));
    s.data[m * p.cols + draw_label(p.data + m * p.cols, p.cols, u)] -= S(1);
  }
}

/// Scores at labels drawn from the model's own distribution given the inputs.
/// math     softmax: y ~ p. Squared error is -ln of the normal density of mean z and variance O/2, up to a constant:
///          s = √(2/O)·ξ, ξ standard normal
/// ensures  E[s s'] is the loss Hessian of the row, so that the mean over draws is the Gauss-Newton matrix
template <class S>
void sampled_scores(const Transformer<S>& model, const TransformerActs<S>& x, const Stream& stream, Index first_row,
                    Block<S> s) {
  softmax_sampled_scores<S>(x.probs, stream, first_row, s);
}
template <class S>
void sampled_scores(const Mlp<S>& model, const MlpActs<S>& x, const Stream& stream, Index first_row, Block<S> s) {
  if (model.options().loss != MlpLoss::squared_error) return softmax_sampled_scores<S>(x.probs, stream, first_row, s);
  const double sd = std::sqrt(2 / double(s.cols));
  for (Index i = 0; i < s.size(); ++i)
    s.data[i] = S(sd * normal(stream, std::uint64_t(first_row) * std::uint64_t(s.cols) + std::uint64_t(i)));
}

/// dz += weight·c·s row by row, c = s·tz, or its mean over the rows of an example.
/// shapes  dz, s, tz (M, V)
/// expects M a multiple of rows_per_unit
template <class S>
void add_score_products(Block<S> dz, Block<S> s, Block<S> tz, Index rows_per_unit, double weight) {
  for (Index first = 0; first < s.rows; first += rows_per_unit) {
    const Index begin = first * s.cols, count = rows_per_unit * s.cols;
    const ConstVecView<S> score(s.data + begin, count), tangent(tz.data + begin, count);
    const double c = score.template cast<double>().dot(tangent.template cast<double>());
    VecView<S>(dz.data + begin, count) += S(weight * c / double(rows_per_unit)) * score;
  }
}

}  // namespace hone
