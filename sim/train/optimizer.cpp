#include "sim/train/optimizer.hpp"

#include <cmath>
#include <string>

#include "sim/base/error.hpp"

namespace hone {

void OptimizerOptions::validate() const {
  std::vector<std::string> wrong;
  const auto in_unit = [&](const char* name, double value) {
    if (!(value >= 0 && value < 1)) wrong.push_back(fmt::format("{} = {} (expected in [0, 1))", name, value));
  };
  in_unit("beta1", beta1);
  in_unit("beta2", beta2);
  if (!(eps > 0)) wrong.push_back(fmt::format("eps = {} (expected above 0)", eps));
  if (!(weight_decay >= 0)) wrong.push_back(fmt::format("weight_decay = {} (expected at least 0)", weight_decay));
  if (decay_updates < 0) wrong.push_back(fmt::format("decay_updates = {} (expected at least 0)", decay_updates));
  if (!(clip_norm >= 0)) wrong.push_back(fmt::format("clip_norm = {} (expected at least 0; 0 = off)", clip_norm));
  if (!wrong.empty()) throw OptionError(fmt::format("optimizer: {}", fmt::join(wrong, "; ")));
}

template <class S>
OptimizerState<S> make_state(const OptimizerOptions& options, const ParamLayout& layout) {
  OptimizerState<S> state;
  state.first.assign(static_cast<size_t>(layout.size()), S(0));
  if (options.kind == OptimizerKind::adamw) state.second.assign(static_cast<size_t>(layout.size()), S(0));
  return state;
}

template <class S>
double norm2(const S* g, Index size) {
  return ConstVecView<S>(g, size).template cast<double>().norm();
}

template <class S>
double update(const OptimizerOptions& o, const ParamLayout& layout, double lr, S* theta, S* gradient,
              OptimizerState<S>& state) {
  const double norm = norm2(gradient, layout.size());
  if (o.clip_norm > 0 && norm > o.clip_norm) {
    const S shrink = S(o.clip_norm / norm);
    for (Index i = 0; i < layout.size(); ++i) gradient[i] *= shrink;
  }
  const bool decays = o.decay_updates == 0 || state.step < o.decay_updates;
  ++state.step;
  const double correct1 = 1 - std::pow(o.beta1, double(state.step));
  const double correct2 = 1 - std::pow(o.beta2, double(state.step));
  const S b1 = S(o.beta1), b2 = S(o.beta2), rate = S(lr), eps = S(o.eps);
  const S scale1 = S(1 / correct1), scale2 = S(1 / correct2);
  for (const ParamBlock& block : layout.blocks()) {
    const S decay = S(decays && block.is_decayed() ? o.weight_decay : 0.0);
    S* w = theta + block.offset;
    const S* g = gradient + block.offset;
    S* m = state.first.data() + block.offset;
    if (o.kind == OptimizerKind::sgd) {
      for (Index i = 0; i < block.size(); ++i) {
        m[i] = b1 * m[i] + g[i];
        w[i] -= rate * (m[i] + decay * w[i]);
      }
      continue;
    }
    S* v = state.second.data() + block.offset;
#pragma GCC ivdep  // the four arrays do not overlap
    for (Index i = 0; i < block.size(); ++i) {
      m[i] = b1 * m[i] + (S(1) - b1) * g[i];
      v[i] = b2 * v[i] + (S(1) - b2) * g[i] * g[i];
      w[i] -= rate * (m[i] * scale1 / (std::sqrt(v[i] * scale2) + eps) + decay * w[i]);
    }
  }
  return norm;
}

template <class S>
void ExponentialAverage<S>::observe(const S* theta, Index size) {
  if (decay <= 0) return;
  if (value.empty()) value.assign(theta, theta + size);
  for (Index i = 0; i < size; ++i) value[size_t(i)] = S(decay) * value[size_t(i)] + S(1 - decay) * theta[i];
}

template <class S>
void LatestWeightAverage<S>::observe(const S* theta, Index size) {
  if (window <= 0) return;
  if (int(snapshots.size()) == window) snapshots.erase(snapshots.begin());
  snapshots.emplace_back(theta, theta + size);
}

template <class S>
AlignedVector<S> LatestWeightAverage<S>::mean() const {
  EXPECTS(!snapshots.empty(), "latest weight average: no snapshot yet");
  AlignedVector<S> mean(snapshots.front().size());
  for (size_t i = 0; i < mean.size(); ++i) {
    double sum = 0;
    for (const auto& snapshot : snapshots) sum += double(snapshot[i]);
    mean[i] = S(sum / double(snapshots.size()));
  }
  return mean;
}

#define HONE_INSTANTIATE(S)                                                                                   \
  template OptimizerState<S> make_state<S>(const OptimizerOptions&, const ParamLayout&);                      \
  template double norm2<S>(const S*, Index);                                                                  \
  template double update<S>(const OptimizerOptions&, const ParamLayout&, double, S*, S*, OptimizerState<S>&); \
  template struct ExponentialAverage<S>;                                                                      \
  template struct LatestWeightAverage<S>;
HONE_INSTANTIATE(float)
HONE_INSTANTIATE(double)
#undef HONE_INSTANTIATE

}  // namespace hone
