// A small language with known entropy and a small model for it: what tests of training at low precision share.
#pragma once

#include "sim/data/synthetic.hpp"
#include "sim/model/transformer.hpp"
#include "sim/train/trainer.hpp"

namespace hone::test {

struct MarkovTask {
  MarkovSource source{{.vocabulary = 32, .order = 2, .coupling = 0.95}};
  TokenBatch evaluation = source.evaluation_windows(positions, 400);

  static constexpr Index positions = 16;
  static TransformerOptions architecture() {
    TransformerOptions options;
    options.vocabulary = 32;
    options.positions = positions;
    options.layers = 1;
    options.width = 32;
    options.heads = options.kv_heads = 2;
    options.mlp_width = 64;
    return options;
  }
  BatchSource<TokenBatch> batches() const {
    return [this](std::int64_t step) { return source.batch(step, 24, positions); };
  }
  static TrainOptions training(std::int64_t updates) {
    TrainOptions options;
    options.schedule = {.peak = 1e-2, .warmup_steps = 20, .horizon_steps = updates, .decay = Decay::cosine};
    options.chunks.rows = 128;
    return options;
  }
  double unigram_entropy_nats() const {
    double sum = 0;
    for (Index j = 0; j < source.vocabulary(); ++j) sum -= source.marginal()[j] * std::log(source.marginal()[j]);
    return sum;
  }
};

/// Trains until the end of the options' schedule.
template <class AnyObjective>
TrainSummary train_out(AnyObjective& objective, TrainState<typename AnyObjective::Scalar>& state,
                       const BatchSource<typename AnyObjective::Data>& source, const TrainOptions& options) {
  return train_to(options.schedule.horizon_steps, state, objective, source, options, options.schedule,
                  [](const StepRecord&) {});
}

}  // namespace hone::test
