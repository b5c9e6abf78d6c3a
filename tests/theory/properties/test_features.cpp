// Regression on power-law features with the project's perceptron, SGD and quantizers, against
// theory/solvable/features.hpp.
#include <doctest/doctest.h>

#include <Eigen/Cholesky>
#include <cmath>

#include "experiments/study/sources.hpp"
#include "sim/base/mean.hpp"
#include "sim/formats/quantizer.hpp"
#include "sim/model/mlp.hpp"
#include "sim/train/trainer.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/solvable/features.hpp"

TEST_SUITE_BEGIN("laws");

namespace hone::theory {
namespace {

using test::gaussian;

Vector<double> powers(Index count, double exponent) {
  Vector<double> x(count);
  for (Index k = 0; k < count; ++k) x(k) = std::pow(k + 1.0, -exponent);
  return x;
}

VectorBatch batch_of(const Matrix<double>& x, const Vector<double>& y) {
  return {x.rows(), x.cols(), 1, {x.data(), x.data() + x.size()}, {}, {y.data(), y.data() + y.size()}};
}

MlpOptions readout(Index features) { return {.widths = {features, 1}, .loss = MlpLoss::squared_error, .bias = false}; }

/// Plain SGD from w = 0; a rate of the theory, whose gradient is half that of the squared error.
template <class Observe>
void train(const Mlp<double>& model, double rate, std::int64_t updates, const BatchSource<VectorBatch>& source,
           Observe&& observe) {
  TrainOptions options;
  options.optimizer = {.kind = OptimizerKind::sgd, .beta1 = 0, .weight_decay = 0, .clip_norm = 0};
  const Schedule constant{.peak = rate / 2, .warmup_steps = 0};
  TrainState<double> state = initial_state(model, options);
  std::fill(state.theta.begin(), state.theta.end(), 0.0);
  Objective<Mlp<double>> objective(model, {.rows = 1024});
  train_to(updates, state, objective, source, options, constant, [&](const StepRecord& record) {
    observe(record, ConstVecView<double>(state.theta.data(), Index(state.theta.size())));
  });
}

}  // namespace

TEST_CASE(
    "features: full-batch descent loses k^-a (1 - eta k^-b)^2t per feature, with the flow's exponent [a 2, b 1.5]") {
  constexpr Index n = 128;
  const PowerFeatures f{2, 1.5};
  const Vector<double> lambda = powers(n, f.spectrum), target = powers(n, (f.signal - f.spectrum) / 2);
  // One example per feature whose mean square is lambda_k.
  const Matrix<double> x = (double(n) * lambda).cwiseSqrt().asDiagonal();
  const VectorBatch data = batch_of(x, x * target);
  constexpr double rate = 0.5;
  double losses[2] = {};
  train(
      Mlp<double>(readout(n)), rate, 1600, [&](std::int64_t) { return data; },
      [&](const StepRecord& r, auto&&) {
        if (r.step == 400 || r.step == 1600) losses[r.step == 1600] = r.loss_nats;
      });
  const auto discrete = [&](double updates) {
    return (lambda.array() * target.array().square() * (1 - rate * lambda.array()).pow(2 * updates)).sum();
  };
  CHECK_NEAR(losses[0], discrete(399), 1e-10, 0);
  CHECK_NEAR(losses[1], discrete(1599), 1e-10, 0);
  double whole[2];
  for (const int late : {0, 1}) {
    const double time = rate * (late ? 1599 : 399);
    double beyond = 1 / 20000.5;  // features that the perceptron lacks, from k = 20001 on as good as untouched
    for (int k = n + 1; k <= 20000; ++k) beyond += std::pow(k, -2.0) * std::exp(-2 * time * std::pow(k, -1.5));
    whole[late] = losses[late] + beyond;
    // Euler's steps are ahead of the flow by order eta lambda, which is small where the loss still is.
    CHECK_NEAR(whole[late], f.flow_risk(time), 0.01, 0);
  }
  const double slope = std::log(whole[0] / whole[1]) / std::log(1599.0 / 399);
  CHECK_NEAR(slope, f.time_exponent(), 0, 0.01);
}

TEST_CASE(
    "features: one-pass SGD on random features follows the exact recursion [24 of 120 features, batch 4, 40 runs]") {
  constexpr Index latent = 120, n = 24, batch = 4;
  constexpr std::int64_t updates = 80;
  const Vector<double> lambda = powers(latent, 1.5), target = powers(latent, 0.25);
  const Matrix<double> f = gaussian(latent, n, 1) / std::sqrt(double(n));
  OnePassSgd sgd{.problem = random_features(lambda, target, f), .noise = 0.04, .rate = 0, .batch = batch};
  sgd.rate = 0.4 * one_pass_cap(sgd.problem.eigenvalues, batch);
  const Matrix<double> root = lambda.cwiseSqrt().asDiagonal();
  const std::int64_t seen[] = {5, 30, updates};
  std::vector<double> risks[3];
  for (std::uint32_t run = 0; run < 40; ++run) {
    const auto fresh = [&](std::int64_t step) {
      const Matrix<double> z = gaussian(batch, latent + 1, 1000 + run * 1000 + std::uint32_t(step));
      const Matrix<double> x = z.leftCols(latent) * root;
      return batch_of(x * f, x * target + 0.2 * z.col(latent));
    };
    train(Mlp<double>(readout(n)), sgd.rate, updates, fresh, [&](const StepRecord& r, const auto& w) {
      for (int i = 0; i < 3; ++i)
        if (r.step == seen[i]) risks[i].push_back(lambda.dot((target - f * w).cwiseAbs2()));
    });
  }
  const Vector<double> theory = sgd.risks(updates);
  for (int i = 0; i < 3; ++i) {
    const MeanEstimate mean = mean_with_error(risks[i]);
    CAPTURE(seen[i]);
    CHECK(mean.standard_error < 0.1 * mean.mean);
    CHECK_NEAR(mean.mean, theory[seen[i]], 0, 4 * mean.standard_error);
  }
  CHECK(theory[updates] > sgd.problem.floor);
  CHECK(theory[updates] < 0.5 * theory[0]);
}

TEST_CASE("features: small batches bring SGD below 2/lambda_max, and the cap is where it breaks [one pass, batch 2]") {
  constexpr Index n = 8, batch = 2;
  const Vector<double> lambda = powers(n, 0.5), target = Vector<double>::Ones(n);
  const double cap = one_pass_cap(lambda, batch);
  CHECK(cap < 0.5 * 2);
  for (const double share : {0.6, 2.0}) {
    double last = 0;
    const auto fresh = [&](std::int64_t step) {
      const Matrix<double> x = gaussian(batch, n, 90000 + std::uint32_t(step)) * lambda.cwiseSqrt().asDiagonal();
      return batch_of(x, x * target);
    };
    train(Mlp<double>(readout(n)), share * cap, 400, fresh,
          [&](const StepRecord&, const auto& w) { last = lambda.dot((target - w).cwiseAbs2()); });
    CHECK((share < 1 ? last < 1e-3 * lambda.sum() : !(last < 1e3 * lambda.sum())));
  }
}

TEST_CASE("features: regression on stochastically rounded features costs what the series' noise says [fixed step]") {
  constexpr Index n = 24, samples = 30000;
  const Vector<double> lambda = powers(n, 1.5), target = powers(n, -0.5);
  const Matrix<double> x = gaussian(samples, n, 7) * lambda.cwiseSqrt().asDiagonal();
  const Vector<double> y = x * target;
  for (const double step : {0.1, 0.6}) {
    Matrix<double> q = x;
    fake_quantize_static<double>(q, {.step = step, .code_min = -1e6, .code_max = 1e6}, Rounding::stochastic,
                                 {5, Domain::rounding, 0});
    const Vector<double> w = (q.transpose() * q).ldlt().solve(q.transpose() * y);
    const double risk = (y - q * w).squaredNorm() / double(samples);
    const Vector<double> noise =
        lambda.unaryExpr([&](double l) { return step * step * stochastic_rounding_gaussian_mse(std::sqrt(l) / step); });
    const NoisyFeatures known = noisy_features(lambda, lambda.cwiseProduct(target.cwiseAbs2()), noise);
    CAPTURE(step);
    CHECK_NEAR(risk, known.risk, 0.04, 0);
    for (Index k = 0; k < n; ++k) {
      const double measured = lambda[k] + noise[k], error = std::sqrt(known.risk / measured / double(samples));
      CHECK_NEAR(w[k], target[k] * lambda[k] / measured, 0, 5 * error);
    }
  }
}

TEST_CASE("features: a fixed step loses the small features, floating point keeps all at one share [e4m3, 8-bit grid]") {
  constexpr Index n = 24, samples = 20000;
  const Vector<double> lambda = powers(n, 2), target = powers(n, -1);  // equal signal in each feature
  const Matrix<double> x = gaussian(samples, n, 8) * lambda.cwiseSqrt().asDiagonal();
  const Vector<double> y = x * target;
  const auto kept = [&](const Quantizer& q) {  // weight of each feature over its true one
    Matrix<double> rounded = x;
    fake_quantize<double>(rounded, q, samples);
    const Vector<double> w = (rounded.transpose() * rounded).ldlt().solve(rounded.transpose() * y);
    return Vector<double>(w.cwiseQuotient(target));
  };
  Quantizer additive{.bits = 4, .granularity = Granularity::tensor, .rounding = Rounding::stochastic};
  Quantizer multiplicative{
      .granularity = Granularity::tensor, .rounding = Rounding::stochastic, .format = Format::e4m3};
  const Vector<double> fixed = kept(additive), floating = kept(multiplicative);
  const double step = step_ranges<double>(x, additive, samples)[0].step;
  for (const Index k : {0, 3, 11, 23}) {
    const double noise = step * step * stochastic_rounding_gaussian_mse(std::sqrt(lambda[k]) / step);
    CHECK_NEAR(fixed[k], lambda[k] / (lambda[k] + noise), 0, 0.06);
  }
  CHECK(fixed[23] < 0.2);
  CHECK(fixed[0] > 0.8);
  CHECK(floating.minCoeff() > 0.97);
  CHECK(floating.maxCoeff() - floating.minCoeff() < 0.02);
}

}  // namespace hone::theory

TEST_SUITE_END();
