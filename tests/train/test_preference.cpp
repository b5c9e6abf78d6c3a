#include "sim/train/preference.hpp"

#include <cmath>

#include "sim/data/preference.hpp"
#include "sim/train/trainer.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

using Double = Objective<Transformer<double>>;
using Preference = PreferenceObjective<Double>;

/// A model whose parameters are the log-probabilities of its windows: window i is named by its first token.
struct Tabular {
  using Scalar = double;
  using Data = TokenBatch;

  explicit Tabular(Index windows) { table.add("log_probability", -1, Role::matrix, windows, 1); }
  static size_t name(const TokenBatch& data, Index i) { return data.tokens[size_t(i * (data.positions + 1))]; }
  std::vector<double> example_losses(const double* theta, const TokenBatch& data) const {
    std::vector<double> losses;
    for (Index i = 0; i < data.sequences; ++i) losses.push_back(-theta[name(data, i)] / double(data.positions));
    return losses;
  }
  double gradient(const double* theta, const TokenBatch& data, double* gradient) const {
    std::fill(gradient, gradient + table.size(), 0.0);
    double sum = 0;
    for (Index i = 0; i < data.sequences; ++i) {
      gradient[name(data, i)] -= 1 / double(data.positions * data.sequences);
      sum -= theta[name(data, i)] / double(data.positions * data.sequences);
    }
    return sum;
  }
  const ParamLayout& layout() const { return table; }

  ParamLayout table;
};

/// ln π of every window, nats.
std::vector<double> log_probabilities(const TinyCase& c, const Vector<double>& theta, const TokenBatch& data) {
  std::vector<double> found;
  for (const double loss : Double(c.model, {}).example_losses(theta.data(), data))
    found.push_back(-loss * double(data.positions));
  return found;
}

TokenBatch pairs_of(const TinyCase& c) { return preference_pairs({.token = 1, .prompt = 2}, c.data, 1, 0); }

AlignedVector<double> aligned(const Vector<double>& theta) { return {theta.begin(), theta.end()}; }

}  // namespace

TEST_SUITE_BEGIN("preference");

TEST_CASE("PreferenceObjective: loss, margins and gradient of a transformer are PyTorch's [float64; 1e-12]") {
  const nlohmann::json golden = load_golden("preference.json");  // by experiments/peers/make_golden.py
  const nlohmann::json& shape = golden["model"];
  TransformerOptions options;
  options.vocabulary = shape["vocabulary"], options.positions = shape["positions"], options.layers = shape["layers"];
  options.width = shape["width"], options.mlp_width = shape["mlp_width"];
  options.heads = options.kv_heads = shape["heads"];
  const Transformer<double> model(options);
  TokenBatch pairs{Index(golden["windows"].size()), options.positions, {}};
  for (const auto& window : golden["windows"])
    for (const auto& token : window) pairs.tokens.push_back(token.get<std::uint16_t>());
  const Vector<double> theta = vector_of(golden["theta"]), wanted = vector_of(golden["gradient"]);
  REQUIRE(theta.size() == model.layout().size());
  Double objective(model, {});
  Preference preference(objective, aligned(vector_of(golden["reference"])), golden["beta"]);
  Vector<double> gradient(theta.size());
  CHECK_NEAR(preference.gradient(theta.data(), pairs, gradient.data()), golden["loss"].get<double>(), 1e-12, 0);
  CHECK(relative_error(gradient, wanted) <= 1e-12);
  const std::vector<double> margins = preference.margins(theta.data(), pairs);
  REQUIRE(margins.size() == 3);
  for (size_t i = 0; i < 3; ++i) CHECK_NEAR(margins[i], golden["margins"][i].get<double>(), 1e-12, 0);
}

TEST_CASE("PreferenceObjective: loss and gradient are those of -logsigmoid in float64 [three pairs, one far off]") {
  const std::vector<double> now = {-12.5, -14.25, -9, -7.5, -30, -2000}, then = {-13, -13, -8, -9.5, -31, -31};
  Tabular model(6);
  PreferenceObjective<Tabular> preference(model, {then.begin(), then.end()}, 0.3);
  const TokenBatch pairs{6, 1, {0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0}};
  std::vector<double> gradient(6);
  // numpy 1.24 in float64: mean of -(min(m, 0) - log1p(exp(-|m|))), and -beta expit(-m)/3 for the preferred one.
  const double expected[] = {-0.03716838117046338, 0.03716838117046338,     -0.07109495026250039,
                             0.07109495026250039,  -2.147638571035043e-258, 2.147638571035043e-258};
  CHECK_NEAR(preference.gradient(now.data(), pairs, gradient.data()), 0.5686218764683605, 1e-15, 0);
  for (size_t i = 0; i < 6; ++i) CHECK_NEAR(gradient[i], expected[i], 1e-12, 0);
  const std::vector<double> margins = preference.margins(now.data(), pairs);
  CHECK_NEAR(margins[0], 0.525, 1e-14, 0);
  CHECK_NEAR(margins[2], 591.0, 1e-14, 0);
}

TEST_CASE("PreferenceObjective: the loss is the formula in log-probabilities, and ln 2 at the reference") {
  const TinyCase c;
  const TokenBatch pairs = pairs_of(c);
  Double plain(c.model, {.rows = 10});
  constexpr double beta = 0.4;
  const Vector<double> moved = c.theta + 0.3 * c.v;
  Preference preference(plain, aligned(c.theta), beta);
  Vector<double> gradient(c.theta.size());
  CHECK_NEAR(preference.gradient(c.theta.data(), pairs, gradient.data()), std::log(2.0), 1e-15, 0);
  const auto now = log_probabilities(c, moved, pairs), then = log_probabilities(c, c.theta, pairs);
  double expected = 0;
  for (size_t i = 0; i < now.size(); i += 2) {
    const double margin = beta * ((now[i] - now[i + 1]) - (then[i] - then[i + 1]));
    expected += std::log1p(std::exp(-margin)) / double(now.size() / 2);
  }
  CHECK_NEAR(preference.gradient(moved.data(), pairs, gradient.data()), expected, 1e-12, 0);
}

TEST_CASE("PreferenceObjective: the gradient is the slope of the loss, away from the reference") {
  const TinyCase c;
  const TokenBatch pairs = pairs_of(c);
  Double plain(c.model, {.rows = 10});
  Preference preference(plain, aligned(c.theta), 0.4);
  const Vector<double> at = c.theta + 0.2 * c.v;
  Vector<double> gradient(at.size()), unused(at.size());
  (void)preference.gradient(at.data(), pairs, gradient.data());
  const Vector<double> w = normals(at.size(), 60);
  const auto central = [&](double t) {
    const Vector<double> ahead = at + t * w, behind = at - t * w;
    return (preference.gradient(ahead.data(), pairs, unused.data()) -
            preference.gradient(behind.data(), pairs, unused.data())) /
           (2 * t);
  };
  CHECK_NEAR(gradient.dot(w), (4 * central(1e-4) - central(2e-4)) / 3, 1e-6, 1e-9);
}

TEST_CASE("PreferenceObjective: training on it raises the liked answers above the others on pairs not seen") {
  const TransformerOptions shape = tiny_llama();
  const Transformer<float> model(shape);
  TrainOptions options;
  options.optimizer.weight_decay = 0;
  options.schedule = {.peak = 3e-3, .warmup_steps = 5, .horizon_steps = 200};
  const PreferenceRule rule{.token = 1, .prompt = 2};
  Objective<Transformer<float>> plain(model, {});
  TrainState<float> state = initial_state(model, options);
  PreferenceObjective<Objective<Transformer<float>>> preference(plain, state.theta, 0.5);
  const auto source = [&](std::int64_t step) {
    return preference_pairs(rule, random_tokens(shape, 8, std::uint32_t(1000 + step)), 1, step);
  };
  const auto summary = train_to(200, state, preference, BatchSource<TokenBatch>(source), options, options.schedule,
                                [](const StepRecord&) {});
  REQUIRE(summary.stop == TrainStop::reached);
  // Held-out pairs ordered by their known reward.
  int right = 0, count = 0;
  const TokenBatch pairs = preference_pairs(rule, random_tokens(shape, 200, 7), 2, 0);
  const std::vector<double> margins = preference.margins(state.theta.data(), pairs);
  const Index width = pairs.positions + 1;
  for (Index p = 0; p < Index(margins.size()); ++p) {
    const std::span all(pairs.tokens);
    const auto reward = [&](Index i) {
      return reward_of(rule, all.subspan(size_t(i * width + rule.prompt), size_t(width - rule.prompt)));
    };
    const double difference = reward(2 * p) - reward(2 * p + 1);
    if (difference == 0) continue;
    right += (margins[size_t(p)] > 0) == (difference > 0), ++count;
  }
  CHECK(count > 20);
  CHECK(double(right) / count > 0.8);
}

TEST_SUITE_END();

}  // namespace hone::test
