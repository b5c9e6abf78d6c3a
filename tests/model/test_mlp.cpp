// What the perceptron promises besides its derivatives: its formula, quantized inputs, messages.
#include "sim/model/mlp.hpp"

#include "sim/base/error.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

TEST_SUITE_BEGIN("model");

TEST_CASE("mlp: outputs and mean losses are those of loops [two layers, both losses]") {
  for (MlpLoss loss : {MlpLoss::softmax_xent, MlpLoss::squared_error}) {
    const MlpOptions options{.widths = {5, 7, 3}, .activation = Activation::silu, .loss = loss};
    const Mlp<double> model(options);
    const VectorBatch data = random_vectors(6, 5, 3, 1);
    const Vector<double> theta = random_parameters(model.layout(), 2);
    ModelPasses<Mlp<double>> passes(model, data);
    const double mean = passes.loss(theta);
    const auto at = [&](const char* name) { return theta.data() + model.layout().at(name).offset; };
    Matrix<double> hidden = naive::linear(data.x.data(), at("W1"), at("b1"), 6, 5, 7);
    for (double& h : hidden.reshaped()) h = naive::silu(h);
    const Matrix<double> z = naive::linear(hidden.data(), at("W2"), at("b2"), 6, 7, 3);
    CHECK(relative_error(Matrix<double>(passes.acts().logits.view()), z) <= 1e-13);
    const double squares = (z - ConstMatView<double>(data.y.data(), 6, 3)).squaredNorm() / 18;
    const double xent = naive::softmax_xent(z.data(), data.labels.data(), 6, 3).mean();
    CHECK_NEAR(mean, loss == MlpLoss::squared_error ? squares : xent, 1e-13, 0.0);
  }
}

TEST_CASE("mlp: 16-bit activations have the bits of full precision, 4-bit ones do not") {
  const Mlp<double> model({.widths = {5, 7, 3}});
  const VectorBatch data = random_vectors(6, 5, 3, 3);
  const Vector<double> theta = random_parameters(model.layout(), 4);
  ModelPasses<Mlp<double>> passes(model, data);
  const double full = passes.loss(theta);
  Precision precision;
  CHECK(passes.loss(theta, precision) == full);
  precision.activation.bits = 4;
  CHECK(passes.loss(theta, precision) != full);
}

TEST_CASE("mlp: wrong widths -> OptionError naming each of them") {
  CHECK_THROWS_AS(MlpOptions{}.validate(), OptionError);
  CHECK_THROWS_WITH_AS((MlpOptions{.widths = {4, 0, 1}}.validate()),
                       "model: widths[1] = 0 (expected at least 1); last width = 1 (softmax needs "
                       "at least 2 classes)",
                       OptionError);
}

TEST_CASE("mlp: data that do not fit the model -> OptionError with both numbers") {
  const Mlp<double> classifier({.widths = {4, 3}});
  VectorBatch data = random_vectors(2, 4, 3, 5);
  classifier.check(data);
  data.labels[1] = 3;
  CHECK_THROWS_WITH_AS(classifier.check(data), "data holds class 3, the model's last width is 3; widen it",
                       OptionError);
  data.labels.clear();
  CHECK_THROWS_AS(classifier.check(data), OptionError);
  data.inputs = 5;
  CHECK_THROWS_WITH_AS(classifier.check(data),
                       "data has 5 inputs per example, the model's first width is 4; set both alike", OptionError);
  const Mlp<double> regressor({.widths = {4, 2}, .loss = MlpLoss::squared_error});
  data = random_vectors(2, 4, 3, 6);
  CHECK_THROWS_AS(regressor.check(data), OptionError);
  data.y.clear();
  CHECK_THROWS_AS(regressor.check(data), OptionError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
