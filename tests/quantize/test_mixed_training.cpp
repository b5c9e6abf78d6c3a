// Mixed precision in whole trainings: which numbers the passes read, equal bits in fp32, for any thread count and after
// a resume, and that both formats learn.
#include <doctest/doctest.h>

#include <cmath>

#include "sim/quantize/qat.hpp"
#include "sim/train/checkpoint.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

constexpr NumberFormat low_formats[] = {NumberFormat::bf16, NumberFormat::fp16};

QatOptions in(NumberFormat format) {
  QatOptions options;
  options.format = format;
  return options;
}

AlignedVector<float> tiny_theta(const ParamLayout& layout) {
  const Vector<double> theta = random_parameters(layout, 3);
  AlignedVector<float> result(size_t(theta.size()));
  for (Index i = 0; i < theta.size(); ++i) result[size_t(i)] = float(theta[i]);
  return result;
}

/// 40 updates; a stop after `stop` updates goes through a record.
TrainState<float> trained(NumberFormat format, int threads, std::int64_t stop = 0) {
  TrainOptions options;
  options.format = format;
  options.schedule = {.peak = 1e-2, .warmup_steps = 2, .horizon_steps = 40};
  options.chunks = {10, threads};
  const Transformer<float> model(tiny_llama());
  const BatchSource<TokenBatch> source = [](std::int64_t step) {
    return random_tokens(tiny_llama(), 4, 100 + std::uint32_t(step % 2));
  };
  QatObjective<Transformer<float>> objective(model, options.chunks, in(format));
  TrainState<float> state = qat_state_from(tiny_theta(model.layout()).data(), objective.weights(), options);
  state.loss_scale.scale = 0x1p20;  // overflows at once, so that the state moves
  for (const std::int64_t target : {stop, std::int64_t(40)}) {
    const auto summary =
        train_to(target, state, objective, source, options, options.schedule, [](const StepRecord&) {});
    REQUIRE(summary.stop == TrainStop::reached);
    if (target == stop) state = state_from_dataset<float>(to_dataset(state), options, model.layout().size());
  }
  return state;
}

TEST_CASE("mixed precision: the passes read rounded parameters, all of them") {
  const Transformer<float> model(tiny_llama());
  const TokenBatch data = random_tokens(tiny_llama(), 4, 1);
  const AlignedVector<float> theta = tiny_theta(model.layout());
  const Index size = model.layout().size();
  for (const NumberFormat format : low_formats) {
    CAPTURE(name_of(format));
    QatObjective<Transformer<float>> objective(model, {10, 1}, in(format));
    AlignedVector<float> rounded(theta.size()), gradient(theta.size()), of_rounded(theta.size());
    round_all(format, theta.data(), size, rounded.data());
    CHECK(objective.gradient(theta.data(), data, gradient.data()) ==
          objective.gradient(rounded.data(), data, of_rounded.data()));
    CHECK(gradient == of_rounded);
    // The first number of each block, by a tenth of a rounding error and by twenty of them.
    for (const ParamBlock& block : model.layout().blocks()) {
      CAPTURE(block.name);
      AlignedVector<float> moved = rounded;
      float& w = moved[size_t(block.offset) + 1];
      const float quantum = std::abs(w) * (format == NumberFormat::bf16 ? 0x1p-8f : 0x1p-11f), first = w;
      w = first + 0.1f * quantum;
      CHECK(objective.value(moved.data(), data) == objective.value(rounded.data(), data));
      w = first + 20 * quantum;
      if (block.role != Role::embedding)
        CHECK(objective.value(moved.data(), data) != objective.value(rounded.data(), data));
    }
  }
}

TEST_CASE("mixed precision: the inputs of linears are rounded as numbers of the format, up to its largest") {
  for (const NumberFormat format : low_formats) {
    CAPTURE(name_of(format));
    const Precision precision = with_number_format({}, format, 2);
    REQUIRE(precision.activation_ranges.size() == 8);
    const float largest = format == NumberFormat::bf16 ? 0x1.fep127f : 65504.0f;
    Matrix<float> x(1, 20000), expected(1, 20000);
    for (Index i = 0; i < x.size(); ++i) {
      x(0, i) = float(normal({5, Domain::test, 0}, std::uint64_t(i)) * std::pow(2.0, double(i % 60) - 40));
      expected(0, i) = std::max(-largest, std::min(largest, rounded_to(format, x(0, i))));
    }
    fake_quantize_static<float>(x, precision.activation_ranges.back(), precision.activation.rounding);
    CHECK(x == expected);
  }
  // Parameters that both formats hold: what is left are the inputs.
  const Transformer<float> model(tiny_llama());
  const TokenBatch data = random_tokens(tiny_llama(), 4, 1);
  AlignedVector<float> theta = tiny_theta(model.layout());
  round_all(NumberFormat::bf16, theta.data(), model.layout().size(), theta.data());
  round_all(NumberFormat::fp16, theta.data(), model.layout().size(), theta.data());
  const double full = Objective<Transformer<float>>(model, {10, 1}).value(theta.data(), data);
  double error[2];
  for (int i = 0; i < 2; ++i)
    error[i] =
        std::abs(QatObjective<Transformer<float>>(model, {10, 1}, in(low_formats[i])).value(theta.data(), data) - full);
  CHECK(error[0] > error[1]);
  CHECK(error[1] > 1e-7 * full);
  CHECK(error[0] < 0.01 * full);
}

TEST_CASE("mixed precision: fp32 is plain training, bit for bit") {
  TrainOptions options;
  options.schedule = {.peak = 1e-2, .warmup_steps = 2, .horizon_steps = 40};
  options.chunks = {10, 1};
  const Transformer<float> model(tiny_llama());
  Objective<Transformer<float>> objective(model, options.chunks);
  TrainState<float> plain = initial_state(model, options);
  plain.theta = tiny_theta(model.layout());
  const BatchSource<TokenBatch> source = [](std::int64_t step) {
    return random_tokens(tiny_llama(), 4, 100 + std::uint32_t(step % 2));
  };
  train_to(40, plain, objective, source, options, options.schedule, [](const StepRecord&) {});
  const TrainState<float> state = trained(NumberFormat::fp32, 2);
  CHECK(state.theta == plain.theta);
  CHECK(state.optimizer.second == plain.optimizer.second);
}

TEST_CASE("mixed precision: both formats learn like fp32 with bits of their own, for any thread count and resume") {
  const Transformer<float> model(tiny_llama());
  const TokenBatch data = random_tokens(tiny_llama(), 4, 100);
  Objective<Transformer<float>> objective(model, {10, 1});
  const auto loss = [&](const AlignedVector<float>& theta) { return objective.value(theta.data(), data); };
  const double start = loss(tiny_theta(model.layout())), reached = loss(trained(NumberFormat::fp32, 1).theta);
  CHECK(reached < 0.5 * start);
  for (const NumberFormat format : low_formats) {
    CAPTURE(name_of(format));
    const TrainState<float> state = trained(format, 1);
    CHECK(loss(state.theta) != reached);
    CHECK_NEAR(loss(state.theta), reached, 0, 0.1 * (start - reached));
    for (const TrainState<float>& other : {trained(format, 3), trained(format, 1, 3)}) {
      CHECK(other.theta == state.theta);
      CHECK(other.optimizer.second == state.optimizer.second);
      CHECK(other.loss_scale == state.loss_scale);
    }
    CHECK((state.loss_scale.scale < 0x1p20) == (format == NumberFormat::fp16));
  }
}

TEST_CASE("mixed precision: a perceptron and quantized activations are refused by name") {
  const Mlp<float> mlp({.widths = {2, 1}, .loss = MlpLoss::squared_error});
  CHECK_THROWS_WITH_AS(QatObjective<Mlp<float>>(mlp, {10, 1}, in(NumberFormat::bf16)),
                       doctest::Contains("train_format = \"bf16\" of a perceptron"), OptionError);
  Precision quantized;
  quantized.activation.bits = 8;
  CHECK_THROWS_WITH_AS(with_number_format(quantized, NumberFormat::fp16, 1),
                       doctest::Contains("train_format = \"fp16\" with quantized activations"), OptionError);
}

}  // namespace
}  // namespace hone::test
