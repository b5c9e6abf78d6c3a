#include "sim/train/optimizer.hpp"

#include <cmath>
#include <string>

#include "sim/base/error.hpp"
#include "sim/base/vector_ops.hpp"
#include "sim/train/optimizer_kernels.hpp"

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
  return std::sqrt(squared_norm<S>(g, size));
}

template <class S>
double update(const OptimizerOptions& o, const ParamLayout& layout, double lr, S* theta, S* gradient,
              OptimizerState<S>& state) {
  const double norm = norm2(gradient, layout.size());
  if (o.clip_norm > 0 && norm > o.clip_norm) {
    const S shrink = S(o.clip_norm / norm);
    scale_to<S>(gradient, gradient, shrink, layout.size());
  }
  const bool decays = o.decay_updates == 0 || state.step < o.decay_updates;
  ++state.step;
  const double correct1 = 1 - std::pow(o.beta1, double(state.step));
  const double correct2 = 1 - std::pow(o.beta2, double(state.step));
  AdamwStep<S> step{S(o.beta1), S(o.beta2), S(lr), S(o.eps), S(0), S(1 / correct1), S(1 / correct2)};
  for (const ParamBlock& block : layout.blocks()) {
    step.decay = S(decays && block.is_decayed() ? o.weight_decay : 0.0);
    S *w = theta + block.offset, *m = state.first.data() + block.offset;
    const S* g = gradient + block.offset;
    if (o.kind == OptimizerKind::sgd)
      sgd_update<S>(w, m, g, block.size(), step.beta1, step.rate, step.decay);
    else
      adamw_update<S>(w, m, state.second.data() + block.offset, g, block.size(), step);
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
