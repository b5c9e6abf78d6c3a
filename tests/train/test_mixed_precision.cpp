// Gradients in 16 bits: what the loss scale keeps, when it moves, and that a training goes on from its record.
#include "sim/train/mixed_precision.hpp"

#include <cmath>

#include "sim/train/checkpoint.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

TEST_CASE("round_gradient: fp32 leaves every bit, bf16 rounds each value, neither moves the scale") {
  const std::vector<float> given = {1.0f / 3, -1e-30f, 3e38f, 0};
  for (const NumberFormat format : {NumberFormat::fp32, NumberFormat::bf16}) {
    std::vector<float> g = given;
    LossScale state{4, 1999};
    CHECK(round_gradient(format, g.data(), 4, state));
    for (size_t i = 0; i < g.size(); ++i) CHECK(g[i] == rounded_to(format, given[i]));
    CHECK(state == LossScale{4, 1999});
  }
}

TEST_CASE("round_gradient: the scale of fp16 keeps gradients that half precision itself would lose") {
  std::vector<float> g = {1e-9f, 0.25f, -3e-12f};
  LossScale state;
  CHECK(rounded_to(NumberFormat::fp16, g[0]) == 0);
  REQUIRE(round_gradient(NumberFormat::fp16, g.data(), 3, state));
  CHECK_NEAR(g[0], 1e-9, 1e-3, 0);  // 1e-9·2^16 = 6.6e-5, a normal number of 11 bits
  CHECK(g[1] == 0.25f);
  CHECK(g[2] == -0x1p-24f * 3 / 65536);  // 3.3 quanta of the subnormals
  CHECK(state == LossScale{65536, 1});
}

TEST_CASE("round_gradient: an overflow halves the scale and leaves the gradient, 2000 good updates double it") {
  LossScale state;
  const std::vector<float> given = {1.5f, 0.1f};  // 1.5·2^16 is above 65504, half of it is not
  std::vector<float> g = given;
  CHECK(!round_gradient(NumberFormat::fp16, g.data(), 2, state));
  CHECK(g == given);
  CHECK(state == LossScale{32768, 0});
  for (int i = 0; i < 1999; ++i) REQUIRE(round_gradient(NumberFormat::fp16, g.data(), 2, state));
  CHECK(state == LossScale{32768, 1999});
  CHECK(round_gradient(NumberFormat::fp16, g.data(), 2, state));
  CHECK(state == LossScale{65536, 0});
  CHECK(!round_gradient(NumberFormat::fp16, g.data(), 2, state));
  CHECK(state == LossScale{32768, 0});
  std::vector<float> lost = {std::nanf(""), INFINITY};  // no scale mends it: it stays for the trainer to see
  CHECK(round_gradient(NumberFormat::fp16, lost.data(), 2, state));
  CHECK(std::isnan(lost[0]));
  CHECK(std::isinf(lost[1]));
}

/// A regression y = 3 from x = 1 by plain gradient descent, with gradients in fp16: the first, -6, overflows three times.
struct Slope {
  Mlp<float> model{{.widths = {1, 1}, .loss = MlpLoss::squared_error, .bias = false}};
  TrainOptions options;
  VectorBatch data{1, 1, 1, {1}, {}, {3}};

  Slope() {
    options.format = NumberFormat::fp16;
    options.optimizer = {.kind = OptimizerKind::sgd, .beta1 = 0, .weight_decay = 0, .clip_norm = 0};
    options.schedule = {.peak = 0.1, .warmup_steps = 0, .horizon_steps = 100};
  }
  std::vector<StepRecord> train(std::int64_t target, TrainState<float>& state) const {
    Objective<Mlp<float>> objective(model, options.chunks);
    std::vector<StepRecord> records;
    const auto summary =
        train_to(target, state, objective, BatchSource<VectorBatch>([this](std::int64_t) { return data; }), options,
                 options.schedule, [&](const StepRecord& r) { records.push_back(r); });
    CHECK(summary.stop == TrainStop::reached);
    return records;
  }
};

TEST_CASE("trainer: an overflow skips the update, counts it, and the next works with half the scale") {
  const Slope slope;
  TrainState<float> state = initial_state(slope.model, slope.options);
  state.theta = {0};
  const auto records = slope.train(5, state);
  REQUIRE(records.size() == 5);
  double theta = 0;
  int skipped = 0;
  for (const StepRecord& r : records) {
    const double gradient = 2 * (theta - 3);
    CHECK_NEAR(r.loss_nats, gradient * gradient / 4, 1e-6, 0);
    const bool fits = 65536 * std::pow(0.5, skipped) * std::abs(gradient) < 65520;
    CHECK_NEAR(r.gradient_norm, std::abs(gradient), 1e-3, 0);
    if (fits)
      theta -= r.lr * double(rounded_to(NumberFormat::fp16, float(gradient)));
    else
      ++skipped;
  }
  CHECK(skipped == 3);
  CHECK_NEAR(state.theta[0], theta, 1e-5, 0);
  CHECK(state.step() == 5);
  CHECK(state.loss_scale == LossScale{8192, 2});
}

TEST_CASE("checkpoint: a loss scale that moved goes into the record and out of it, one that did not leaves no trace") {
  const Slope slope;
  TrainState<float> whole = initial_state(slope.model, slope.options);
  whole.theta = {0};
  TrainState<float> first = whole;
  CHECK(!to_dataset(first).attributes().contains("loss_scale"));
  slope.train(20, whole);
  slope.train(3, first);
  Dataset record = to_dataset(first);
  TrainState<float> second = state_from_dataset<float>(record, slope.options, 1);
  CHECK(second.loss_scale == first.loss_scale);
  CHECK(second.loss_scale != LossScale{});
  slope.train(20, second);
  CHECK(second.theta == whole.theta);
  CHECK(second.loss_scale == whole.loss_scale);
  record.set_attribute("loss_scale", 1.0);
  CHECK_THROWS_WITH_AS(state_from_dataset<float>(record, slope.options, 1), doctest::Contains("hash"), FormatError);
}

}  // namespace
}  // namespace hone::test
