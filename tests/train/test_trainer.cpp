#include "sim/train/trainer.hpp"

#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

TrainOptions tiny_training() {
  TrainOptions options;
  options.seed = 5;
  options.schedule = {
      .peak = 1e-2, .warmup_steps = 3, .horizon_steps = 20, .cooldown_steps = 6, .decay = Decay::linear};
  options.chunks.rows = 10;
  options.ema_decay = 0.9;
  options.lawa_window = 3;
  options.lawa_every = 2;
  return options;
}

/// Random tokens that depend on the step alone.
BatchSource<TokenBatch> random_source() {
  return [](std::int64_t step) { return random_tokens(tiny_llama(), 7, 100 + std::uint32_t(step)); };
}

/// Trains a fresh tiny transformer with stops at each of `targets`, a fresh objective after each
/// stop.
template <class S>
TrainState<S> trained(const std::vector<std::int64_t>& targets, int threads,
                      std::vector<StepRecord>* records = nullptr) {
  TrainOptions options = tiny_training();
  options.chunks.threads = threads;
  const Transformer<S> model(tiny_llama());
  TrainState<S> state = initial_state(model, options);
  for (std::int64_t target : targets) {
    Objective<Transformer<S>> objective(model, options.chunks);
    TrainState<S> copy = state;
    const TrainSummary summary =
        train_to(target, copy, objective, random_source(), options, options.schedule, [&](const StepRecord& record) {
          if (records) records->push_back(record);
        });
    CHECK(summary.stop == TrainStop::reached);
    CHECK(summary.step == target);
    CHECK(summary.message.empty());
    state = std::move(copy);
  }
  return state;
}

template <class S>
bool same_bits(const TrainState<S>& a, const TrainState<S>& b) {
  return a.theta == b.theta && a.optimizer.step == b.optimizer.step && a.optimizer.first == b.optimizer.first &&
         a.optimizer.second == b.optimizer.second && a.ema.value == b.ema.value && a.lawa.snapshots == b.lawa.snapshots;
}

/// A linear regression y = 0 in two inputs, trained by plain gradient descent: the loss explodes
/// above 2/λ.
struct LineFit {
  Mlp<float> model{{.widths = {2, 1}, .loss = MlpLoss::squared_error, .bias = false}};
  TrainOptions options;
  VectorBatch data{2, 2, 1, {1, 0, 0, 1}, {}, {0, 0}};

  LineFit() {
    options.optimizer = {.kind = OptimizerKind::sgd, .beta1 = 0, .weight_decay = 0, .clip_norm = 0};
    options.schedule = {.peak = 1e6, .warmup_steps = 0, .horizon_steps = 100};
  }
  template <class Observe>
  TrainSummary train(TrainState<float>& state, Observe&& observe) const {
    Objective<Mlp<float>> objective(model, options.chunks);
    const BatchSource<VectorBatch> source = [this](std::int64_t) { return data; };
    return train_to(100, state, objective, source, options, options.schedule, observe);
  }
};

TEST_SUITE_BEGIN("train");

TEST_CASE_TEMPLATE("trainer: k updates and n-k from a copied state have the bits of n updates", S, float, double) {
  const TrainState<S> whole = trained<S>({12}, 1);
  CHECK(same_bits(trained<S>({5, 12}, 1), whole));
  CHECK(same_bits(trained<S>({1, 2, 6, 12}, 1), whole));
  CHECK_FALSE(same_bits(trained<S>({11}, 1), whole));
}

TEST_CASE_TEMPLATE("trainer: 1 and 2 threads give the same bits", S, float, double) {
  CHECK(same_bits(trained<S>({8}, 2), trained<S>({8}, 1)));
}

TEST_CASE(
    "trainer: one record per update, in order, with the schedule's rate and the loss before the "
    "update") {
  std::vector<StepRecord> records;
  trained<double>({4, 9}, 1, &records);
  REQUIRE(records.size() == 9);
  const TrainOptions options = tiny_training();
  const Transformer<double> model(tiny_llama());
  Objective<Transformer<double>> objective(model, options.chunks);
  const TrainState<double> start = initial_state(model, options);
  CHECK_NEAR(records[0].loss_nats, objective.value(start.theta.data(), random_source()(0)), 1e-14, 0.0);
  const TrainState<double> middle = trained<double>({5}, 1);
  CHECK_NEAR(records[5].loss_nats, objective.value(middle.theta.data(), random_source()(5)), 1e-14, 0.0);
  for (size_t i = 0; i < records.size(); ++i) {
    CHECK(records[i].step == std::int64_t(i) + 1);
    CHECK(records[i].lr == options.schedule(std::int64_t(i)));
    CHECK(records[i].gradient_norm > 0);
  }
}

TEST_CASE("trainer: averages are those of the visited parameters [EMA every update, LAWA every second]") {
  const TrainState<double> state = trained<double>({7}, 1);
  ExponentialAverage<double> ema{.decay = 0.9, .value = {}};
  LatestWeightAverage<double> lawa{.window = 3, .snapshots = {}};
  for (std::int64_t step = 1; step <= 7; ++step) {
    const TrainState<double> visited = trained<double>({step}, 1);
    ema.observe(visited.theta.data(), Index(visited.theta.size()));
    if (step % 2 == 0) lawa.observe(visited.theta.data(), Index(visited.theta.size()));
  }
  CHECK(state.ema.value == ema.value);
  CHECK(state.lawa.snapshots == lawa.snapshots);
  CHECK(state.lawa.snapshots.size() == 3);
}

TEST_CASE(
    "trainer: a loss that overflows -> diverged, with the parameters before the refused update [lr "
    "1e6]") {
  const LineFit fit;
  TrainState<float> state = initial_state(fit.model, fit.options), before = state;
  std::int64_t updates = 0;
  const TrainSummary summary = fit.train(state, [&](const StepRecord& record) {
    CHECK(std::isfinite(record.loss_nats));
    before = state;
    updates = record.step;
  });
  CHECK(summary.stop == TrainStop::diverged);
  CHECK(summary.step == updates);
  CHECK(updates >= 1);
  CHECK(same_bits(state, before));
  CHECK(summary.message.find("lr 1e+06") != std::string::npos);
  CHECK(summary.message.find(fmt::format("update {}:", updates + 1)) != std::string::npos);
}

TEST_CASE("trainer: NaN in one parameter -> diverged before the first update, nothing else touched") {
  const LineFit fit;
  TrainState<float> state = initial_state(fit.model, fit.options);
  state.theta[1] = NAN;
  const float other = state.theta[0];
  const TrainSummary summary = fit.train(state, [](const StepRecord&) { FAIL("no update was due"); });
  CHECK(summary.stop == TrainStop::diverged);
  CHECK(summary.step == 0);
  CHECK(state.step() == 0);
  CHECK(state.theta[0] == other);
  CHECK(state.optimizer.first[0] == 0);
  CHECK(state.ema.value.empty());
}

TEST_CASE(
    "trainer: should_stop -> interrupted between updates, and training goes on from there bit for "
    "bit") {
  const TrainOptions options = tiny_training();
  const Transformer<double> model(tiny_llama());
  Objective<Transformer<double>> objective(model, options.chunks);
  TrainState<double> state = initial_state(model, options);
  const auto ignore = [](const StepRecord&) {};
  const TrainSummary stopped = train_to(8, state, objective, random_source(), options, options.schedule, ignore,
                                        [&] { return state.step() == 3; });
  CHECK(stopped.stop == TrainStop::interrupted);
  CHECK(stopped.step == 3);
  train_to(8, state, objective, random_source(), options, options.schedule, ignore);
  CHECK(same_bits(state, trained<double>({8}, 1)));
}

TEST_CASE("trainer: a target that is reached already changes nothing") {
  TrainState<double> state = trained<double>({2}, 1);
  CHECK(same_bits(trained<double>({2, 2}, 1), state));
}

TEST_CASE("trainer: another seed gives another run") {
  const Transformer<double> model(tiny_llama());
  TrainOptions options = tiny_training();
  const TrainState<double> a = initial_state(model, options);
  options.seed = 6;
  CHECK(a.theta != initial_state(model, options).theta);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
