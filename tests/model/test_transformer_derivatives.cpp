// Every pass of the transformer against dual numbers. The only file that compiles
// Transformer<Dual>.
#include "sim/model/transformer.hpp"
#include "tests/support/model_harness.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

void check_transformer(const TransformerOptions& options, std::uint32_t number) {
  CAPTURE(number);
  const auto hessian = [](const TransformerActs<double>& acts, const Vector<double>& tz) {
    return xent_hessian(acts, tz);
  };
  check_model<Transformer>(options, random_tokens(options, 3, number), random_parameters(options.layout(), number),
                           hessian);
}

TEST_SUITE_BEGIN("model");

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [Llama-style, "
    "both ropes]") {
  TransformerOptions options = tiny_llama();
  check_transformer(options, 1);
  options.position = Positions::rope_interleaved;
  check_transformer(options, 2);
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [kv heads 1 and 2 "
    "of 4]") {
  TransformerOptions options = tiny_llama();
  for (Index kv_heads : {1, 2}) {
    options.kv_heads = kv_heads;
    check_transformer(options, 10 + std::uint32_t(kv_heads));
  }
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [tied head, "
    "biases]") {
  TransformerOptions options = tiny_llama();
  options.head = Head::tied;
  check_transformer(options, 20);
  options.bias = true;
  check_transformer(options, 21);
}

TEST_CASE("transformer: gradient, Hessian and Gauss-Newton products are those of duals [GPT-2-style]") {
  TransformerOptions options = gpt2_style(tiny_llama());
  check_transformer(options, 30);
  options.head = Head::untied;
  options.heads = options.kv_heads = 1;
  check_transformer(options, 31);
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [context above "
    "one block]") {
  TransformerOptions options = tiny_llama();
  options.positions = attention_block + 3;
  options.kv_heads = 2;
  check_transformer(options, 40);
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [one position, "
    "one layer]") {
  TransformerOptions options = tiny_llama();
  options.positions = 1;
  options.layers = 1;
  check_transformer(options, 50);
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [heads wider and "
    "narrower than width/heads, biases in attention only and in the MLP only]") {
  TransformerOptions options = tiny_llama();
  options.kv_heads = 2;
  options.head_channels = 6;
  options.attention_bias = true;
  check_transformer(options, 60);
  options = gpt2_style(tiny_llama());
  options.head_channels = 3;
  options.attention_bias = false;
  check_transformer(options, 61);
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [parallel "
    "residuals, partial rotation, exact GELU]") {
  TransformerOptions options = gpt2_style(tiny_llama());
  options.residual = Residual::parallel;
  options.position = Positions::rope_half;
  options.heads = options.kv_heads = 2;
  options.rotary_width = 4;
  options.mlp = MlpKind::gelu_erf;
  check_transformer(options, 70);
  options = tiny_llama();
  options.residual = Residual::parallel;
  options.position = Positions::rope_interleaved;
  options.rotary_width = 2;
  check_transformer(options, 71);
}

TEST_CASE("transformer: gradient, Hessian and Gauss-Newton products are those of duals [norms before wo and w_down]") {
  TransformerOptions options = tiny_llama();
  options.sub_norms = true;
  check_transformer(options, 90);
  options.residual = Residual::parallel;
  options.kv_heads = 2;
  options.head_channels = 6;
  options.mlp = MlpKind::gelu;
  options.bias = true;
  check_transformer(options, 91);
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [online rotations, each and all, head "
    "bias]") {
  TransformerOptions llama = tiny_llama();
  llama.kv_heads = 2;
  llama.layers = 1;
  std::uint32_t number = 80;
  for (bool OnlineRotations::*site : {&OnlineRotations::heads, &OnlineRotations::mlp, &OnlineRotations::qk}) {
    llama.rotations = {};
    llama.rotations.*site = true;
    check_transformer(llama, number++);
  }
  TransformerOptions gpt2 = gpt2_style(tiny_llama());
  gpt2.rotations = {.heads = true, .mlp = true, .qk = true};
  gpt2.head = Head::untied;
  gpt2.head_bias = true;
  check_transformer(gpt2, number);
}

TEST_CASE(
    "transformer: gradient, Hessian and Gauss-Newton products are those of duals [experts: Switch, top 2 of both "
    "gates, "
    "all, biases, parallel, rotated]") {
  TransformerOptions options = tiny_llama();
  options.experts = 3;
  check_transformer(options, 90);
  options.experts_per_token = 2;
  options.bias = true;
  check_transformer(options, 91);
  options.gates = Gates::renormalized;
  check_transformer(options, 92);
  options.residual = Residual::parallel;
  options.rotations.mlp = true;
  options.experts_per_token = 3;
  check_transformer(options, 93);
}

TEST_CASE("transformer: the training gradient is that of cross-entropy and load balance, the others are of neither") {
  TransformerOptions options = tiny_llama();
  options.experts = 4;
  options.experts_per_token = 2;
  options.load_balance = 0.7;
  const TokenBatch data = random_tokens(options, 3, 5);
  const Vector<double> theta = random_parameters(options.layout(), 6);
  const Transformer<double> model(options);
  const Transformer<Dual> duals(options);
  auto x = model.make_acts(3), dx = model.make_acts(3);
  auto dual_x = duals.make_acts(3);
  model.forward(theta.data(), data, 0, x, {});
  Vector<double> plain = Vector<double>::Zero(theta.size()), training = plain;
  model.backward(theta.data(), x, dx, 1.0, plain.data());
  model.training_backward(theta.data(), x, dx, 1.0, training.data());
  for (std::uint32_t draw = 0; draw < 3; ++draw) {
    const Vector<double> v = normals(theta.size(), 300 + draw);
    duals.forward(dual_of(theta, v).data(), data, 0, dual_x, {});
    const double slope = duals.load_balance_loss(dual_x).tangent;
    CHECK(std::abs(slope) > 1e-3);
    CHECK_NEAR((training - plain).dot(v), slope, 0.0, 1e-12 * training.norm() * v.norm());
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
