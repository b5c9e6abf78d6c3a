// Trains a small transformer for 300 updates and quantizes weights, inputs of linears and both, once with steps of their
// own and once with steps that weights and inputs share: does sharing make the damage of both more than the sum?
#include <cstdio>
#include <numeric>

#include "sim/data/synthetic.hpp"
#include "sim/quantize/shared_steps.hpp"
#include "sim/train/trainer.hpp"

int main() {
  const hone::MarkovSource source({.vocabulary = 32});
  const hone::Transformer<double> model({.vocabulary = 32, .positions = 16, .layers = 1, .width = 16, .mlp_width = 32});
  hone::Objective objective(model, {});
  const hone::TrainOptions options{.schedule = {.peak = 1e-2}};
  auto state = hone::initial_state(model, options);
  const auto batch = [&](std::int64_t step) { return source.batch(step, /*sequences=*/16, /*positions=*/16); };
  hone::train_to(300, state, objective, hone::BatchSource<hone::TokenBatch>(batch), options, options.schedule,
                 [](auto&) {});

  const hone::TokenBatch windows = source.evaluation_windows(16, 128);
  const hone::SharedSteps<double> steps(model, state.theta.data(), batch(300), /*group=*/8, {});
  const auto mean_loss = [&](hone::SharedBits bits, hone::Balance balance) {
    const std::vector<double> losses = steps.example_losses(windows, bits, balance);
    return std::accumulate(losses.begin(), losses.end(), 0.0) / double(losses.size());
  };
  const double full = mean_loss({}, hone::Balance::raw);
  std::puts("bits  steps      weights   inputs     both   (both - sum) / sum");
  double separate_weights = 0, shared_weights = 0;
  for (const int bits : {6, 5, 4, 3})
    for (const hone::Balance balance : {hone::Balance::balanced, hone::Balance::raw}) {
      const bool is_shared = balance == hone::Balance::raw;
      const double w = mean_loss({bits, 16}, balance) - full, a = mean_loss({16, bits}, balance) - full,
                   both = mean_loss({bits, bits}, balance) - full;
      std::printf("%4d  %-8s %9.5f %9.5f %9.5f %10.3f\n", bits, is_shared ? "shared" : "separate", w, a, both,
                  (both - w - a) / (w + a));
      (is_shared ? shared_weights : separate_weights) = w;
    }
  return shared_weights > separate_weights ? 0 : 1;  // inputs have the larger range, and weights get its step
}
