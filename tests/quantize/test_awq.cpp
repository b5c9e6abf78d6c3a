// AWQ: the search never loses to rounding to nearest, folding keeps the function, and the whole walk through a model.
#include "sim/quantize/awq.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/quantize/awq_model.hpp"
#include "sim/quantize/gptq.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

/// Inputs of which some channels are much stronger than others.
struct Inputs {
  explicit Inputs(Index cols, std::uint32_t number) : mean_abs(size_t(cols), 0.0) {
    const Vector<double> values = normals(200 * cols, number);
    Matrix<double> x = ConstMatView<double>(values.data(), 200, cols);
    for (Index c = 0; c < cols; c += 7) x.col(c) *= 20;
    gram = x.transpose() * x / 100;
    for (Index c = 0; c < cols; ++c) mean_abs[size_t(c)] = x.col(c).cwiseAbs().mean();
  }
  Matrix<double> gram;
  std::vector<double> mean_abs;
};

std::vector<Quantizer> quantizers() {
  return {{.bits = 3},
          {.bits = 4, .grid = Grid::asymmetric},
          {.bits = 4, .granularity = Granularity::tensor},
          {.bits = 3, .grid = Grid::asymmetric, .granularity = Granularity::group, .group = 13}};
}

double rtn_error(const Matrix<double>& w, const Matrix<double>& gram, const Quantizer& q) {
  Matrix<double> d = w;
  fake_quantize<double>(d, q, w.rows());
  return gram_error(d - w, gram);
}

TEST_CASE("awq: the best scales are never worse than rounding to nearest, which exponent 0 is exactly") {
  for (std::uint32_t seed = 0; seed < 5; ++seed)
    for (const Quantizer& q : quantizers()) {
      const Inputs in(40, 10 * seed);
      const std::vector<Matrix<double>> weights{gaussian(16, 40, 10 * seed + 1), gaussian(24, 40, 10 * seed + 2)};
      const AwqScales found = awq_scales(weights, in.gram, in.mean_abs, q);
      CHECK(found.rtn_error == rtn_error(weights[0], in.gram, q) + rtn_error(weights[1], in.gram, q));
      CHECK(found.error <= found.rtn_error);
      CHECK(found.exponent > 0);  // strong channels are worth a scale
      double error = 0;
      const Vector<double> s = ConstVecView<double>(found.scales.data(), 40);
      for (const Matrix<double>& w : weights) {
        Matrix<double> scaled = w * s.asDiagonal();
        fake_quantize<double>(scaled, q, w.rows());
        error += gram_error(scaled * s.cwiseInverse().asDiagonal() - w, in.gram);
      }
      CHECK_NEAR(error, found.error, 1e-12, 0);
      CHECK_NEAR(s.maxCoeff() * s.minCoeff(), 1, 1e-12, 0);
    }
}

TEST_CASE("awq: channels of equal strength get no scales") {
  const AwqScales found =
      awq_scales({gaussian(16, 40, 60)}, Matrix<double>::Identity(40, 40), std::vector<double>(40, 0.7), {.bits = 3});
  CHECK(found.exponent == 0);
  for (const double s : found.scales) CHECK(s == 1);
}

TEST_CASE("awq: dead channels keep positive finite scales") {
  Inputs in(40, 61);
  in.mean_abs[3] = 0;
  in.gram.row(3).setZero(), in.gram.col(3).setZero();
  for (const double s : awq_scales({gaussian(16, 40, 62)}, in.gram, in.mean_abs, {.bits = 3}).scales)
    CHECK((s > 0 && std::isfinite(s)));
}

TEST_CASE("awq: clipping never loses to no clipping, and clips to the shares it reports") {
  for (const Quantizer& q : quantizers()) {
    const Inputs in(40, 70);
    const Matrix<double> w = gaussian(16, 40, 71);
    const AwqClip found = awq_clip(w, in.gram, q);
    CHECK(found.error <= found.rtn_error);
    if (q.granularity != Granularity::group) CHECK_NEAR(found.rtn_error, rtn_error(w, in.gram, q), 1e-12, 0);
    size_t group = 0;
    for_each_group(q, 16, 40, 16, [&](const StepGroup& g) {
      const auto before = w.block(g.row, g.col, g.rows, g.cols),
                 after = found.clipped.block(g.row, g.col, g.rows, g.cols);
      const double share = found.shares.at(group++), limit = share * before.cwiseAbs().maxCoeff();
      CHECK((share >= 0.55 - 1e-12 && share <= 1));
      CHECK(Matrix<double>(before.cwiseMin(limit).cwiseMax(-limit)) == Matrix<double>(after));
    });
    CHECK(group == found.shares.size());
    const bool clipped = std::any_of(found.shares.begin(), found.shares.end(), [](double share) { return share < 1; });
    if (q.granularity != Granularity::tensor) CHECK(clipped);
  }
}

std::vector<TransformerOptions> kinds() {
  TransformerOptions grouped = tiny_llama(), parallel = tiny_llama(), biased = tiny_llama();
  grouped.kv_heads = 2;
  parallel.residual = Residual::parallel;
  biased.norm = Norm::layer, biased.bias = true;
  return {tiny_llama(), grouped, parallel, biased, gpt2_style(tiny_llama())};
}

Matrix<double> logits_of(const Transformer<double>& model, const double* theta, const TokenBatch& data) {
  auto x = model.make_acts(data.sequences);
  model.forward(theta, data, 0, x, {});
  return x.logits.view();
}

TEST_CASE("awq: folding scales into what comes before an input keeps the logits to 1e-10") {
  for (const TransformerOptions& options : kinds()) {
    const Transformer<double> model(options);
    const TokenBatch data = random_tokens(options, 6, 80);
    const Vector<double> theta = random_parameters(model.layout(), 81);
    const Matrix<double> before = logits_of(model, theta.data(), data);
    for (const LinearInput input : linear_inputs) {
      Vector<double> folded = theta;
      const Index channels = model.layout().at(blocks_reading(options, 1, input)[0]).cols;
      std::vector<double> scales;
      for (Index c = 0; c < channels; ++c) scales.push_back(std::exp(normal({3, Domain::test, 82}, std::uint64_t(c))));
      if (!can_fold_input_scale(options, input)) {
        CHECK_THROWS_AS(fold_input_scale(options, 1, input, scales, folded.data()), ContractError);
        continue;
      }
      fold_input_scale(options, 1, input, scales, folded.data());
      CHECK((folded - theta).norm() > 0.1);
      CHECK(relative_error(logits_of(model, folded.data(), data), before) <= 1e-10);
    }
  }
}

TEST_CASE("awq: values shared by heads and hidden layers without gate have nothing to fold into") {
  TransformerOptions grouped = tiny_llama();
  grouped.kv_heads = 2;
  CHECK_FALSE(can_fold_input_scale(grouped, LinearInput::attention_output));
  CHECK(can_fold_input_scale(tiny_llama(), LinearInput::attention_output));
  CHECK_FALSE(can_fold_input_scale(gpt2_style(tiny_llama()), LinearInput::mlp_output));
  CHECK(can_fold_input_scale(tiny_llama(), LinearInput::mlp_output));
}

TEST_CASE("awq: a model keeps its function before rounding, and each input's error is at most rounding's") {
  for (const TransformerOptions& options : kinds()) {
    const Transformer<double> model(options);
    const TokenBatch data = random_tokens(options, 30, 83);
    const Vector<double> theta = random_parameters(model.layout(), 84);
    AwqModelOptions how{.quantizer = {.bits = 3}};
    how.chunks = {10, 1};
    const AwqModel<double> result = awq_model(model, theta.data(), data, how);
    CHECK(relative_error(logits_of(model, result.folded.data(), data), logits_of(model, theta.data(), data)) <= 1e-10);
    for (const AwqSiteReport& site : result.sites) CHECK(site.error <= site.rtn_error);
    CHECK(result.sites.size() ==
          2 * size_t(std::count_if(std::begin(linear_inputs), std::end(linear_inputs),
                                   [&](LinearInput i) { return can_fold_input_scale(options, i); })));
    const auto plain =
        quantize_weights(static_cast<const double*>(result.folded.data()), model.layout(), how.quantizer);
    for (const char* untouched : {"layers.0.wq", "layers.1.wk"}) {
      const ParamBlock& block = model.layout().at(untouched);
      CHECK(Matrix<double>(view(static_cast<const double*>(result.weights.theta.data()), block)) ==
            Matrix<double>(view(static_cast<const double*>(plain.theta.data()), block)));
    }
    CHECK(result.weights.theta != plain.theta);
    how.clip = false;
    CHECK(awq_model(model, theta.data(), data, how).weights.theta == plain.theta);
    how.clip = true, how.chunks.threads = 3;
    CHECK(awq_model(model, theta.data(), data, how).weights.theta == result.weights.theta);
    how.quantizer.bits = 16;
    CHECK_THROWS_AS(awq_model(model, theta.data(), data, how), OptionError);
  }
}

}  // namespace
}  // namespace hone::test
