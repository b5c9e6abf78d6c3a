// Trains a small transformer for 300 updates and rounds its weights to 8 to 3 bits: storage, and the rise of the loss
// against its prediction (1/24) Σ step² H_ii from curvature.
#include <cstdio>

#include "sim/curvature/linearization.hpp"
#include "sim/curvature/trace.hpp"
#include "sim/data/synthetic.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/weights.hpp"
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

  const hone::TokenBatch windows = source.evaluation_windows(16, 64);
  hone::Linearization linear(model, state.theta.data(), windows, {});
  std::printf("loss %.4f nats per token, of the source itself %.4f\n", linear.loss_nats(), source.best_loss_nats(16));
  double ratio = 0;
  for (const int bits : {8, 6, 4, 3}) {
    const hone::Quantizer quantizer{.bits = bits, .grid = hone::Grid::restricted};
    const auto rounded = hone::quantize_weights(state.theta.data(), model.layout(), quantizer);
    const double rise = objective.value(rounded.theta.data(), windows) - linear.loss_nats();
    const auto step2 = hone::step2_per_parameter(state.theta.data(), model.layout(), quantizer);
    const hone::Vector<double> weights = Eigen::Map<const hone::Vector<double>>(step2.data(), linear.size()) / 24;
    const auto predicted = hone::weighted_traces(linear.hessian(), {{0, linear.size(), weights}}, {.probes = 32})[0];
    std::printf("%d bits (%.2f with scales): loss rise %+.5f nats, predicted %+.5f ± %.5f\n", bits,
                rounded.bits_per_weight, rise, predicted.mean, predicted.standard_error);
    ratio = rise / predicted.mean;
  }
  return ratio > 0.3 && ratio < 3 ? 0 : 1;  // at 3 bits, where the first-order term is small beside the second
}
