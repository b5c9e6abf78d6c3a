// Steps shared by weights and inputs: the grids that they give, what they share and what they leave alone.
#include "sim/quantize/shared_steps.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "sim/quantize/static_ranges.hpp"
#include "sim/quantize/weights.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

struct Setting {
  Transformer<double> model{tiny_llama()};
  Vector<double> theta = random_parameters(model.layout(), 1);
  TokenBatch data = random_tokens(model.options(), 12, 2);

  SharedSteps<double> steps(Index group, int threads = 1) const {
    return {model, theta.data(), data, group, {10, threads}};
  }
  double loss(SharedBits bits, Balance balance, Index group = 4) const {
    return mean(steps(group).example_losses(data, bits, balance));
  }
  static double mean(const std::vector<double>& x) {
    return std::accumulate(x.begin(), x.end(), 0.0) / double(x.size());
  }
  /// Makes the inputs of wq, wk, wv of layer 0 larger by a factor.
  void scale_inputs(double factor) {
    const ParamBlock& gain = model.layout().at("layers.0.attn_norm.weight");
    theta.segment(gain.offset, gain.size()) *= factor;
  }
  double largest_input() const {
    auto x = model.make_acts(data.sequences);
    model.forward(theta.data(), data, 0, x, {});
    return x.layers[0].norm1.view().cwiseAbs().maxCoeff();
  }
  double largest_weight() const {
    double largest = 0;
    for (const char* name : {"layers.0.wq", "layers.0.wk", "layers.0.wv"})
      largest = std::max(largest, view(theta.data(), model.layout().at(name)).cwiseAbs().maxCoeff());
    return largest;
  }
  Matrix<double> rounded(const char* name, int bits, Balance balance, Index group) const {
    const auto w = steps(group).weights(bits, balance);
    return view(w.data(), model.layout().at(name));
  }
};

TEST_CASE("shared_steps: nothing quantized is the objective, bit for bit, on any number of threads") {
  const Setting s;
  Objective<Transformer<double>> objective(s.model, {10, 1});
  const auto full = objective.example_losses(s.theta.data(), s.data);
  const auto losses = [&](int threads, SharedBits bits) {
    return s.steps(4, threads).example_losses(s.data, bits, Balance::raw);
  };
  CHECK(losses(1, {}) == full);
  CHECK(losses(1, {3, 4}) == losses(3, {3, 4}));
  CHECK(losses(1, {3, 4}) != full);
}

TEST_CASE("shared_steps: balanced steps are those of separate blocks of weights and of static inputs") {
  const Setting s;
  Matrix<double> expected = view(s.theta.data(), s.model.layout().at("layers.1.wo"));
  const Quantizer blocks{.bits = 3, .granularity = Granularity::block, .block_rows = expected.rows(), .block_cols = 4};
  fake_quantize<double>(expected, blocks, expected.rows());
  CHECK((s.rounded("layers.1.wo", 3, Balance::balanced, 4) - expected).cwiseAbs().maxCoeff() < 1e-12);

  Precision precision;
  precision.activation = {.bits = 5};
  precision.activation_ranges =
      static_ranges<double>(s.model, s.theta.data(), s.data, precision.activation, 100, {10, 1});
  const double fixed = Objective<Transformer<double>>(s.model, {10, 1}).value(s.theta.data(), s.data, precision);
  CHECK_NEAR(s.loss({16, 5}, Balance::balanced, /*group=*/16), fixed, 1e-12, 0);
}

TEST_CASE("shared_steps: a raw step is that of the larger of weights and inputs") {
  for (const double factor : {20.0, 0.01}) {
    Setting s;
    s.scale_inputs(factor);
    const double larger = std::max(s.largest_input(), s.largest_weight()), step = larger / 7;
    Matrix<double> expected = view(s.theta.data(), s.model.layout().at("layers.0.wk"));
    expected = (expected / step).unaryExpr([](double v) { return std::nearbyint(v); }) * step;
    CHECK((s.rounded("layers.0.wk", 4, Balance::raw, 16) - expected).cwiseAbs().maxCoeff() < 1e-12);
    CHECK(expected.isZero(0) == (factor > 1));
  }
}

TEST_CASE("shared_steps: all weights that read an input count for its step") {
  for (const char* name : {"layers.0.wq", "layers.0.wk", "layers.0.wv"}) {
    Setting s;
    const ParamBlock& block = s.model.layout().at(name);
    s.theta[block.offset] = 100;
    Matrix<double> expected = view(s.theta.data(), s.model.layout().at("layers.0.wk"));
    expected = (expected / (100.0 / 127)).unaryExpr([](double v) { return std::nearbyint(v); }) * (100.0 / 127);
    CHECK((s.rounded("layers.0.wk", 8, Balance::balanced, 16) - expected).cwiseAbs().maxCoeff() < 1e-12);
  }
}

TEST_CASE("shared_steps: one range for both makes raw and balanced steps equal; two make them differ") {
  Setting s;
  s.scale_inputs(s.largest_weight() / s.largest_input());
  const Matrix<double> raw = s.rounded("layers.0.wq", 4, Balance::raw, 16);
  CHECK((raw - s.rounded("layers.0.wq", 4, Balance::balanced, 16)).cwiseAbs().maxCoeff() < 1e-12);
  s.scale_inputs(3);
  CHECK((s.rounded("layers.0.wq", 4, Balance::raw, 16) - raw).cwiseAbs().maxCoeff() > 0.01);
}

TEST_CASE("shared_steps: weights and inputs keep their grids when both are quantized, at bits of their own") {
  const Setting s;
  const auto w = s.steps(4).weights(3, Balance::raw);
  Setting of_weights = s;
  of_weights.theta = Eigen::Map<const Vector<double>>(w.data(), Index(w.size()));
  Objective<Transformer<double>> objective(s.model, {10, 1});
  CHECK(s.loss({3, 16}, Balance::raw) == objective.value(w.data(), s.data));
  // Grids of weights that are on their grid already stay, but inputs have ranges of their own there.
  const double inputs = s.loss({16, 6}, Balance::raw), both = s.loss({3, 6}, Balance::raw);
  CHECK(inputs != both);
  CHECK(both != s.loss({3, 16}, Balance::raw));
  CHECK(std::abs(s.loss({15, 15}, Balance::raw) - s.loss({}, Balance::raw)) < 1e-3);
}

TEST_CASE("shared_steps: experts, empty groups and impossible bits are refused with the value and the fix") {
  const Setting s;
  const auto said = [](auto&& call) { return message_of<OptionError>(call); };
  CHECK(said([&] { s.steps(0); }).find("group = 0; use at least 1") != std::string::npos);
  CHECK(said([&] { s.loss({1, 16}, Balance::raw); }).find("weight bits = 1; use 2 to 15") != std::string::npos);
  CHECK(said([&] { s.loss({16, 17}, Balance::raw); }).find("activation bits = 17") != std::string::npos);
  TransformerOptions routed = tiny_llama();
  routed.experts = 2;
  const Transformer<double> model(routed);
  const Vector<double> theta = random_parameters(model.layout(), 1);
  CHECK(said([&] { SharedSteps<double>(model, theta.data(), s.data, 4, {}); }).find("experts = 2") !=
        std::string::npos);
}

}  // namespace
}  // namespace hone::test
