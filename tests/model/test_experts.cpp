// A transformer with experts: one expert is the dense model, empty experts, causality, loads, and training with and
// without load balance. Its derivatives are in test_transformer_derivatives.cpp.
#include "sim/base/error.hpp"
#include "sim/data/synthetic.hpp"
#include "sim/model/expert_load.hpp"
#include "sim/train/trainer.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

TransformerOptions with_experts(Index experts, Index per_token, Gates gates = Gates::probability) {
  TransformerOptions options = tiny_llama();
  options.experts = experts;
  options.experts_per_token = per_token;
  options.gates = gates;
  return options;
}

/// The parameters of a dense model in every expert of another.
Vector<double> spread(const TransformerOptions& dense, const Vector<double>& theta, const TransformerOptions& options) {
  const ParamLayout from = dense.layout(), to = options.layout();
  Vector<double> out = random_parameters(to, 8);
  for (const ParamBlock& block : to.blocks()) {
    if (block.role == Role::router) continue;
    std::string name = block.name;
    if (const size_t at = name.find("experts."); at != std::string::npos)
      name = name.substr(0, at) + name.substr(name.rfind('.') + 1);
    out.segment(block.offset, block.size()) = theta.segment(from.at(name).offset, block.size());
  }
  return out;
}

Vector<double> row_losses(const TransformerOptions& options, const Vector<double>& theta, const TokenBatch& data,
                          const Precision& precision = {}) {
  const Transformer<double> model(options);
  ModelPasses<Transformer<double>> passes(model, data);
  passes.loss(theta, precision);
  return ConstVecView<double>(passes.acts().row_loss.data, passes.acts().row_loss.size());
}

/// Random parameters whose last expert never leads: its row of each router is that of the first expert.
Vector<double> with_idle_last(const TransformerOptions& options, std::uint32_t number) {
  const ParamLayout layout = options.layout();
  Vector<double> theta = random_parameters(layout, number);
  for (const ParamBlock& block : layout.blocks())
    if (block.role == Role::router) {
      MatView<double> router(theta.data() + block.offset, block.rows, block.cols);
      router.row(block.rows - 1) = router.row(0);
    }
  return theta;
}

struct Training {
  double first = 0, last = 0;  ///< mean losses of 10 updates
  double imbalance = 0;        ///< the larger of the two layers'
};

/// Trains a small Switch model on a Markov source. The routers start towards expert 0, as a collapsed run would.
Training train_switch(double load_balance) {
  TransformerOptions options = with_experts(4, 1);
  options.vocabulary = 32, options.positions = 16, options.load_balance = load_balance;
  const Transformer<float> model(options);
  const MarkovSource source({.vocabulary = 32, .coupling = 0.95, .source_seed = 3, .data_seed = 4});
  TrainOptions how;
  how.schedule = {.peak = 1e-2, .warmup_steps = 10, .horizon_steps = 200};
  TrainState<float> state = initial_state(model, how);
  for (const ParamBlock& block : model.layout().blocks())
    if (block.role == Role::router) {
      MatView<float> router(state.theta.data() + block.offset, block.rows, block.cols);
      router.bottomRows(3) = 0.2f * router.bottomRows(3).eval();
    }
  Objective<Transformer<float>> objective(model, how.chunks);
  std::vector<double> losses;
  train_to(200, state, objective,
           BatchSource<TokenBatch>([&](std::int64_t step) { return source.batch(step, 16, 16); }), how, how.schedule,
           [&](const StepRecord& record) { losses.push_back(record.loss_nats); });
  Training result;
  for (size_t i = 0; i < 10; ++i) result.first += losses[i] / 10, result.last += losses[losses.size() - 1 - i] / 10;
  const Matrix<Index> loads =
      expert_loads<float>(model, state.theta.data(), source.evaluation_windows(16, 64), {}, how.chunks);
  result.imbalance = std::max(load_imbalance(loads, 0), load_imbalance(loads, 1));
  return result;
}

TEST_SUITE_BEGIN("experts");

TEST_CASE("experts: one expert has the losses of the dense model bit for bit, and its gradient [full, A4, masks]") {
  const TransformerOptions dense = tiny_llama(), single = with_experts(1, 1);
  const TokenBatch data = random_tokens(dense, 3, 1);
  const Vector<double> theta = random_parameters(dense.layout(), 2), own = spread(dense, theta, single);
  Precision four{.activation = {.bits = 4, .rule = ScaleRule::clip}}, masked = four;
  masked.ste = SteKind::clipped;
  for (const Precision& precision : {Precision{}, four, masked}) {
    CHECK(row_losses(single, own, data, precision) == row_losses(dense, theta, data, precision));
    const auto gradient = [&](const TransformerOptions& options, const Vector<double>& at) {
      const Transformer<double> model(options);
      Objective<Transformer<double>> objective(model, {});
      Vector<double> g(at.size());
      objective.gradient(at.data(), data, g.data(), precision);
      return g;
    };
    const Vector<double> expected = gradient(dense, theta), found = gradient(single, own);
    const ParamLayout layout = single.layout(), dense_layout = dense.layout();
    for (const ParamBlock& block : layout.blocks()) {
      const auto part = found.segment(block.offset, block.size());
      if (block.role == Role::router) {
        CHECK(part.cwiseAbs().maxCoeff() == 0);
        continue;
      }
      const std::string name = block.name.substr(0, 9) + block.name.substr(block.name.rfind('.') + 1);
      const std::string twin = block.name.find("experts") == std::string::npos ? block.name : name;
      CHECK(relative_error(part.eval(), expected.segment(dense_layout.at(twin).offset, block.size()).eval()) <= 1e-13);
    }
  }
}

TEST_CASE("experts: equal experts with renormalized gates are the dense model, whatever the router says") {
  const TransformerOptions dense = tiny_llama();
  const TokenBatch data = random_tokens(dense, 3, 1);
  const Vector<double> theta = random_parameters(dense.layout(), 2), expected = row_losses(dense, theta, data);
  for (const Index k : {2, 3}) {
    const TransformerOptions options = with_experts(3, k, Gates::renormalized);
    CHECK(relative_error(row_losses(options, spread(dense, theta, options), data), expected) <= 1e-13);
  }
  const TransformerOptions plain = with_experts(3, 2);
  CHECK(relative_error(row_losses(plain, spread(dense, theta, plain), data), expected) > 1e-4);
}

TEST_CASE("experts: an expert without tokens has gradient and Hessian product exactly 0, and all is finite") {
  const TransformerOptions options = with_experts(4, 1);
  const TokenBatch data = random_tokens(options, 5, 3);
  const Vector<double> theta = with_idle_last(options, 4), v = normals(theta.size(), 5);
  const Transformer<double> model(options);
  ModelPasses<Transformer<double>> passes(model, data);
  const Vector<double> g = passes.gradient(theta), hv = passes.hessian_product(theta, v),
                       gv = passes.ggn_product(theta, v);
  CHECK(g.allFinite());
  CHECK(hv.allFinite());
  const Matrix<Index> loads = expert_loads<double>(model, theta.data(), data, {}, {});
  CHECK(loads.col(3).isZero());
  for (const ParamBlock& block : model.layout().blocks()) {
    CAPTURE(block.name);
    const bool is_idle = block.name.find("experts.3.") != std::string::npos;
    for (const Vector<double>& result : {g, hv, gv})
      CHECK((result.segment(block.offset, block.size()).cwiseAbs().maxCoeff() == 0) == is_idle);
  }
}

TEST_CASE("experts: a later token never changes an earlier loss, nor another sequence's [full, A8]") {
  for (const int bits : {16, 8})
    for (const Index k : {1, 2}) {
      const TransformerOptions options = with_experts(4, k);
      const Precision precision{.activation = {.bits = bits}};
      const Index T = options.positions;
      const Vector<double> theta = random_parameters(options.layout(), 7);
      const TokenBatch data = random_tokens(options, 3, 2);
      const Vector<double> before = row_losses(options, theta, data, precision);
      for (Index t = 1; t <= T; ++t) {
        TokenBatch changed = data;
        std::uint16_t& token = changed.tokens[size_t(T + 1 + t)];
        token = std::uint16_t((token + 1) % options.vocabulary);
        const Vector<double> after = row_losses(options, theta, changed, precision);
        CHECK(relative_error(after.head(T + t - 1).eval(), before.head(T + t - 1).eval()) <= 1e-14);
        CHECK(relative_error(after.tail(T).eval(), before.tail(T).eval()) <= 1e-14);
        CHECK(after[T + t - 1] != before[T + t - 1]);
      }
    }
}

TEST_CASE("experts: loads count the largest logits of every token, and threads change no bit of loss or gradient") {
  const TransformerOptions options = with_experts(5, 2);
  const TokenBatch data = random_tokens(options, 40, 9);
  const Vector<double> theta = random_parameters(options.layout(), 10);
  const Transformer<double> model(options);
  auto x = model.make_acts(40);
  model.forward(theta.data(), data, 0, x, {});
  const Matrix<Index> one = expert_loads<double>(model, theta.data(), data, {}, {15, 1});
  CHECK(one == expert_loads<double>(model, theta.data(), data, {}, {35, 3}));
  for (Index l = 0; l < 2; ++l) {
    CHECK(one.row(l).sum() == 2 * 40 * options.positions);
    const Matrix<double> z = x.layers[size_t(l)].router_logits.view();
    for (Index e = 0; e < 5; ++e) {
      Index count = 0;
      for (Index m = 0; m < z.rows(); ++m) count += (z.row(m).array() > z(m, e)).count() < 2;
      CHECK(one(l, e) == count);
    }
  }
  const auto gradient = [&](int threads) {
    Objective<Transformer<double>> objective(model, {10, threads});
    Vector<double> g(theta.size());
    objective.gradient(theta.data(), data, g.data());
    return g;
  };
  CHECK(gradient(1) == gradient(3));
}

TEST_CASE("experts: the training gradient does not depend on the chunks, so load balance is a sum over sequences") {
  TransformerOptions options = with_experts(4, 1);
  options.load_balance = 1;
  const TokenBatch data = random_tokens(options, 8, 9);
  const Vector<double> theta = random_parameters(options.layout(), 10);
  const Transformer<double> model(options);
  const auto gradient = [&](Index rows) {
    Objective<Transformer<double>> objective(model, {rows, 1});
    Vector<double> g(theta.size());
    objective.gradient(theta.data(), data, g.data());
    return g;
  };
  CHECK(relative_error(gradient(5), gradient(40)) <= 1e-13);
}

TEST_CASE("experts: Switch training learns, with load balance no expert starves, without it one takes most") {
  const Training balanced = train_switch(0.02), free = train_switch(0);
  for (const Training& t : {balanced, free}) CHECK(t.last < t.first - 0.5);
  CHECK(balanced.imbalance < 2);
  CHECK(free.imbalance > balanced.imbalance + 0.5);
}

TEST_CASE("experts: layout and messages") {
  const TransformerOptions options = with_experts(3, 2);
  const ParamLayout layout = options.layout();
  const Index C = options.width, F = options.mlp_width;
  CHECK(layout.quantizable_size() == 2 * (4 * C * C + 3 * 3 * C * F));
  CHECK(layout.at("layers.1.experts.2.w_down").rows == C);
  CHECK_FALSE(layout.at("layers.0.router").is_quantizable());
  CHECK(refusal(with_experts(2, 3)).find("experts_per_token = 3 (expected 1 to experts = 2)") != std::string::npos);
  CHECK(refusal(with_experts(2, 1, Gates::renormalized)).find("no gradient") != std::string::npos);
  TransformerOptions gelu = gpt2_style(with_experts(2, 1));
  CHECK(refusal(gelu).find("experts with mlp = gelu (expected swiglu)") != std::string::npos);
  const Precision per_sequence{.activation = {.bits = 8, .granularity = Granularity::tensor}};
  CHECK_THROWS_AS(row_losses(options, random_parameters(layout, 1), random_tokens(options, 2, 1), per_sequence),
                  OptionError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
