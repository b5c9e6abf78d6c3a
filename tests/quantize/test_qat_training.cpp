// Whole trainings at low precision: equal bits where quantizers are off and after a resume, and what training with
// quantizers buys on a language of known entropy.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "sim/base/mean.hpp"
#include "sim/quantize/qat.hpp"
#include "sim/quantize/weights.hpp"
#include "sim/train/checkpoint.hpp"
#include "tests/support/markov_task.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

TrainOptions short_training() {
  TrainOptions options;
  options.schedule = {.peak = 1e-2, .warmup_steps = 2, .horizon_steps = 12};
  options.chunks.rows = 10;
  options.ema_decay = 0.9;
  options.lawa_window = options.lawa_every = 2;
  return options;
}

BatchSource<TokenBatch> random_source() {
  return [](std::int64_t step) { return random_tokens(tiny_llama(), 4, 100 + std::uint32_t(step)); };
}

template <class AnyObjective>
void advance(AnyObjective& objective, TrainState<float>& state, std::int64_t target,
             const BatchSource<typename AnyObjective::Data>& source) {
  const TrainOptions options = short_training();
  const TrainSummary summary =
      train_to(target, state, objective, source, options, options.schedule, [](const StepRecord&) {});
  REQUIRE(summary.stop == TrainStop::reached);
}

bool same_bits(const TrainState<float>& a, const TrainState<float>& b) {
  return a.theta == b.theta && a.optimizer.step == b.optimizer.step && a.optimizer.first == b.optimizer.first &&
         a.optimizer.second == b.optimizer.second && a.ema.value == b.ema.value && a.lawa.snapshots == b.lawa.snapshots;
}

QatOptions mixed_options() {
  QatOptions options;
  options.precision.weight.bits = 3;
  options.precision.activation.bits = options.precision.key.bits = options.precision.value.bits = 4;
  options.precision.ste = SteKind::clipped;
  return options;
}

template <class Model>
void check_full_precision(const Model& model, const BatchSource<typename Model::Data>& source) {
  TrainState<float> plain = initial_state(model, short_training());
  Objective<Model> objective(model, {10, 1});
  QatObjective<Model> wide(model, {10, 2}, {});
  TrainState<float> state = qat_state_from(plain.theta.data(), wide.weights(), short_training());
  advance(objective, plain, 12, source);
  advance(wide, state, 12, source);
  CHECK(same_bits(state, plain));
}

TEST_CASE("qat: 12 updates at 16 bits have the bits of float training [transformer, perceptron]") {
  check_full_precision(Transformer<float>(tiny_llama()), random_source());
  check_full_precision(Mlp<float>({.widths = {4, 6, 3}}), BatchSource<VectorBatch>([](std::int64_t step) {
                         return random_vectors(12, 4, 3, 200 + std::uint32_t(step));
                       }));
}

TEST_CASE("qat: 12 updates equal 5, through a record and back, and 7 more [masks; learned steps]") {
  const Transformer<float> model(tiny_llama());
  for (const bool learned : {false, true}) {
    QatOptions options = mixed_options();
    options.learned_steps = learned;
    QatObjective<Transformer<float>> objective(model, {10, 1}, options);
    const AlignedVector<float> theta = model.initial_parameters(3);
    TrainState<float> whole = qat_state_from(theta.data(), objective.weights(), short_training()), first = whole;
    advance(objective, whole, 12, random_source());
    advance(objective, first, 5, random_source());
    const Index size = objective.layout().size();
    CHECK((size > model.layout().size()) == learned);
    TrainState<float> second = state_from_dataset<float>(to_dataset(first), short_training(), size);
    QatObjective<Transformer<float>> fresh(model, {10, 1}, options);
    advance(fresh, second, 12, random_source());
    CHECK(same_bits(second, whole));
    CHECK(whole.theta != qat_state_from(theta.data(), objective.weights(), short_training()).theta);
  }
}

TEST_CASE("qat: a branch starts from the trunk's parameters, moments and position, with steps of its own") {
  const Transformer<float> model(tiny_llama());
  Objective<Transformer<float>> plain(model, {10, 1});
  TrainState<float> trunk = initial_state(model, short_training());
  advance(plain, trunk, 5, random_source());
  QatOptions options = mixed_options();
  options.learned_steps = true;
  QatObjective<Transformer<float>> objective(model, {10, 1}, options);
  TrainState<float> branch = qat_state_from(trunk, objective.weights());
  CHECK(branch.step() == 5);
  CHECK(std::equal(trunk.theta.begin(), trunk.theta.end(), branch.theta.begin()));
  CHECK(std::equal(trunk.optimizer.second.begin(), trunk.optimizer.second.end(), branch.optimizer.second.begin()));
  CHECK(branch.optimizer.first.size() == branch.theta.size());
  advance(objective, branch, 7, random_source());
  CHECK(std::isfinite(objective.value(branch.theta.data(), random_source()(0))));
}

TEST_CASE("qat: a training that explodes is reported as diverged [weights and activations quantized]") {
  const Mlp<float> model({.widths = {2, 4, 1}, .activation = Activation::relu, .loss = MlpLoss::squared_error});
  QatOptions options;
  options.precision.weight.bits = options.precision.activation.bits = 8;
  QatObjective<Mlp<float>> objective(model, {10, 1}, options);
  TrainOptions training;
  training.optimizer = {.kind = OptimizerKind::sgd, .beta1 = 0, .weight_decay = 0, .clip_norm = 0};
  training.schedule = {.peak = 1e6, .warmup_steps = 0, .horizon_steps = 100};
  const AlignedVector<float> theta = model.initial_parameters(1);
  TrainState<float> state = qat_state_from(theta.data(), objective.weights(), training);
  const VectorBatch data = random_vectors(8, 2, 1, 3);
  const TrainSummary summary =
      train_out(objective, state, BatchSource<VectorBatch>([&](std::int64_t) { return data; }), training);
  CHECK(summary.stop == TrainStop::diverged);
}

/// The float model of the Markov task, trained once for all tests that compare with it.
struct FloatModel {
  MarkovTask task;
  Transformer<float> model{MarkovTask::architecture()};
  TrainOptions training = MarkovTask::training(400);
  Objective<Transformer<float>> objective{model, training.chunks};
  TrainState<float> state = initial_state(model, training);
  FloatModel() { REQUIRE(train_out(objective, state, task.batches(), training).stop == TrainStop::reached); }
};

FloatModel& float_model() {
  static FloatModel trained;
  return trained;
}

/// Loss of the rounded float model minus loss of the state, both at the options' precision, on the same windows.
MeanEstimate gain_over_rounding(const QatOptions& options, QatObjective<Transformer<float>>& objective,
                                const TrainState<float>& state) {
  FloatModel& reference = float_model();
  const auto rounded =
      quantize_weights(reference.state.theta.data(), reference.model.layout(), options.precision.weight).theta;
  const TokenBatch& windows = reference.task.evaluation;
  return paired_difference(reference.objective.example_losses(rounded.data(), windows, options.precision),
                           objective.example_losses(state.theta.data(), windows));
}

TEST_CASE("qat: at 4 bits of weights, activations, keys and values it beats quantization after training") {
  FloatModel& reference = float_model();
  QatOptions options;
  options.precision.weight = {.bits = 4, .granularity = Granularity::tensor};
  options.precision.activation.bits = options.precision.key.bits = options.precision.value.bits = 4;
  QatObjective<Transformer<float>> objective(reference.model, reference.training.chunks, options);
  const AlignedVector<float> start = reference.model.initial_parameters(reference.training.seed);
  TrainState<float> state = qat_state_from(start.data(), objective.weights(), reference.training);
  REQUIRE(train_out(objective, state, reference.task.batches(), reference.training).stop == TrainStop::reached);
  const MeanEstimate gain = gain_over_rounding(options, objective, state);
  MESSAGE("gain " << gain.mean << " +- " << gain.standard_error << " nats");
  CHECK(gain.mean > 4 * gain.standard_error);
}

TEST_CASE("qat: steps learned from a checkpoint on beat quantization after training [3 bits, per tensor and per row]") {
  FloatModel& reference = float_model();
  for (const Granularity granularity : {Granularity::tensor, Granularity::row}) {
    QatOptions options;
    options.precision.weight = {.bits = 3, .granularity = granularity};
    options.learned_steps = true;
    QatObjective<Transformer<float>> objective(reference.model, reference.training.chunks, options);
    TrainState<float> state = qat_state_from(reference.state, objective.weights());
    const double before = objective.value(state.theta.data(), reference.task.evaluation);
    TrainOptions tuning = reference.training;
    tuning.schedule = {.peak = 1e-3, .warmup_steps = 0, .horizon_steps = state.step() + 150};
    const AlignedVector<float> start = state.theta;
    REQUIRE(train_out(objective, state, reference.task.batches(), tuning).stop == TrainStop::reached);
    const MeanEstimate gain = gain_over_rounding(options, objective, state);
    MESSAGE("gain " << gain.mean << " +- " << gain.standard_error << " nats");
    CHECK(gain.mean > 4 * gain.standard_error);
    CHECK(objective.value(state.theta.data(), reference.task.evaluation) < before);
    CHECK(!std::equal(start.begin() + reference.model.layout().size(), start.end(),
                      state.theta.begin() + reference.model.layout().size()));
  }
}

TEST_CASE("qat: BitNet b1.58 from scratch learns the source, with ternary codes to the end") {
  FloatModel& reference = float_model();
  TransformerOptions architecture = MarkovTask::architecture();
  architecture.sub_norms = true;
  const Transformer<float> model(architecture);
  TrainOptions training = MarkovTask::training(400);
  training.schedule.decay = Decay::two_stage;
  training.schedule.peak = 2e-2;
  training.optimizer.decay_updates = 200;
  QatObjective<Transformer<float>> objective(model, training.chunks, bitnet_options());
  const AlignedVector<float> start = model.initial_parameters(1);
  TrainState<float> state = qat_state_from(start.data(), objective.weights(), training);
  REQUIRE(train_out(objective, state, reference.task.batches(), training).stop == TrainStop::reached);
  const double loss = objective.value(state.theta.data(), reference.task.evaluation);
  const double full = reference.objective.value(reference.state.theta.data(), reference.task.evaluation);
  const double unigram = reference.task.unigram_entropy_nats(), rate = reference.task.source.entropy_rate_nats();
  MESSAGE("BitNet " << loss << ", float " << full << ", entropy rate " << rate << ", unigram " << unigram);
  CHECK(loss < unigram - 0.7 * (unigram - full));
  CHECK(loss > rate - 0.1);
  const float* rounded = objective.weights().quantize(state.theta.data());
  for (const ParamBlock& block : model.layout().blocks()) {
    if (!block.is_quantizable()) continue;
    std::set<float> values(rounded + block.offset, rounded + block.offset + block.size());
    REQUIRE(values.size() == 3);
    CHECK(*std::next(values.begin()) == 0);
    CHECK(*values.begin() == -*values.rbegin());
  }
}

}  // namespace
}  // namespace hone::test
