// Training as prepare, observe, step: the trainer owns parameters, optimizer state and the position in the stream;
// everything that measures looks at it from outside, between steps.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "sim/model/objective.hpp"
#include "sim/train/mixed_precision.hpp"
#include "sim/train/optimizer.hpp"
#include "sim/train/schedule.hpp"
#include "sim/train/sharpness_aware.hpp"

namespace hone {

struct TrainOptions {
  std::uint64_t seed = 1;  ///< of the initial parameters and of the order of the data
  OptimizerOptions optimizer;
  SharpnessOptions sharpness;
  NumberFormat format = NumberFormat::fp32;  ///< of gradients; that of the passes is the objective's, see QatOptions
  Schedule schedule;
  ChunkOptions chunks;
  double ema_decay = 0;         ///< 0 = no exponential average
  int lawa_window = 0;          ///< snapshots in the latest-weight average; 0 = none
  std::int64_t lawa_every = 1;  ///< updates between snapshots
};

/// Everything a continued run needs, as a value: copy it to branch, write it to resume.
template <class S>
struct TrainState {
  AlignedVector<S> theta;
  OptimizerState<S> optimizer;
  ExponentialAverage<S> ema;
  LatestWeightAverage<S> lawa;
  LossScale loss_scale;

  std::int64_t step() const { return optimizer.step; }  ///< updates done; also the position in the stream
};

/// One update, as recorded.
struct StepRecord {
  std::int64_t step = 0;  ///< updates done after it
  double loss_nats = 0;   ///< mean training loss of the batch, before the update
  double lr = 0;
  double gradient_norm = 0;  ///< before clipping
};

enum class TrainStop {
  reached,      ///< step == target
  diverged,     ///< loss or gradient norm is not finite; the parameters are those before the update
  interrupted,  ///< should_stop() returned true
};

/// What train_to ended with.
struct TrainSummary {
  TrainStop stop = TrainStop::reached;
  std::int64_t step = 0;
  std::string message;  ///< with numbers, empty when reached
};

/// Batch number `step` of the stream: a pure function.
template <class Data>
using BatchSource = std::function<Data(std::int64_t step)>;

/// A fresh state: initial parameters of the seed, zero moments.
template <class Model>
TrainState<typename Model::Scalar> initial_state(const Model& model, const TrainOptions& options) {
  using S = typename Model::Scalar;
  TrainState<S> state;
  state.theta = model.initial_parameters(options.seed);
  state.optimizer = make_state<S>(options.optimizer, model.layout());
  state.ema.decay = options.ema_decay;
  state.lawa.window = options.lawa_window;
  return state;
}

/// Trains until `target` updates are done. Batches come from `source` at the state's own step, so a state that was
/// written and read back continues with the same bits.
/// expects  an Objective, or whatever else has Scalar, Data, layout() and gradient(theta, data, gradient)
/// ensures  observe(record) is called after every update, in order; one that a loss scale skips counts as an update that
///          leaves parameters and moments as they are
/// cost     6·P flops per token, times options.sharpness.gradients()
template <class AnyObjective, class Observe>
TrainSummary train_to(
    std::int64_t target, TrainState<typename AnyObjective::Scalar>& state, AnyObjective& objective,
    const BatchSource<typename AnyObjective::Data>& source, const TrainOptions& options, const Schedule& schedule,
    Observe&& observe, const std::function<bool()>& should_stop = [] { return false; }) {
  using S = typename AnyObjective::Scalar;
  const ParamLayout& layout = objective.layout();
  AlignedVector<S> gradient(size_t(layout.size()));
  SharpnessAware<AnyObjective> steered(objective, options.sharpness);
  while (state.step() < target) {
    if (should_stop()) return {TrainStop::interrupted, state.step(), "interrupted"};
    StepRecord record;
    record.lr = schedule(state.step());
    record.loss_nats = steered.gradient(state.theta.data(), source(state.step()), gradient.data());
    const bool fits = round_gradient(options.format, gradient.data(), layout.size(), state.loss_scale);
    const double norm = norm2(gradient.data(), layout.size());
    if (!std::isfinite(record.loss_nats) || !std::isfinite(norm))
      return {TrainStop::diverged, state.step(),
              fmt::format("update {}: loss {} nats, gradient norm {}, lr {:.3g}", state.step() + 1, record.loss_nats,
                          norm, record.lr)};
    record.gradient_norm = norm;
    if (fits)
      update(options.optimizer, layout, record.lr, state.theta.data(), gradient.data(), state.optimizer);
    else
      ++state.optimizer.step;
    record.step = state.step();
    state.ema.observe(state.theta.data(), layout.size());
    if (options.lawa_every > 0 && state.step() % options.lawa_every == 0)
      state.lawa.observe(state.theta.data(), layout.size());
    observe(std::as_const(record));
  }
  return {TrainStop::reached, state.step(), ""};
}

/// Update counts of `count` checkpoints, log-spaced from `first` to `last` updates, strictly increasing.
/// expects  1 ≤ first ≤ last, count ≥ 1
std::vector<std::int64_t> log_spaced_steps(std::int64_t first, std::int64_t last, int count);

}  // namespace hone
