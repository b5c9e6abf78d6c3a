#include "sim/train/sharpness_aware.hpp"

#include <cmath>

#include "sim/train/trainer.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

using Double = Objective<Transformer<double>>;

/// Slope of f(θ + t w) in t at 0: central differences at two steps, whose errors of second order cancel.
template <class F>
double slope(const TinyCase& c, const Vector<double>& w, F&& f) {
  const auto central = [&](double t) {
    const Vector<double> ahead = c.theta + t * w, behind = c.theta - t * w;
    return (f(ahead) - f(behind)) / (2 * t);
  };
  return (4 * central(1e-4) - central(2e-4)) / 3;
}

Vector<double> gradient_at(const TinyCase& c, const Vector<double>& theta, const SharpnessOptions& options,
                           int threads = 1) {
  Double plain(c.model, {.rows = 10, .threads = threads});
  SharpnessAware<Double> aware(plain, options);
  Vector<double> gradient(theta.size());
  const double loss = aware.gradient(theta.data(), c.data, gradient.data());
  Vector<double> unused(theta.size());
  CHECK(loss == plain.gradient(theta.data(), c.data, unused.data()));
  return gradient;
}

}  // namespace

TEST_SUITE_BEGIN("sharpness_aware");

TEST_CASE("SharpnessAware: SAM follows the slope of the loss at the point of ascent") {
  const TinyCase c;
  constexpr double rho = 0.3;
  const Vector<double> plain = gradient_at(c, c.theta, {}), sam = gradient_at(c, c.theta, {.sam_rho = rho});
  const Vector<double> up = rho * plain / plain.norm();
  for (std::uint32_t number : {40u, 41u}) {
    const Vector<double> w = normals(c.theta.size(), number);
    const double expected = slope(c, w, [&](const Vector<double>& at) {
      const Vector<double> shifted = at + up;
      return Double(c.model, {}).value(shifted.data(), c.data);
    });
    CHECK_NEAR(sam.dot(w), expected, 1e-6, 1e-9);
    CHECK(std::abs(plain.dot(w) - expected) > 1e-3 * std::abs(expected));
  }
}

TEST_CASE("SharpnessAware: the penalty's gradient is the slope of the loss plus lambda times its gradient norm") {
  const TinyCase c;
  constexpr double lambda = 0.2;
  const Vector<double> penalized = gradient_at(c, c.theta, {.gradient_penalty = lambda});
  for (std::uint32_t number : {50u, 51u}) {
    const Vector<double> w = normals(c.theta.size(), number);
    const double expected = slope(c, w, [&](const Vector<double>& at) {
      return Double(c.model, {}).value(at.data(), c.data) + lambda * gradient_at(c, at, {}).norm();
    });
    CHECK_NEAR(penalized.dot(w), expected, 1e-6, 1e-9);
  }
}

TEST_CASE("SharpnessAware: without a radius or a penalty training keeps every bit") {
  const TransformerOptions shape = tiny_llama();
  const Transformer<float> model(shape);
  TrainOptions options;
  options.schedule = {.peak = 1e-2, .warmup_steps = 2, .horizon_steps = 10};
  const BatchSource<TokenBatch> source = [&](std::int64_t step) {
    return random_tokens(shape, 7, 100 + std::uint32_t(step));
  };
  const auto trained = [&](const SharpnessOptions& sharpness) {
    options.sharpness = sharpness;
    TrainState<float> state = initial_state(model, options);
    Objective<Transformer<float>> objective(model, options.chunks);
    train_to(5, state, objective, source, options, options.schedule, [](const StepRecord&) {});
    return state.theta;
  };
  // Plain updates, one by one.
  TrainState<float> state = initial_state(model, options);
  Objective<Transformer<float>> objective(model, options.chunks);
  AlignedVector<float> gradient(state.theta.size());
  for (std::int64_t step = 0; step < 5; ++step) {
    objective.gradient(state.theta.data(), source(step), gradient.data());
    update(options.optimizer, model.layout(), options.schedule(step), state.theta.data(), gradient.data(),
           state.optimizer);
  }
  CHECK(trained({}) == state.theta);
  CHECK(trained({.sam_rho = 0.05}) != state.theta);
  CHECK(trained({.gradient_penalty = 0.05}) != state.theta);
}

TEST_CASE("SharpnessAware: bits do not depend on threads, and a gradient of 0 stays 0") {
  const TinyCase c;
  for (const SharpnessOptions& o : {SharpnessOptions{.sam_rho = 0.1}, SharpnessOptions{.gradient_penalty = 0.1}})
    CHECK(gradient_at(c, c.theta, o, 1) == gradient_at(c, c.theta, o, 3));
  const Mlp<double> model({.widths = {2, 1}, .loss = MlpLoss::squared_error, .bias = false});
  Objective<Mlp<double>> plain(model, {});
  SharpnessAware<Objective<Mlp<double>>> aware(plain, {.sam_rho = 0.1});
  const VectorBatch data{1, 2, 1, {1, 1}, {}, {0}};
  double theta[] = {1, -1}, gradient[] = {7, 7};
  aware.gradient(theta, data, gradient);
  CHECK((gradient[0] == 0 && gradient[1] == 0));
}

TEST_CASE("SharpnessOptions: negative numbers and both at once are refused by name") {
  const auto refusal = [](const SharpnessOptions& o) { return message_of<OptionError>([&] { o.validate(); }); };
  CHECK(refusal({}).empty());
  CHECK(mentions(refusal({.sam_rho = -1}), "sam_rho = -1"));
  CHECK(mentions(refusal({.gradient_penalty = NAN}), "gradient_penalty = nan"));
  CHECK(mentions(refusal({.sam_rho = 0.1, .gradient_penalty = 0.1}), "at once"));
}

TEST_SUITE_END();

}  // namespace hone::test
