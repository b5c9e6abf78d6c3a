// Stored float64 cases of another implementation (PyTorch): logits, loss, gradient, curvature
// products, AdamW.
#include "sim/model/mlp.hpp"
#include "sim/model/objective.hpp"
#include "sim/model/transformer.hpp"
#include "sim/train/optimizer.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

template <class Model>
void check_passes(const Model& model, const typename Model::Data& data, const json& reference) {
  const Vector<double> theta = vector_of(reference["theta"]);
  REQUIRE(theta.size() == model.layout().size());
  ModelPasses<Model> passes(model, data);
  const Vector<double> gradient = passes.gradient(theta);
  CHECK(relative_error(gradient, vector_of(reference["grad"])) <= 1e-11);
  CHECK_NEAR(passes.loss(theta), reference["loss"].get<double>(), 1e-13, 0.0);
  const auto& logits = passes.acts().logits;
  const Vector<double> z = ConstVecView<double>(logits.data, logits.size());
  CHECK(relative_error(z, vector_of(reference["logits"])) <= 1e-12);
  for (size_t i = 0; i < reference["V"].size(); ++i) {
    CAPTURE(i);
    const Vector<double> v = vector_of(reference["V"][i]);
    CHECK(relative_error(passes.hessian_product(theta, v), vector_of(reference["HV"][i])) <= 1e-11);
    CHECK(relative_error(passes.ggn_product(theta, v), vector_of(reference["GV"][i])) <= 1e-11);
  }
}

/// The stored run decays every parameter; ours only matrices. A layout of one matrix makes both
/// rules the same.
template <class Model>
void check_adamw(const Model& model, const typename Model::Data& data, const json& reference) {
  const json& stored = reference["adamw"];
  REQUIRE(stored["all_parameters_decayed"].get<bool>());
  const OptimizerOptions options = {.beta1 = stored["betas"][0],
                                    .beta2 = stored["betas"][1],
                                    .eps = stored["eps"],
                                    .weight_decay = stored["weight_decay"],
                                    .clip_norm = 0};
  ParamLayout layout;
  layout.add("all", -1, Role::matrix, 1, model.layout().size());
  OptimizerState<double> state = make_state<double>(options, layout);
  Objective<Model> objective(model, {});
  Vector<double> theta = vector_of(reference["theta"]), gradient(theta.size());
  for (size_t step = 0; step < 5; ++step) {
    CHECK_NEAR(objective.gradient(theta.data(), data, gradient.data()), stored["losses"][step].get<double>(), 1e-11,
               0.0);
    update(options, layout, stored["lr"], theta.data(), gradient.data(), state);
  }
  CHECK(relative_error(theta, vector_of(reference["adamw5_theta"])) <= 1e-10);
  CHECK_NEAR(objective.value(theta.data(), data), stored["losses"][5].get<double>(), 1e-11, 0.0);
}

TokenBatch tokens_of(const json& reference) {
  TokenBatch batch{reference["batch"], reference["ctx"], {}};
  for (size_t b = 0; b < reference["x"].size(); ++b) {
    for (const json& token : reference["x"][b]) batch.tokens.push_back(token.get<std::uint16_t>());
    batch.tokens.push_back(reference["y"][b].back().get<std::uint16_t>());
  }
  return batch;
}

TransformerOptions llama_options(const json& reference) {
  TransformerOptions options;
  options.vocabulary = reference["vocab"];
  options.positions = reference["ctx"];
  options.layers = reference["layers"];
  options.width = reference["d"];
  options.heads = options.kv_heads = reference["heads"];
  options.mlp_width = reference["hidden"];
  options.norm_eps = reference["rms_eps"];
  options.rope_base = reference["rope_base"];
  return options;
}

VectorBatch vectors_of(const json& reference) {
  const Vector<double> x = vector_of(reference["x"]);
  VectorBatch batch;
  batch.examples = reference["batch"];
  batch.inputs = reference["sizes"].front();
  batch.outputs = reference["sizes"].back();
  batch.x.assign(x.data(), x.data() + x.size());
  batch.labels = reference["y"].get<std::vector<std::int32_t>>();
  return batch;
}

void check_mlp(const std::string& name, Activation activation) {
  const json reference = load_golden("models/" + name + ".json");
  const Mlp<double> model({.widths = reference["sizes"].get<std::vector<Index>>(),
                           .activation = activation,
                           .loss = MlpLoss::softmax_xent,
                           .bias = reference["bias"]});
  const VectorBatch data = vectors_of(reference);
  check_passes(model, data, reference);
  check_adamw(model, data, reference);
}

TEST_SUITE_BEGIN("model");

TEST_CASE(
    "transformer: logits, loss, derivatives and 5 AdamW updates equal PyTorch's [2 layers, width "
    "8]") {
  const json reference = load_golden("models/llama_2_8_2_half.json");
  const Transformer<double> model(llama_options(reference));
  const TokenBatch data = tokens_of(reference);
  check_passes(model, data, reference);
  check_adamw(model, data, reference);
}

TEST_CASE("mlp: logits, loss, derivatives and 5 AdamW updates equal PyTorch's [tanh; GELU with biases]") {
  check_mlp("mlp_16_24_24_10_tanh_nobias", Activation::tanh);
  check_mlp("mlp_16_24_24_10_gelu_bias", Activation::gelu);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
