// Direct preference optimization: training on pairs of answers to one prompt, of which one is preferred.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/data/batch.hpp"
#include "sim/model/params.hpp"

namespace hone {

/// ln(1 + e^x) without overflow.
inline double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

/// The loss of direct preference optimization, as an objective for train_to.
/// math     L = -(1/P) Σ_p ln σ(m_p), m_p = β [ln π(w_p) - ln π(l_p) - ln π₀(w_p) + ln π₀(l_p)] for the preferred window w and
///          the other one l of pair p; ∇L = -(β/P) Σ_p σ(-m_p) ∇[ln π(w_p) - ln π(l_p)]. A window is a prompt and an answer:
///          as the windows of a pair share their prompt and their length, what it contributes to both cancels
/// shapes   data of 2P windows, the preferred one of each pair first; theta, reference, gradient (layout().size())
/// expects  an objective without auxiliary losses, which outlives this object
/// cost     two losses and a gradient of all windows, the gradient window by window
/// source   Rafailov et al. 2023 (arXiv:2305.18290), Eq 7 and the gradient of section 4
template <class AnyObjective>
class PreferenceObjective {
 public:
  using Scalar = typename AnyObjective::Scalar;
  using S = Scalar;
  using Data = TokenBatch;

  PreferenceObjective(AnyObjective& objective, AlignedVector<S> reference, double beta)
      : objective_(objective), reference_(std::move(reference)), beta_(beta) {
    EXPECTS(beta > 0, "preference: beta = {}, expected a number above 0", beta);
  }

  /// m_p of every pair.
  std::vector<double> margins(const S* theta, const TokenBatch& pairs) {
    EXPECTS(pairs.sequences >= 2 && pairs.sequences % 2 == 0, "preference: {} windows, expected pairs",
            pairs.sequences);
    const std::vector<double> now = objective_.example_losses(theta, pairs),
                              then = objective_.example_losses(reference_.data(), pairs);
    std::vector<double> margins;
    for (size_t i = 0; i < now.size(); i += 2)
      margins.push_back(beta_ * double(pairs.positions) * ((now[i + 1] - now[i]) - (then[i + 1] - then[i])));
    return margins;
  }

  double gradient(const S* theta, const TokenBatch& pairs, S* gradient) {
    const std::vector<double> m = margins(theta, pairs);
    const double scale = beta_ * double(pairs.positions) / double(m.size());
    const auto size = size_t(layout().size());
    std::vector<double> sum(size, 0);
    AlignedVector<S> part(size);
    double loss = 0;
    for (Index i = 0; i < pairs.sequences; ++i) {
      const double margin = m[size_t(i / 2)], sign = i % 2 == 0 ? 1 : -1;
      objective_.gradient(theta, window(pairs, i), part.data());
      const double weight = sign * scale / (1 + std::exp(margin));
      for (size_t k = 0; k < size; ++k) sum[k] += weight * double(part[k]);
      if (sign > 0) loss += softplus(-margin) / double(m.size());
    }
    for (size_t k = 0; k < size; ++k) gradient[k] = S(sum[k]);
    return loss;
  }

  const ParamLayout& layout() const { return objective_.layout(); }

 private:
  static TokenBatch window(const TokenBatch& all, Index i) {
    const auto begin = all.tokens.begin() + i * (all.positions + 1);
    return {1, all.positions, {begin, begin + all.positions + 1}};
  }

  AnyObjective& objective_;
  AlignedVector<S> reference_;
  double beta_;
};

}  // namespace hone
