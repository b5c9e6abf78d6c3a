#include "sim/train/checkpoint.hpp"

#include "sim/base/hash.hpp"

namespace hone {
namespace {

template <class S>
Variable array_variable(const AlignedVector<S>& values, const char* meaning) {
  return vector_variable("parameter", std::vector<S>(values.begin(), values.end()), "1", meaning);
}

template <class S>
const std::vector<S>& typed(const Dataset& group, const std::string& name) {
  if constexpr (std::is_same_v<S, float>)
    return group.floats(name);
  else
    return group.doubles(name);
}

template <class S>
AlignedVector<S> array_of(const Dataset& group, const std::string& name, Index parameters) {
  const std::vector<S>& values = typed<S>(group, name);
  if (Index(values.size()) != parameters)
    throw FormatError(fmt::format("{}: {} holds {} values, the model has {} parameters; delete the file and run again",
                                  group.label(), name, values.size(), parameters));
  return AlignedVector<S>(values.begin(), values.end());
}

template <class S>
std::string state_hash(const TrainState<S>& state) {
  Sha256 hash;
  const auto add = [&](const AlignedVector<S>& a) { hash.update(a.data(), a.size() * sizeof(S)); };
  const std::int64_t step = state.step();
  hash.update(&step, sizeof(step));
  add(state.theta), add(state.optimizer.first), add(state.optimizer.second), add(state.ema.value);
  for (const auto& snapshot : state.lawa.snapshots) add(snapshot);
  if (state.loss_scale != LossScale{}) hash.update(&state.loss_scale, sizeof(LossScale));
  return hash.finish();
}

}  // namespace

template <class S>
std::string parameter_hash(const AlignedVector<S>& theta) {
  return sha256(theta.data(), theta.size() * sizeof(S));
}

template <class S>
Dataset to_dataset(const TrainState<S>& state) {
  Dataset group("state");
  group.set("theta", array_variable(state.theta, "parameters"));
  group.set("first_moment", array_variable(state.optimizer.first, "optimizer state: first moment or velocity"));
  if (!state.optimizer.second.empty())
    group.set("second_moment", array_variable(state.optimizer.second, "optimizer state: second moment"));
  if (!state.ema.value.empty()) group.set("ema", array_variable(state.ema.value, "exponential average"));
  for (size_t i = 0; i < state.lawa.snapshots.size(); ++i)
    group.set(fmt::format("lawa_{}", i), array_variable(state.lawa.snapshots[i], "snapshot for the latest average"));
  group.set_attribute("step", state.step());
  group.set_attribute("lawa_snapshots", std::int64_t(state.lawa.snapshots.size()));
  if (state.loss_scale != LossScale{}) {
    group.set_attribute("loss_scale", state.loss_scale.scale);
    group.set_attribute("loss_scale_good_updates", state.loss_scale.good_updates);
  }
  group.set_attribute("sha256", state_hash(state));
  return group;
}

template <class S>
TrainState<S> state_from_dataset(const Dataset& group, const TrainOptions& options, Index parameters) {
  TrainState<S> state;
  state.theta = array_of<S>(group, "theta", parameters);
  state.optimizer.step = std::get<std::int64_t>(group.attribute("step"));
  state.optimizer.first = array_of<S>(group, "first_moment", parameters);
  if (options.optimizer.kind == OptimizerKind::adamw)
    state.optimizer.second = array_of<S>(group, "second_moment", parameters);
  state.ema.decay = options.ema_decay;
  if (group.has("ema")) state.ema.value = array_of<S>(group, "ema", parameters);
  state.lawa.window = options.lawa_window;
  const std::int64_t snapshots = std::get<std::int64_t>(group.attribute("lawa_snapshots"));
  for (std::int64_t i = 0; i < snapshots; ++i)
    state.lawa.snapshots.push_back(array_of<S>(group, fmt::format("lawa_{}", i), parameters));
  if (group.attributes().contains("loss_scale"))
    state.loss_scale = {std::get<double>(group.attribute("loss_scale")),
                        std::get<std::int64_t>(group.attribute("loss_scale_good_updates"))};
  const std::string want = std::get<std::string>(group.attribute("sha256")), have = state_hash(state);
  if (want != have)
    throw FormatError(fmt::format("{}: hash of the training state is {}…, recorded {}…; delete the file and run again",
                                  group.label(), have.substr(0, 12), want.substr(0, 12)));
  return state;
}

#define HONE_INSTANTIATE(S)                                        \
  template std::string parameter_hash<S>(const AlignedVector<S>&); \
  template Dataset to_dataset<S>(const TrainState<S>&);            \
  template TrainState<S> state_from_dataset<S>(const Dataset&, const TrainOptions&, Index);
HONE_INSTANTIATE(float)
HONE_INSTANTIATE(double)
#undef HONE_INSTANTIATE

}  // namespace hone
