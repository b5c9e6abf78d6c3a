// What the transformer promises besides its derivatives: causality, quantizers in the forward pass,
// messages.
#include "sim/model/transformer.hpp"

#include "sim/base/error.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

/// Losses of all rows of one pass.
Vector<double> row_losses(const TransformerOptions& options, const TokenBatch& data, const Precision& precision) {
  const Transformer<double> model(options);
  ModelPasses<Transformer<double>> passes(model, data);
  passes.loss(random_parameters(options.layout(), 1), precision);
  return ConstVecView<double>(passes.acts().row_loss.data, passes.acts().row_loss.size());
}

Precision activations_keys_values(int bits) {
  Precision precision;
  precision.activation.bits = precision.key.bits = precision.value.bits = bits;
  return precision;
}

/// Changes each token of the second sequence in turn. Token t is the input of row t and the target
/// of row t-1, so rows before t-1, and all rows of the other sequences, must keep their bits.
void check_causality(const TransformerOptions& options, const Precision& precision) {
  const Index T = options.positions;
  const TokenBatch data = random_tokens(options, 3, 2);
  const Vector<double> before = row_losses(options, data, precision);
  for (Index t = 1; t <= T; ++t) {
    CAPTURE(t);
    TokenBatch changed = data;
    std::uint16_t& token = changed.tokens[size_t((T + 1) + t)];
    token = std::uint16_t((token + 1) % options.vocabulary);
    const Vector<double> after = row_losses(options, changed, precision);
    CHECK(after.head(T + t - 1) == before.head(T + t - 1));
    CHECK(after.tail(T) == before.tail(T));
    CHECK(after[T + t - 1] != before[T + t - 1]);
  }
}

TEST_SUITE_BEGIN("model");

TEST_CASE(
    "transformer: a later token never changes an earlier loss [Llama- and GPT-2-style, two blocks "
    "of rows]") {
  TransformerOptions options = tiny_llama();
  options.positions = attention_block + 2;
  options.kv_heads = 2;
  check_causality(options, {});
  check_causality(gpt2_style(tiny_llama()), {});
}

TEST_CASE(
    "transformer: a later token never changes an earlier loss [per-token A, K and V quantizers "
    "on]") {
  for (int bits : {4, 8}) {
    check_causality(tiny_llama(), activations_keys_values(bits));
    check_causality(gpt2_style(tiny_llama()), activations_keys_values(bits));
  }
}

TEST_CASE("transformer: 16 bits everywhere has the bits of full precision") {
  const TransformerOptions options = tiny_llama();
  const TokenBatch data = random_tokens(options, 3, 3);
  CHECK(row_losses(options, data, activations_keys_values(16)) == row_losses(options, data, {}));
}

TEST_CASE("transformer: each quantizer alone changes the loss, and more bits change it less") {
  const TransformerOptions options = tiny_llama();
  const TokenBatch data = random_tokens(options, 3, 3);
  const Vector<double> full = row_losses(options, data, {});
  for (Quantizer Precision::*site : {&Precision::activation, &Precision::key, &Precision::value}) {
    double last = INFINITY;
    for (int bits : {3, 6, 9, 12}) {
      CAPTURE(bits);
      Precision precision;
      (precision.*site).bits = bits;
      const double change = (row_losses(options, data, precision) - full).norm();
      CHECK(change > 0);
      CHECK(change < last / 2);
      last = change;
    }
  }
}

TEST_CASE("transformer: a rotation of queries and keys moves no loss, but the errors of quantized keys") {
  for (TransformerOptions options : {tiny_llama(), gpt2_style(tiny_llama())}) {
    const TokenBatch data = random_tokens(options, 3, 3);
    Precision keys;
    keys.key.bits = 4;
    const Vector<double> full = row_losses(options, data, {}), quantized = row_losses(options, data, keys);
    options.rotations.qk = true;
    CHECK(relative_error(row_losses(options, data, {}), full) <= 1e-13);
    CHECK(relative_error(row_losses(options, data, keys), quantized) >= 1e-5);
  }
}

TEST_CASE("transformer: rotations act before the quantizer of their site [heads, mlp]") {
  TransformerOptions options = tiny_llama();
  const TokenBatch data = random_tokens(options, 3, 3);
  const Vector<double> theta = random_parameters(options.layout(), 1);
  const auto first_layer = [&](const Precision& precision) {
    const Transformer<double> model(options);
    ModelPasses<Transformer<double>> passes(model, data);
    passes.loss(theta, precision);
    const auto& layer = passes.acts().layers[0];
    return std::pair<Matrix<double>, Matrix<double>>(layer.o.view(), layer.act.view());
  };
  const auto expect_turned = [](Matrix<double> plain, Index size, Index channels, const Matrix<double>& turned) {
    hadamard_rotate<double>(MatView<double>(plain.data(), plain.rows(), plain.cols()), HadamardTable<double>(size),
                            channels, Turn::forward);
    CHECK(relative_error(turned, plain) <= 1e-14);
  };
  const auto [o, act] = first_layer({});
  options.rotations = {.mlp = true};
  expect_turned(act, 12, 1, first_layer({}).second);
  options.rotations = {.heads = true, .mlp = true};
  expect_turned(o, 4, 4, first_layer({}).first);
  Precision ternary;
  ternary.activation.bits = 2;
  const auto expect_ternary = [](const Matrix<double>& coarse) {
    for (Index m = 0; m < coarse.rows(); ++m) {
      const double top = coarse.row(m).cwiseAbs().maxCoeff();
      CHECK((coarse.row(m).array() * (coarse.row(m).array().abs() - top)).abs().maxCoeff() == 0);
    }
  };
  const auto [coarse_o, coarse_act] = first_layer(ternary);
  expect_ternary(coarse_o);
  expect_ternary(coarse_act);
}

TEST_CASE("transformer: a head bias is added to every row of logits") {
  TransformerOptions options = tiny_llama();
  const TokenBatch data = random_tokens(options, 3, 3);
  const auto logits = [&](const Vector<double>& theta) {
    const Transformer<double> model(options);
    ModelPasses<Transformer<double>> passes(model, data);
    passes.loss(theta);
    return Matrix<double>(passes.acts().logits.view());
  };
  const Vector<double> plain = random_parameters(options.layout(), 1);
  const Matrix<double> before = logits(plain);
  options.head_bias = true;
  const ParamBlock bias = options.layout().at("head.bias");
  CHECK(bias.role == Role::bias);
  CHECK(bias.offset == plain.size());
  Vector<double> theta(options.layout().size());
  theta << plain, normals(options.vocabulary, 9);
  const Matrix<double> difference = logits(theta) - before;
  for (Index m = 0; m < difference.rows(); ++m)
    CHECK(relative_error(difference.row(m).transpose().eval(), normals(options.vocabulary, 9)) <= 1e-14);
}

TEST_CASE("transformer: online rotations have names, and need sizes with a Hadamard matrix") {
  CHECK(name_of(OnlineRotations{}) == "none");
  CHECK(name_of(OnlineRotations{.mlp = true}) == "mlp");
  CHECK(name_of(OnlineRotations{.heads = true, .mlp = true, .qk = true}) == "heads+mlp+qk");
  TransformerOptions options = tiny_llama();
  options.rotations = {.heads = true, .mlp = true, .qk = true};
  CHECK(refusal(options).empty());
  options.heads = options.kv_heads = 3;
  options.head_channels = 6;
  options.mlp_width = 100;
  const std::string message = refusal(options);
  CHECK(message.find("rotations.heads needs a Hadamard matrix of size heads = 3 (nearest sizes: 2 and 4; turn the "
                     "rotation off)") != std::string::npos);
  CHECK(message.find("rotations.mlp needs a Hadamard matrix of size mlp_width = 100 (nearest sizes: 96 and 112") !=
        std::string::npos);
  CHECK(message.find("rotations.qk needs a Hadamard matrix of size head width = 6") != std::string::npos);
}

TEST_CASE("transformer: layout has the parameter count of the formula [Llama- and GPT-2-style]") {
  TransformerOptions o = tiny_llama();
  o.kv_heads = 2;
  const Index V = o.vocabulary, T = o.positions, C = o.width, F = o.mlp_width;
  CHECK(o.layout().quantizable_size() == 2 * (2 * C * C + 2 * C * (C / 2) + 3 * C * F));
  CHECK(o.layout().size() == o.layout().quantizable_size() + 2 * V * C + 5 * C);
  const ParamLayout gpt = gpt2_style(o).layout();
  CHECK(gpt.quantizable_size() == 2 * (4 * C * C + 2 * C * F));
  CHECK(gpt.size() == gpt.quantizable_size() + V * C + T * C + 10 * C + 2 * (5 * C + F));
  CHECK(Index(gpt.quantizable_indices().size()) == gpt.quantizable_size());
}

TEST_CASE(
    "transformer: layout has the parameter count of the formula [heads wider than width/heads, attention biases]") {
  TransformerOptions o = tiny_llama();
  o.kv_heads = 2;
  o.head_channels = 6;
  o.attention_bias = true;
  const Index V = o.vocabulary, C = o.width, F = o.mlp_width, Q = 4 * 6, K = 2 * 6;
  CHECK(o.layout().quantizable_size() == 2 * (2 * C * Q + 2 * C * K + 3 * C * F));
  CHECK(o.layout().size() == o.layout().quantizable_size() + 2 * V * C + 5 * C + 2 * (Q + 2 * K + C));
  o.attention_bias = false;
  CHECK(gpt2_style(o).layout().size() ==
        gpt2_style(tiny_llama()).layout().size() + 2 * 4 * C * (4 * 6 - C) - 2 * 4 * C);
}

TEST_CASE("transformer: blocks lie one behind the other, without gaps, each under its own name") {
  const ParamLayout layout = gpt2_style(tiny_llama()).layout();
  Index end = 0;
  for (const ParamBlock& block : layout.blocks()) {
    CHECK(block.offset == end);
    CHECK(&layout.at(block.name) == &block);
    end += block.size();
  }
  CHECK(end == layout.size());
  CHECK_THROWS_WITH_AS(layout.at("layers.0.wqq"), "no parameter block 'layers.0.wqq'; did you mean 'layers.0.wq'?",
                       OptionError);
}

TEST_CASE("transformer: initial parameters are those of the seed alone, with the documented deviations") {
  TransformerOptions options = tiny_llama();
  options.width = 64;
  options.mlp_width = 96;
  options.bias = true;
  const Transformer<double> model(options);
  const AlignedVector<double> theta = model.initial_parameters(3);
  CHECK(theta == model.initial_parameters(3));
  CHECK(theta != model.initial_parameters(4));
  const auto rms = [&](const char* name) {
    const ConstMatView<double> block = view(theta.data(), model.layout().at(name));
    return block.norm() / std::sqrt(double(block.size()));
  };
  // The relative error of a deviation from n normal draws is 1/√(2n); n ≥ 704, so 0.14 is five of
  // them.
  CHECK_NEAR(rms("tok_emb.weight"), 1.0 / 8, 0.14, 0.0);
  CHECK_NEAR(rms("layers.1.wq"), 1.0 / 8, 0.14, 0.0);
  CHECK_NEAR(rms("layers.0.wo"), 1.0 / 16, 0.14, 0.0);
  CHECK_NEAR(rms("layers.1.w_down"), 1 / (2 * std::sqrt(96.0)), 0.14, 0.0);
  CHECK_NEAR(rms("head.weight"), 0.02, 0.14, 0.0);
  CHECK(rms("layers.0.attn_norm.weight") == 1);
  CHECK(rms("layers.0.bq") == 0);
}

TEST_CASE("transformer: every wrong option is named in one message") {
  TransformerOptions options = tiny_llama();
  CHECK(refusal(options).empty());
  options.vocabulary = 1;
  options.heads = 3;
  options.norm_eps = 0;
  const std::string message = refusal(options);
  CHECK(message.find("vocabulary = 1") != std::string::npos);
  CHECK(message.find("heads = 3 does not divide width = 16") != std::string::npos);
  CHECK(message.find("kv_heads = 4 does not divide heads = 3") != std::string::npos);
  CHECK(message.find("norm_eps = 0") != std::string::npos);
  options = tiny_llama();
  options.heads = options.kv_heads = 16;
  CHECK(refusal(options).find("rotary positions need an even head width") != std::string::npos);
  options = tiny_llama();
  for (Index rotary : {0, 3, 6}) {
    options.rotary_width = rotary;
    CHECK(refusal(options).find(fmt::format("rotary_width = {} (expected an even number from 2 to the head width 4)",
                                            rotary)) != std::string::npos);
  }
  options = tiny_llama();
  options.heads = options.kv_heads = 3;
  options.head_channels = 8;
  CHECK(refusal(options).empty());
  options.head_channels = 0;
  CHECK(refusal(options).find("head_channels = 0 (expected at least 1)") != std::string::npos);
}

TEST_CASE("transformer: data of another context or vocabulary -> OptionError with both numbers") {
  const TransformerOptions options = tiny_llama();
  const Transformer<float> model(options);
  TokenBatch data = random_tokens(options, 2, 4);
  model.check(data);
  data.tokens[3] = 11;
  CHECK_THROWS_WITH_AS(model.check(data), "data holds token 11, the model's vocabulary is 11; use the data's tokenizer",
                       OptionError);
  data.positions = 6;
  CHECK_THROWS_WITH_AS(model.check(data), "data has sequences of 6 tokens, the model's context is 5; set both alike",
                       OptionError);
}

TEST_SUITE_END();

TEST_CASE("transformer: keys and values on steps that later tokens set, and drawn activations, are refused") {
  const Transformer<double> model(tiny_llama());
  const Vector<double> theta = random_parameters(model.layout(), 1);
  const TokenBatch data = random_tokens(model.options(), 2, 1);
  const auto said = [&](const Precision& precision) {
    auto x = model.make_acts(2);
    return message_of<OptionError>([&] { model.forward(theta.data(), data, 0, x, precision); });
  };
  Precision key, value, activation;
  key.key = {.bits = 4, .granularity = Granularity::column};
  value.value = {.bits = 4, .granularity = Granularity::tensor};
  activation.activation = {.bits = 4, .rounding = Rounding::stochastic};
  CHECK(mentions(said(key), "key.granularity = 'column'"));
  CHECK(mentions(said(value), "value.granularity = 'tensor'"));
  CHECK(mentions(said(activation), "activation.rounding = 'stochastic'"));
  value.value.granularity = Granularity::row;
  CHECK(said(value).empty());
}

}  // namespace
}  // namespace hone::test
