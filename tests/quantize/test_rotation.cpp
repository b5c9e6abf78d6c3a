// Foldings and rotations: the function stays, the coordinates do not.
#include "sim/quantize/rotation.hpp"

#include <numeric>

#include "sim/base/error.hpp"
#include "sim/curvature/dense.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/formats/quantizer.hpp"
#include "sim/quantize/weights.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

struct Family {
  std::string name;
  TransformerOptions options;
};

TransformerOptions neox_style() {
  TransformerOptions options = gpt2_style(tiny_llama());
  options.residual = Residual::parallel;
  options.position = Positions::rope_half;
  options.rotary_width = 2;
  options.mlp = MlpKind::gelu_erf;
  options.head = Head::untied;
  return options;
}

std::vector<Family> families() {
  TransformerOptions llama = tiny_llama(), wide = tiny_llama();
  llama.kv_heads = 2;
  llama.head = Head::tied;
  wide.kv_heads = 1;
  wide.head_channels = 8;
  wide.attention_bias = true;
  TransformerOptions gpt2_bare = gpt2_style(tiny_llama());
  gpt2_bare.bias = false;
  return {{"Llama, 2 of 4 key/value heads, tied", llama},
          {"Llama, wide heads, attention biases", wide},
          {"GPT-2", gpt2_style(tiny_llama())},
          {"GPT-2 without biases", gpt2_bare},
          {"GPT-NeoX", neox_style()}};
}

/// Logits of three random sequences in the arithmetic of S.
template <class S>
Vector<double> logits(const TransformerOptions& options, const AlignedVector<S>& theta,
                      const Precision& precision = {}) {
  const Transformer<S> model(options);
  auto acts = model.make_acts(3);
  model.forward(theta.data(), random_tokens(options, 3, 5), 0, acts, precision);
  return Eigen::Map<const Vector<S>>(acts.logits.data, acts.logits.size()).template cast<double>();
}

AlignedVector<double> random_theta(const TransformerOptions& options) {
  const Vector<double> theta = random_parameters(options.layout(), 3);
  return {theta.data(), theta.data() + theta.size()};
}

/// Each rotation alone, then all of them, then the offline ones.
std::vector<RotationOptions> rotation_choices() {
  const RotationOptions none{
      .seed = 4, .residual = false, .value_heads = false, .heads = false, .mlp = false, .qk = false};
  std::vector<RotationOptions> choices;
  for (bool RotationOptions::*part : {&RotationOptions::residual, &RotationOptions::value_heads,
                                      &RotationOptions::heads, &RotationOptions::mlp, &RotationOptions::qk}) {
    choices.push_back(none);
    choices.back().*part = true;
  }
  choices.push_back({.seed = 4});
  choices.push_back({.seed = 4, .kind = RotationKind::orthogonal, .heads = false, .mlp = false, .qk = false});
  return choices;
}

Matrix<double> rounded(Matrix<double> m, int bits) {
  fake_quantize<double>(m, Quantizer{.bits = bits}, m.rows());
  return m;
}

/// Eigenvalues of the Hessian over the matrices of the layers.
Vector<double> matrix_spectrum(const Parametrization& point, const TokenBatch& data) {
  const Transformer<double> model(point.options);
  Linearization<Transformer<double>> linearization(model, point.theta.data(), data, {});
  return dense_spectrum(restrict_to(linearization.hessian(), point.options.layout().quantizable_indices()), {}).values;
}

std::string name_of(const RotationOptions& o) {
  return fmt::format("R1 {} R2 {} heads {} R4 {} R3 {}", o.residual, o.value_heads, o.heads, o.mlp, o.qk);
}

TEST_SUITE_BEGIN("quantize");

TEST_CASE("fold_norms: logits are unchanged, gains are 1 and norms have no bias [all families]") {
  for (const Family& family : families()) {
    CAPTURE(family.name);
    const AlignedVector<double> theta = random_theta(family.options);
    const Parametrization folded = fold_norms(family.options, theta.data());
    CHECK(relative_error(logits(folded.options, folded.theta), logits(family.options, theta)) <= 1e-13);
    CHECK(relative_error(logits(folded.options, folded.rounded_to_float()), logits(family.options, theta)) <= 1e-5);
    CHECK(folded.options.norm == Norm::rms);
    CHECK(folded.options.head == Head::untied);
    const ParamLayout layout = folded.options.layout();
    for (const ParamBlock& block : layout.blocks()) {
      if (block.role != Role::norm) continue;
      CHECK_FALSE(block.name.ends_with("bias"));
      CHECK((view(folded.theta.data(), block).array() == 1).all());
    }
  }
}

TEST_CASE("fold_norms: folding twice changes no bit [all families]") {
  for (const Family& family : families()) {
    CAPTURE(family.name);
    const AlignedVector<double> theta = random_theta(family.options);
    const Parametrization once = fold_norms(family.options, theta.data());
    CHECK(fold_norms(once.options, once.theta.data()).theta == once.theta);
  }
}

TEST_CASE("fold_norms: the stream of a folded LayerNorm model has mean 0, that of an RMSNorm model keeps its mean") {
  for (const Family& family : families()) {
    CAPTURE(family.name);
    const AlignedVector<double> theta = random_theta(family.options);
    const Parametrization folded = fold_norms(family.options, theta.data());
    const Transformer<double> model(folded.options);
    auto acts = model.make_acts(3);
    model.forward(folded.theta.data(), random_tokens(folded.options, 3, 5), 0, acts, {});
    const Matrix<double> stream = acts.layers.back().in.view();
    const double mean = stream.rowwise().mean().cwiseAbs().maxCoeff();
    if (family.options.norm == Norm::layer)
      CHECK(mean <= 1e-14 * stream.norm());
    else
      CHECK(mean >= 0.01);
  }
}

TEST_CASE("fold_norms: a LayerNorm bias in front of a gate -> OptionError; without that bias it folds") {
  TransformerOptions options = tiny_llama();
  options.norm = Norm::layer;
  AlignedVector<double> theta = random_theta(options);
  CHECK_THROWS_WITH_AS(
      fold_norms(options, theta.data()),
      "layers.0.w_gate has no bias that could take layers.0.mlp_norm.bias; set that bias to 0, or take "
      "a model whose mlp is not swiglu",
      OptionError);
  for (const char* name : {"layers.0.mlp_norm.bias", "layers.1.mlp_norm.bias"})
    view(theta.data(), options.layout().at(name)).setZero();
  const Parametrization folded = fold_norms(options, theta.data());
  CHECK(relative_error(logits(folded.options, folded.theta), logits(options, theta)) <= 1e-13);
}

TEST_CASE("rotate: logits are unchanged in double and float [all families, each rotation alone and all together]") {
  for (const Family& family : families()) {
    CAPTURE(family.name);
    const AlignedVector<double> theta = random_theta(family.options);
    const Vector<double> want = logits(family.options, theta);
    for (const RotationOptions& choice : rotation_choices()) {
      CAPTURE(name_of(choice));
      const Parametrization rotated = rotate(family.options, theta.data(), choice);
      CHECK(relative_error(logits(rotated.options, rotated.theta), want) <= 1e-13);
      CHECK(relative_error(logits(rotated.options, rotated.rounded_to_float()), want) <= 1e-5);
    }
  }
}

TEST_CASE("rotate: every rotation is in use: with W4 A4 KV4 each gives other logits than the plain model") {
  Precision low;
  low.activation.bits = low.key.bits = low.value.bits = 4;
  for (const Family& family : families()) {
    CAPTURE(family.name);
    const AlignedVector<double> theta = random_theta(family.options);
    const Vector<double> plain = logits(family.options, theta, low);
    for (const RotationOptions& choice : rotation_choices()) {
      CAPTURE(name_of(choice));
      const Parametrization rotated = rotate(family.options, theta.data(), choice);
      CHECK(relative_error(logits(rotated.options, rotated.theta, low), plain) >= 1e-3);
    }
  }
}

TEST_CASE("rotate: the online half belongs to the weights: without it the function is another one") {
  const TransformerOptions options = tiny_llama();
  const AlignedVector<double> theta = random_theta(options);
  const Parametrization rotated = rotate(options, theta.data(), {.residual = false});
  CHECK(name_of(rotated.options.rotations) == "heads+mlp+qk");
  for (bool OnlineRotations::*site : {&OnlineRotations::heads, &OnlineRotations::mlp}) {
    TransformerOptions without = rotated.options;
    without.rotations.*site = false;
    CHECK(relative_error(logits(without, rotated.theta), logits(options, theta)) >= 0.01);
  }
}

TEST_CASE("rotate: weight norms stay, the seed decides Q, and queries and keys need no change of weights") {
  const TransformerOptions options = tiny_llama();
  const AlignedVector<double> theta = random_theta(options);
  const Parametrization folded = fold_norms(options, theta.data());
  const auto norm_of = [&](const Parametrization& p, const char* name) {
    return view(p.theta.data(), p.options.layout().at(name)).norm();
  };
  for (RotationKind kind : {RotationKind::hadamard_random_sign, RotationKind::orthogonal}) {
    const Parametrization a = rotate(options, theta.data(), {.seed = 1, .kind = kind});
    CHECK(a.theta == rotate(options, theta.data(), {.seed = 1, .kind = kind}).theta);
    CHECK(a.theta != rotate(options, theta.data(), {.seed = 2, .kind = kind}).theta);
    for (const char* name : {"tok_emb.weight", "layers.0.wq", "layers.1.wo", "layers.1.w_down", "head.weight"}) {
      CHECK_NEAR(norm_of(a, name), norm_of(folded, name), 1e-13, 0);
      CHECK(view(a.theta.data(), a.options.layout().at(name)) !=
            view(folded.theta.data(), folded.options.layout().at(name)));
    }
  }
  const RotationOptions keys{.residual = false, .value_heads = false, .heads = false, .mlp = false};
  CHECK(rotate(options, theta.data(), keys).theta == theta);
}

TEST_CASE(
    "rotate: sizes without Hadamard matrix -> OptionError naming the nearest; a random orthogonal Q takes any width") {
  TransformerOptions options = gpt2_style(tiny_llama());
  options.width = 18;
  options.heads = options.kv_heads = 3;
  options.mlp_width = 22;
  const AlignedVector<double> theta = random_theta(options);
  const RotationOptions offline{.value_heads = false, .heads = false, .mlp = false, .qk = false};
  CHECK_THROWS_WITH_AS(rotate(options, theta.data(), offline),
                       "no Hadamard matrix of size 18 (nearest sizes: 16 and 20); take one of these sizes or a random "
                       "orthogonal matrix",
                       OptionError);
  RotationOptions orthogonal = offline;
  orthogonal.kind = RotationKind::orthogonal;
  const Parametrization rotated = rotate(options, theta.data(), orthogonal);
  CHECK(relative_error(logits(rotated.options, rotated.theta), logits(options, theta)) <= 1e-13);
  RotationOptions mlp = orthogonal;
  mlp.mlp = true;
  CHECK_THROWS_WITH_AS(rotate(options, theta.data(), mlp),
                       "model: rotations.mlp needs a Hadamard matrix of size mlp_width = 22 (nearest sizes: 20 and 24; "
                       "turn the rotation off)",
                       OptionError);
}

TEST_CASE("rotate: a model that already rotates online -> OptionError") {
  const TransformerOptions options = tiny_llama();
  const AlignedVector<double> theta = random_theta(options);
  const Parametrization once = rotate(options, theta.data(), {});
  CHECK_THROWS_WITH_AS(rotate(once.options, once.theta.data(), {}),
                       "rotate: the model already rotates heads online; rotate the plain model instead", OptionError);
}

TEST_CASE("rotate: the Hessian's spectrum over the matrices stays, the steps of the quantizer do not") {
  TransformerOptions options = tiny_llama();
  options.layers = 1;
  options.width = 8;
  options.heads = 2;
  options.kv_heads = 1;
  options.mlp_width = 8;
  const TokenBatch data = random_tokens(options, 3, 8);
  const AlignedVector<double> theta = random_theta(options);
  const Parametrization folded = fold_norms(options, theta.data());
  const Vector<double> want = matrix_spectrum(folded, data);
  const std::vector<double> steps = step2_per_parameter(folded.theta.data(), folded.options.layout(), {.bits = 4});
  const RotationOptions residual_only{.value_heads = false, .heads = false, .mlp = false, .qk = false};
  for (const RotationOptions& choice : {residual_only, RotationOptions{.seed = 2}}) {
    const Parametrization rotated = rotate(folded.options, folded.theta.data(), choice);
    const Vector<double> got = matrix_spectrum(rotated, data);
    REQUIRE(got.size() == want.size());
    CHECK((got - want).cwiseAbs().maxCoeff() <= 1e-12 * want.cwiseAbs().maxCoeff());
    for (Index i = 0; i < want.size(); ++i)
      if (std::abs(want[i]) > 1e-5 * want.cwiseAbs().maxCoeff()) CHECK_NEAR(got[i], want[i], 1e-8, 0);
    const std::vector<double> turned = step2_per_parameter(rotated.theta.data(), rotated.options.layout(), {.bits = 4});
    const double before = std::accumulate(steps.begin(), steps.end(), 0.0);
    const double after = std::accumulate(turned.begin(), turned.end(), 0.0);
    CHECK(std::abs(after / before - 1) >= 0.01);
  }
}

TEST_CASE("rotation: a sign-randomized Hadamard of 32 gives the stored rows, ranges and errors") {
  const nlohmann::json inputs = load_quant("inputs.json"), stored = load_quant("hadamard_rotation.json");
  const Matrix<double> x = matrix_of(inputs["X"]), w = matrix_of(inputs["W"]);
  const auto signs = stored["random_hadamard32"]["signs"].get<std::vector<double>>();
  const Matrix<double> q =
      Eigen::Map<const Vector<double>>(signs.data(), 32).asDiagonal() * hadamard_signs(32) / std::sqrt(32.0);
  const Matrix<double> xq = x * q, wq = w * q, y = x * w.transpose();
  const nlohmann::json& effect = stored["rotation_effect"];
  const auto row_of = [&](const char* name) {
    const auto values = effect[name].get<std::vector<double>>();
    return Eigen::RowVectorXd(Eigen::Map<const Eigen::RowVectorXd>(values.data(), Index(values.size())));
  };
  CHECK(relative_error(xq.row(0).eval(), row_of("X_row0_rotated")) <= 1e-12);
  CHECK(relative_error(wq.row(0).eval(), row_of("W_row0_rotated")) <= 1e-12);
  CHECK(relative_error((xq * wq.transpose()).eval(), y) <= 1e-14);
  for (const char* bits : {"W3A3", "W4A4", "W8A8"}) {
    CAPTURE(bits);
    const int b = bits[1] - '0';
    const nlohmann::json& want = effect["w_a_quant_mse"][bits];
    const auto mse = [&](const Matrix<double>& a, const Matrix<double>& c) {
      return (rounded(a, b) * rounded(c, b).transpose() - y).squaredNorm() / double(y.size());
    };
    CHECK_NEAR(mse(x, w), want["mse_plain"].get<double>(), 1e-9, 0);
    CHECK_NEAR(mse(xq, wq), want["mse_rotated"].get<double>(), 1e-9, 0);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
