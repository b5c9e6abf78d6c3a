// Calibration: the collected inputs against activations of the plain forward pass, and GPTQ of a whole model against
// GPTQ by hand on the quantized prefix.
#include "sim/quantize/calibration.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "sim/quantize/gptq_model.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

struct Setting {
  explicit Setting(const TransformerOptions& options, Index sequences = 37)
      : model(options), data(random_tokens(options, sequences, 3)), theta(random_parameters(model.layout(), 4)) {}
  Transformer<double> model;
  TokenBatch data;
  Vector<double> theta;
};

std::vector<TransformerOptions> kinds() {
  TransformerOptions grouped = tiny_llama(), parallel = tiny_llama(), gpt2 = gpt2_style(tiny_llama());
  grouped.kv_heads = 2;
  parallel.residual = Residual::parallel;
  TransformerOptions bitnet = tiny_llama();
  bitnet.sub_norms = true;
  return {tiny_llama(), grouped, parallel, gpt2, bitnet};
}

/// The inputs of all linears of one layer from a single whole forward pass.
std::vector<Matrix<double>> inputs_of_layer(const Setting& s, const double* theta, int layer,
                                            const Precision& precision) {
  auto x = s.model.make_acts(s.data.sequences);
  s.model.forward(theta, s.data, 0, x, precision);
  const auto& a = x.layers[size_t(layer)];
  return {a.norm1.view(), a.wo_input().view(), a.norm2.view(), a.down_input().view()};
}

TEST_CASE("calibration: grams, means and maxima are those of the forward pass, for every architecture and precision") {
  for (const TransformerOptions& options : kinds())
    for (const int bits : {16, 4}) {
      const Setting s(options);
      const Precision precision{.activation = {.bits = bits}, .value = {.bits = bits}};
      const auto found = input_statistics(s.model, s.theta.data(), s.data, precision, {15, 1});
      REQUIRE(found.size() == 8);
      for (size_t i = 0; i < found.size(); ++i) {
        CAPTURE(found[i].name);
        const auto x = inputs_of_layer(s, s.theta.data(), found[i].layer, precision)[i % 4];
        CHECK(found[i].tokens == x.rows());
        CHECK(relative_error(found[i].gram, Matrix<double>(2 / double(x.rows()) * x.transpose() * x)) <= 1e-12);
        CHECK(found[i].gram == found[i].gram.transpose());
        for (Index c = 0; c < x.cols(); ++c) {
          CHECK_NEAR(found[i].mean_abs[size_t(c)], x.col(c).cwiseAbs().mean(), 1e-12, 0);
          CHECK_NEAR(found[i].max_abs[size_t(c)], x.col(c).cwiseAbs().maxCoeff(), 1e-12, 0);
        }
      }
    }
}

TEST_CASE("calibration: every quantizable block reads exactly one input, of its own width") {
  for (const TransformerOptions& options : kinds()) {
    const Setting s(options, 3);
    Index weights = 0;
    for (const InputStatistics& site : input_statistics(s.model, s.theta.data(), s.data, {}, {}))
      for (const std::string& name : site.blocks) {
        CHECK(s.model.layout().at(name).cols == site.gram.rows());
        weights += s.model.layout().at(name).size();
      }
    CHECK(weights == s.model.layout().quantizable_size());
  }
}

TEST_CASE("calibration: threads change no bit") {
  const Setting s(tiny_llama(), 90);
  const auto one = input_statistics(s.model, s.theta.data(), s.data, {}, {10, 1});
  const auto three = input_statistics(s.model, s.theta.data(), s.data, {}, {10, 3});
  for (size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].gram == three[i].gram);
    CHECK(one[i].mean_abs == three[i].mean_abs);
    CHECK(one[i].max_abs == three[i].max_abs);
  }
}

TEST_CASE("calibration: float products give the grams of double to their precision") {
  const Setting s(tiny_llama());
  const Transformer<float> model(tiny_llama());
  const AlignedVector<float> theta(s.theta.begin(), s.theta.end());
  const auto exact = input_statistics(s.model, s.theta.data(), s.data, {}, {});
  const auto single = input_statistics(model, theta.data(), s.data, {}, {});
  for (size_t i = 0; i < exact.size(); ++i) CHECK(relative_error(single[i].gram, exact[i].gram) <= 1e-5);
}

TEST_CASE("calibration: data that does not fit the model is refused") {
  const Setting s(tiny_llama());
  TokenBatch wrong = s.data;
  wrong.tokens[7] = 500;
  CHECK_THROWS_AS(input_statistics(s.model, s.theta.data(), wrong, {}, {}), OptionError);
}

TEST_CASE("calibration: windows come from the training text, differ by seed and are refused when it is too short") {
  TokenStream stream;
  for (int i = 0; i < 5000; ++i) stream.train.push_back(std::uint16_t(i));
  stream.validation.assign(5000, 60000);
  const TokenBatch a = calibration_windows(stream, 16, 20, 1), b = calibration_windows(stream, 16, 20, 2);
  CHECK(a.tokens == calibration_windows(stream, 16, 20, 1).tokens);
  CHECK(a.tokens != b.tokens);
  REQUIRE(a.tokens.size() == 20 * 17);
  std::vector<int> seen(5000, 0);
  for (size_t i = 0; i < a.tokens.size(); ++i) {
    REQUIRE(a.tokens[i] < 5000);
    CHECK(++seen[a.tokens[i]] == 1);
    if (i % 17 > 0) CHECK(a.tokens[i] == a.tokens[i - 1] + 1);
  }
  CHECK_THROWS_AS(calibration_windows(stream, 16, 1000, 1), OptionError);
}

TEST_CASE("gptq_model: each block is GPTQ of it on the inputs that the quantized prefix gives") {
  for (const TransformerOptions& options : kinds()) {
    const Setting s(options);
    GptqModelOptions how{.gptq = {.quantizer = {.bits = 3}}};
    how.precision.activation.bits = 8;
    const GptqModel<double> result = gptq_model(s.model, s.theta.data(), s.data, how);
    Vector<double> theta = s.theta;
    size_t number = 0;
    for (int layer = 0; layer < 2; ++layer)
      for (int i = 0; i < 4; ++i) {
        const Matrix<double> x = inputs_of_layer(s, theta.data(), layer, how.precision)[size_t(i)];
        const Matrix<double> h = 2 / double(x.rows()) * x.transpose() * x;
        for (const std::string& name : blocks_reading(options, layer, linear_inputs[i])) {
          const ParamBlock& block = s.model.layout().at(name);
          const GptqResult alone = gptq(view(s.theta.data(), block), h, how.gptq);
          view(theta.data(), block) = alone.q;
          const GptqBlockReport& report = result.blocks.at(number++);
          CAPTURE(name);
          CHECK(report.weights.name == name);
          CHECK_NEAR(report.loss, alone.loss, 1e-9, 0);
          CHECK(report.tokens == x.rows());
          CHECK_NEAR(report.weights.mse, (alone.q - view(s.theta.data(), block)).squaredNorm() / double(block.size()),
                     1e-9, 0);
          CHECK(report.weights.bits_per_weight == bits_per_weight(how.gptq.quantizer, block.rows, block.cols));
        }
      }
    CHECK(number == result.blocks.size());
    const ConstVecView<double> found(result.theta.data(), theta.size());
    CHECK((found - theta).cwiseAbs().maxCoeff() <= 1e-12);
  }
}

TEST_CASE("gptq_model: threads change no bit, and rounding without feedback reports as quantize_weights does") {
  const Setting s(tiny_llama(), 60);
  GptqModelOptions how{.gptq = {.quantizer = {.bits = 3, .granularity = Granularity::group, .group = 5}}};
  how.chunks = {10, 1};
  const auto one = gptq_model(s.model, s.theta.data(), s.data, how);
  how.chunks.threads = 3;
  CHECK(one.theta == gptq_model(s.model, s.theta.data(), s.data, how).theta);
  how.gptq = {.quantizer = {.bits = 3}, .damping = 1e12};
  const auto rounded = gptq_model(s.model, s.theta.data(), s.data, how);
  const auto nearest = quantize_weights(s.theta.data(), s.model.layout(), how.gptq.quantizer);
  CHECK(rounded.theta == nearest.theta);
  CHECK_NEAR(rounded.bits_per_weight, nearest.bits_per_weight, 1e-15, 0);
  for (const GptqBlockReport& report : rounded.blocks)
    for (const BlockReport& plain : nearest.blocks)
      if (plain.name == report.weights.name) {
        CHECK_NEAR(report.weights.mse, plain.mse, 1e-12, 0);
        CHECK_NEAR(report.weights.mean_step2, plain.mean_step2, 1e-12, 0);
        CHECK_NEAR(report.weights.sqnr_db, plain.sqnr_db, 1e-12, 0);
        CHECK(report.weights.clip_fraction == plain.clip_fraction);
      }
}

}  // namespace
}  // namespace hone::test
