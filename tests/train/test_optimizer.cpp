#include "sim/train/optimizer.hpp"

#include "sim/base/error.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

/// A decayed matrix, a norm, a bias, an embedding and a head, three values each.
ParamLayout mixed_layout() {
  ParamLayout layout;
  layout.add("matrix", 0, Role::matrix, 3, 1);
  layout.add("norm", 0, Role::norm, 1, 3);
  layout.add("bias", 0, Role::bias, 1, 3);
  layout.add("embedding", -1, Role::embedding, 1, 3);
  layout.add("head", -1, Role::head, 1, 3);
  return layout;
}

/// The updates of Loshchilov & Hutter 2019, algorithm 2, and of SGD with momentum, one scalar at a
/// time.
struct NaiveOptimizer {
  OptimizerOptions o;
  std::vector<double> theta, m, v;
  int step = 0;

  void update(std::vector<double> g, double lr, const std::vector<bool>& decayed) {
    double norm = 0;
    for (double x : g) norm += x * x;
    norm = std::sqrt(norm);
    const double shrink = o.clip_norm > 0 && norm > o.clip_norm ? o.clip_norm / norm : 1;
    ++step;
    for (size_t i = 0; i < theta.size(); ++i) {
      const double gi = g[i] * shrink,
                   decay = decayed[i] && (o.decay_updates == 0 || step <= o.decay_updates) ? o.weight_decay : 0;
      if (o.kind == OptimizerKind::sgd) {
        m[i] = o.beta1 * m[i] + gi;
        theta[i] -= lr * m[i] + lr * decay * theta[i];
        continue;
      }
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * gi;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * gi * gi;
      const double m_hat = m[i] / (1 - std::pow(o.beta1, step)), v_hat = v[i] / (1 - std::pow(o.beta2, step));
      theta[i] -= lr * m_hat / (std::sqrt(v_hat) + o.eps) + lr * decay * theta[i];
    }
  }
};

/// Seven updates with changing rates and gradients, held against the twin after each.
void check_against_naive(const OptimizerOptions& options) {
  const ParamLayout layout = mixed_layout();
  const std::vector<bool> decayed = {1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
  const Vector<double> start = normals(15, 1);
  NaiveOptimizer naive{options, {start.data(), start.data() + 15}, std::vector<double>(15), std::vector<double>(15)};
  OptimizerState<double> state = make_state<double>(options, layout);
  Vector<double> theta = start;
  for (std::uint32_t step = 0; step < 7; ++step) {
    CAPTURE(step);
    const double lr = 0.1 / (1 + step);
    Vector<double> gradient = 0.2 * (1 + step) * normals(15, 10 + step);
    naive.update({gradient.data(), gradient.data() + 15}, lr, decayed);
    const double norm = gradient.norm();
    CHECK_NEAR(update(options, layout, lr, theta.data(), gradient.data(), state), norm, 1e-14, 0.0);
    CHECK(state.step == step + 1);
    CHECK(relative_error(theta, Vector<double>(ConstVecView<double>(naive.theta.data(), 15))) <= 1e-13);
  }
}

template <class S>
AlignedVector<S> snapshot(double a, double b) {
  return {S(a), S(b)};
}

TEST_SUITE_BEGIN("train");

TEST_CASE(
    "optimizer: AdamW equals the formulas, decay on matrices, embedding and head only [clipping on "
    "and off]") {
  check_against_naive({.beta1 = 0.9, .beta2 = 0.95, .weight_decay = 0.3, .clip_norm = 0});
  check_against_naive({.beta1 = 0.8, .beta2 = 0.99, .eps = 1e-2, .weight_decay = 0.1, .clip_norm = 1.5});
  check_against_naive({.beta1 = 0, .beta2 = 0, .weight_decay = 0});
}

TEST_CASE(
    "optimizer: SGD with momentum equals the formulas and keeps no second moment [clipping on and "
    "off]") {
  const OptimizerOptions options{.kind = OptimizerKind::sgd, .beta1 = 0.9, .weight_decay = 0.2, .clip_norm = 1};
  check_against_naive(options);
  check_against_naive({.kind = OptimizerKind::sgd, .beta1 = 0, .weight_decay = 0, .clip_norm = 0});
  CHECK(make_state<double>(options, mixed_layout()).second.empty());
}

TEST_CASE("optimizer: weight decay ends after decay_updates [AdamW and SGD]") {
  check_against_naive({.weight_decay = 0.3, .decay_updates = 4, .clip_norm = 0});
  check_against_naive({.kind = OptimizerKind::sgd, .weight_decay = 0.3, .decay_updates = 1, .clip_norm = 0});
}

TEST_CASE("optimizer: the gradient is clipped in place to clip_norm, and only when above it") {
  const ParamLayout layout = mixed_layout();
  const OptimizerOptions options{.clip_norm = 2};
  OptimizerState<double> state = make_state<double>(options, layout);
  Vector<double> theta = normals(15, 1), gradient = normals(15, 2);
  const Vector<double> direction = gradient.normalized();
  gradient = 5 * direction;
  CHECK_NEAR(update(options, layout, 0.1, theta.data(), gradient.data(), state), 5.0, 1e-14, 0.0);
  CHECK(relative_error(gradient, Vector<double>(2 * direction)) <= 1e-14);
  const Vector<double> small = 1.9 * direction;
  gradient = small;
  update(options, layout, 0.1, theta.data(), gradient.data(), state);
  CHECK(gradient == small);
}

TEST_CASE("optimizer: float follows double to float's rounding over 100 updates") {
  const ParamLayout layout = mixed_layout();
  const OptimizerOptions options;
  OptimizerState<float> single = make_state<float>(options, layout);
  OptimizerState<double> full = make_state<double>(options, layout);
  Vector<double> theta = normals(15, 1), gradient(15);
  Vector<float> theta_single = theta.cast<float>(), gradient_single(15);
  for (std::uint32_t step = 0; step < 100; ++step) {
    gradient = normals(15, 10 + step);
    gradient_single = gradient.cast<float>();
    update(options, layout, 1e-2, theta.data(), gradient.data(), full);
    update(options, layout, 1e-2, theta_single.data(), gradient_single.data(), single);
  }
  CHECK(relative_error(Vector<double>(theta_single.cast<double>()), theta) <= 1e-5);
}

TEST_CASE("norm2: float gradients are summed in double") {
  const std::vector<float> g(1000, 1e25f);
  CHECK_NEAR(norm2(g.data(), 1000), double(1e25f) * std::sqrt(1000.0), 1e-14, 0.0);
}

TEST_CASE_TEMPLATE("exponential average: decay·a + (1-decay)·θ from the first θ on; off at 0", S, float, double) {
  ExponentialAverage<S> average{.decay = 0.75, .value = {}};
  for (double x : {4.0, 8.0, -4.0}) average.observe(snapshot<S>(x, 1).data(), 2);
  // 4, then 0.75·4 + 0.25·8 = 5, then 0.75·5 - 0.25·4 = 2.75: all exact in binary.
  CHECK(average.value == snapshot<S>(2.75, 1));
  ExponentialAverage<S> off;
  off.observe(snapshot<S>(1, 2).data(), 2);
  CHECK(off.value.empty());
}

TEST_CASE_TEMPLATE("latest weight average: the mean of the last window snapshots; off at 0", S, float, double) {
  LatestWeightAverage<S> average{.window = 2, .snapshots = {}};
  CHECK_THROWS_AS(average.mean(), ContractError);
  average.observe(snapshot<S>(1, 10).data(), 2);
  CHECK(average.mean() == snapshot<S>(1, 10));
  average.observe(snapshot<S>(3, 20).data(), 2);
  average.observe(snapshot<S>(8, 40).data(), 2);
  CHECK(average.snapshots.size() == 2);
  CHECK(average.mean() == snapshot<S>(5.5, 30));
  LatestWeightAverage<S> off;
  off.observe(snapshot<S>(1, 2).data(), 2);
  CHECK(off.snapshots.empty());
}

TEST_CASE("optimizer: every wrong option is named in one message, NaN included") {
  OptimizerOptions{}.validate();
  CHECK_THROWS_WITH_AS(
      (OptimizerOptions{.beta1 = 1, .beta2 = -0.5, .eps = 0, .weight_decay = -1, .clip_norm = -2}.validate()),
      "optimizer: beta1 = 1 (expected in [0, 1)); beta2 = -0.5 (expected in [0, 1)); eps = 0 "
      "(expected above 0); "
      "weight_decay = -1 (expected at least 0); clip_norm = -2 (expected at least 0; 0 = off)",
      OptionError);
  for (double OptimizerOptions::*field : {&OptimizerOptions::beta1, &OptimizerOptions::beta2, &OptimizerOptions::eps,
                                          &OptimizerOptions::weight_decay, &OptimizerOptions::clip_norm}) {
    OptimizerOptions options;
    options.*field = NAN;
    CHECK_THROWS_AS(options.validate(), OptionError);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
