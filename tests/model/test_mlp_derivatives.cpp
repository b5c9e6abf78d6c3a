// Every pass of the perceptron against dual numbers. The only file that compiles Mlp<Dual>.
#include <array>

#include "sim/model/mlp_passes.hpp"
#include "tests/support/model_harness.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

constexpr std::array every_activation = {Activation::tanh,      Activation::relu, Activation::gelu,
                                         Activation::gelu_tanh, Activation::silu, Activation::identity};
constexpr std::array both_losses = {MlpLoss::softmax_xent, MlpLoss::squared_error};

MlpOptions tiny_mlp(std::vector<Index> widths, Activation activation, MlpLoss loss, bool bias) {
  return {.widths = std::move(widths), .activation = activation, .loss = loss, .bias = bias};
}

VectorBatch data_for(const MlpOptions& options, Index examples, std::uint32_t number) {
  return random_vectors(examples, options.widths.front(), options.widths.back(), number);
}

/// Hessian of the mean loss with respect to the outputs.
Vector<double> output_hessian(const MlpOptions& options, const MlpActs<double>& acts, const Vector<double>& tz) {
  if (options.loss == MlpLoss::softmax_xent) return xent_hessian(acts, tz);
  return 2 * tz / double(tz.size());
}

TEST_SUITE_BEGIN("model");

TEST_CASE(
    "mlp: gradient, Hessian and Gauss-Newton products are those of duals [all activations, both "
    "losses]") {
  std::uint32_t number = 0;
  for (Activation activation : every_activation)
    for (MlpLoss loss : both_losses)
      for (bool bias : {false, true}) {
        CAPTURE(int(activation));
        CAPTURE(int(loss));
        CAPTURE(bias);
        number += 10;
        const MlpOptions options = tiny_mlp({5, 7, 4, 3}, activation, loss, bias);
        const auto hessian = [&](const MlpActs<double>& acts, const Vector<double>& tz) {
          return output_hessian(options, acts, tz);
        };
        check_model<Mlp>(options, data_for(options, 6, number), random_parameters(options.layout(), number), hessian);
      }
}

TEST_CASE(
    "mlp: Gauss-Newton equals Hessian when the model is linear in its parameters [one layer, both "
    "losses]") {
  for (MlpLoss loss : both_losses) {
    CAPTURE(int(loss));
    const MlpOptions options = tiny_mlp({5, 3}, Activation::tanh, loss, true);
    const Mlp<double> model(options);
    const VectorBatch data = data_for(options, 8, 3);
    ModelPasses<Mlp<double>> passes(model, data);
    const Vector<double> theta = random_parameters(model.layout(), 4);
    for (std::uint32_t draw = 0; draw < 5; ++draw) {
      const Vector<double> v = normals(theta.size(), 10 + draw);
      CHECK(relative_error(passes.ggn_product(theta, v), passes.hessian_product(theta, v)) <= 1e-13);
    }
  }
}

TEST_CASE("mlp: the Hessian of linear regression is 2X'X/M, whatever the parameters") {
  const MlpOptions options = tiny_mlp({4, 1}, Activation::tanh, MlpLoss::squared_error, false);
  const Mlp<double> model(options);
  const VectorBatch data = data_for(options, 9, 5);
  ModelPasses<Mlp<double>> passes(model, data);
  const ConstMatView<double> x(data.x.data(), 9, 4);
  for (Index column = 0; column < 4; ++column) {
    const Vector<double> e = Vector<double>::Unit(4, column);
    const Vector<double> expected = x.transpose() * x.col(column) * (2.0 / 9);
    CHECK(relative_error(passes.hessian_product(normals(4, std::uint32_t(column)), e), expected) <= 1e-13);
  }
}

TEST_CASE("mlp: Gauss-Newton equals J'LJ column by column, with J from duals [both losses]") {
  for (MlpLoss loss : both_losses) {
    CAPTURE(int(loss));
    const MlpOptions options = tiny_mlp({3, 4, 3}, Activation::gelu, loss, true);
    const Mlp<double> model(options);
    const Mlp<Dual> dual_model(options);
    const VectorBatch data = data_for(options, 5, 6);
    ModelPasses<Mlp<double>> passes(model, data);
    ModelPasses<Mlp<Dual>> duals(dual_model, data);
    const Vector<double> theta = random_parameters(model.layout(), 7);
    const Index size = theta.size();
    Matrix<double> jacobian(15, size), ggn(size, size);
    for (Index i = 0; i < size; ++i) {
      const Vector<double> e = Vector<double>::Unit(size, i);
      jacobian.col(i) = logit_tangents(duals, theta, e);
      ggn.col(i) = passes.ggn_product(theta, e);
    }
    Matrix<double> image(15, size);
    for (Index i = 0; i < size; ++i) image.col(i) = output_hessian(options, passes.acts(), jacobian.col(i));
    CHECK(relative_error(ggn, Matrix<double>(jacobian.transpose() * image)) <= 1e-13);
    CHECK(relative_error(ggn, Matrix<double>(ggn.transpose())) <= 1e-14);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
