// The incremental decoder against the one-pass forward, and what holds bit for bit: causality, cuts, batches, threads.
#include <doctest/doctest.h>

#include <functional>

#include "sim/model/decoder.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

constexpr Index length = 24;

std::vector<TransformerOptions> architectures() {
  TransformerOptions llama = tiny_llama();
  llama.positions = length;
  TransformerOptions grouped = llama;
  grouped.kv_heads = 2, grouped.position = Positions::rope_interleaved, grouped.head = Head::tied, grouped.bias = true;
  TransformerOptions gpt = gpt2_style(llama);
  TransformerOptions neox = llama;
  neox.norm = Norm::layer, neox.mlp = MlpKind::gelu_erf, neox.residual = Residual::parallel, neox.bias = true;
  neox.rotary_width = 2, neox.head_channels = 6, neox.head_bias = true;
  TransformerOptions rotated = grouped;
  rotated.rotations = {.heads = true, .mlp = true, .qk = true};
  TransformerOptions bitnet = llama;
  bitnet.sub_norms = true;
  TransformerOptions routed = rotated;
  routed.experts = 5, routed.experts_per_token = 2;
  return {llama, grouped, gpt, neox, rotated, bitnet, routed};
}

struct Setup {
  explicit Setup(const TransformerOptions& options, Index sequences = 2, std::uint32_t number = 1)
      : model(options),
        theta(random_parameters(model.layout(), number)),
        data(random_tokens(options, sequences, number)) {}

  /// The inputs of all windows, without their last targets: (B, T).
  std::vector<std::uint16_t> inputs() const {
    std::vector<std::uint16_t> result;
    for (Index b = 0; b < data.sequences; ++b) {
      const auto first = data.tokens.begin() + b * (data.positions + 1);
      result.insert(result.end(), first, first + data.positions);
    }
    return result;
  }

  Matrix<double> one_pass(const Precision& precision) const {
    auto acts = model.make_acts(data.sequences);
    model.forward(theta.data(), data, 0, acts, precision);
    return acts.logits.view();
  }

  Decoder<double> decoder(const DecoderOptions& options) const {
    return Decoder<double>(model, theta.data(), options, data.sequences);
  }

  Transformer<double> model;
  Vector<double> theta;
  TokenBatch data;
};

/// Logits of all positions, rows sequence after sequence, with the tokens cut into calls of `chunk`.
Matrix<double> decoded(Decoder<double>& decoder, const std::vector<std::uint16_t>& inputs, Index chunk,
                       Index vocabulary) {
  const Index sequences = decoder.sequences(), total = Index(inputs.size()) / sequences;
  Matrix<double> logits(Index(inputs.size()), vocabulary);
  for (Index start = 0; start < total; start += chunk) {
    const Index count = std::min(chunk, total - start);
    std::vector<std::uint16_t> part;
    for (Index b = 0; b < sequences; ++b)
      part.insert(part.end(), inputs.begin() + b * total + start, inputs.begin() + b * total + start + count);
    decoder.feed(part, [&](Index b, Index position, ConstVecView<double> row) {
      logits.row(b * total + position) = row.transpose();
    });
  }
  return logits;
}

Matrix<double> decoded(const Setup& s, const DecoderOptions& options, Index chunk = 7) {
  Decoder<double> decoder = s.decoder(options);
  return decoded(decoder, s.inputs(), chunk, s.model.options().vocabulary);
}

std::vector<KvCacheOptions> policies() {
  const Quantizer three{.bits = 3}, two{.bits = 2, .grid = Grid::asymmetric};
  KvCacheOptions window{.key = three, .value = two, .residual = 5, .sinks = 2};
  window.key.rule = ScaleRule::clip;
  KvCacheOptions pre = kivi_cache(2, 4, 8);
  pre.pre_rope = true, pre.sinks = 1;
  const Quantizer minifloat{.format = Format::e2m1};
  return {{},
          {.key = three, .value = three},
          {.key = minifloat, .value = minifloat},
          window,
          kivi_cache(3, 4, 0),
          kivi_cache(2, 4, 8),
          pre};
}

TEST_SUITE_BEGIN("decoder");

TEST_CASE(
    "decoder: full precision equals the one-pass forward to 1e-12 [Llama, GQA, GPT-2, GPT-NeoX, rotated, experts]") {
  for (const TransformerOptions& options : architectures()) {
    const Setup s(options);
    CHECK(relative_error(decoded(s, {}), s.one_pass({})) <= 1e-12);
  }
}

TEST_CASE("decoder: quantized activations, keys and values per token equal the one-pass rule, codes included") {
  for (const TransformerOptions& options : architectures())
    for (const int bits : {3, 8}) {
      const Setup s(options);
      Precision precision;
      precision.activation = {.bits = 8};
      precision.key = {.bits = bits};
      precision.value = {.bits = bits, .grid = Grid::asymmetric, .granularity = Granularity::group, .group = 4};
      Decoder<double> decoder =
          s.decoder({.cache = {.key = precision.key, .value = precision.value}, .activation = precision.activation});
      const Matrix<double> logits = decoded(decoder, s.inputs(), 5, options.vocabulary);
      auto acts = s.model.make_acts(2);
      s.model.forward(s.theta.data(), s.data, 0, acts, precision);
      CHECK(relative_error(logits, acts.logits.view()) <= 1e-12);
      for (Index l = 0; l < options.layers; ++l)
        for (Index m = 0; m < 2 * length; ++m) {
          const std::vector<double> key = decoder.cache(m / length, l).key(m % length);
          const std::vector<double> value = decoder.cache(m / length, l).value(m % length);
          const auto& layer = acts.layers[size_t(l)];
          CHECK(relative_error(ConstVecView<double>(key.data(), Index(key.size())),
                               layer.k.view().row(m).transpose()) <= 1e-12);
          CHECK(relative_error(ConstVecView<double>(value.data(), Index(value.size())),
                               layer.v.view().row(m).transpose()) <= 1e-12);
        }
    }
}

TEST_CASE("decoder: the error of a quantized cache falls with the bits, 15 bits are close [per token, KIVI]") {
  const Setup s(architectures()[1]);
  const Matrix<double> exact = s.one_pass({});
  for (const bool is_kivi : {false, true}) {
    double last = INFINITY;
    for (const int bits : {2, 4, 8, 15}) {
      const Quantizer q{.bits = bits};
      const double error = relative_error(
          decoded(s, {.cache = is_kivi ? kivi_cache(bits, 4, 8) : KvCacheOptions{.key = q, .value = q}}), exact);
      CHECK(error < last);
      last = error;
    }
    CHECK(last < 1e-3);
  }
}

TEST_CASE("decoder: changing a token changes no logits before it, bit for bit, and changes its own [every policy]") {
  const Setup s(architectures()[1], 1);
  for (const KvCacheOptions& cache : policies()) {
    const Matrix<double> before = decoded(s, {.cache = cache}, length);
    for (const Index t : {4, 7, 8, 15}) {
      Setup changed = s;
      std::uint16_t& token = changed.data.tokens[size_t(t)];
      token = std::uint16_t((token + 1) % 11);
      const Matrix<double> after = decoded(changed, {.cache = cache}, length);
      CHECK(after.topRows(t) == before.topRows(t));
      CHECK(after.row(t) != before.row(t));
    }
  }
}

TEST_CASE("decoder: tokens one by one, in chunks and all at once give equal bits [every architecture and policy]") {
  for (const TransformerOptions& options : architectures())
    for (const KvCacheOptions& cache : policies()) {
      const Setup s(options);
      const DecoderOptions with{.cache = cache, .activation = {.bits = 8}};
      const Matrix<double> steps = decoded(s, with, 1);
      CHECK(decoded(s, with, 5) == steps);
      CHECK(decoded(s, with, length) == steps);
    }
}

TEST_CASE("decoder: a sequence has equal bits alone, in a batch of 11 and on 1 or 3 threads") {
  const Setup batch(architectures()[1], 11);
  const KvCacheOptions cache = kivi_cache(2, 4, 8);
  const Matrix<double> together = decoded(batch, {.cache = cache, .threads = 3});
  CHECK(decoded(batch, {.cache = cache, .threads = 1}) == together);
  for (const Index b : {0, 4, 10}) {
    Setup alone(architectures()[1], 1);
    std::copy_n(batch.data.tokens.begin() + b * (length + 1), length + 1, alone.data.tokens.begin());
    CHECK(decoded(alone, {.cache = cache}) == together.middleRows(b * length, length));
  }
}

TEST_CASE("decoder: step and prefill return the logits that feed hands out, and reset starts again") {
  const Setup s(architectures()[0]);
  const std::vector<std::uint16_t> inputs = s.inputs();
  const Matrix<double> all = decoded(s, {.cache = kivi_cache(2, 4, 4)});
  Decoder<double> decoder = s.decoder({.cache = kivi_cache(2, 4, 4)});
  for (int round = 0; round < 2; ++round) {
    std::vector<std::uint16_t> prompt(inputs.begin(), inputs.begin() + 10);
    prompt.insert(prompt.end(), inputs.begin() + length, inputs.begin() + length + 10);
    const Matrix<double> first = decoder.prefill(prompt);
    for (const Index b : {0, 1}) CHECK(first.row(b) == all.row(b * length + 9));
    const std::uint16_t next[] = {inputs[10], inputs[size_t(length + 10)]};
    const Matrix<double> second = decoder.step(next);
    for (const Index b : {0, 1}) CHECK(second.row(b) == all.row(b * length + 10));
    CHECK(decoder.length() == 11);
    decoder.reset();
    CHECK(decoder.length() == 0);
  }
}

TEST_CASE("decoder: rotary positions go on beyond the training context as in a model with a longer one") {
  TransformerOptions options = architectures()[1];
  options.positions = 4 * length;
  const Setup longer(options);
  options.positions = length;
  const Transformer<double> trained(options);
  Decoder<double> decoder(trained, longer.theta.data(), {.max_length = 4 * length}, 2);
  CHECK(relative_error(decoded(decoder, longer.inputs(), 9, options.vocabulary), longer.one_pass({})) <= 1e-12);
}

TEST_CASE("decoder: other weights act from the next token on and leave the cache as it is") {
  const Setup s(architectures()[0], 1);
  const Vector<double> other = random_parameters(s.model.layout(), 9);
  Decoder<double> decoder = s.decoder({});
  const std::vector<std::uint16_t> inputs = s.inputs();
  decoder.prefill(std::span(inputs).first(10));
  const std::vector<double> key = decoder.cache(0, 1).key(9);
  decoder.use(std::make_shared<DecoderWeights<double>>(s.model, other.data()));
  const Matrix<double> mixed = decoder.step(std::span(inputs).subspan(10, 1));
  CHECK(decoder.cache(0, 1).key(9) == key);
  CHECK(mixed.row(0) != decoded(s, {}).row(10));
  Setup all_other = s;
  all_other.theta = other;
  CHECK(mixed.row(0) != decoded(all_other, {}).row(10));
  Decoder<double> pure = all_other.decoder({});
  pure.prefill(std::span(inputs).first(11));
  CHECK(decoder.cache(0, 0).key(10) == pure.cache(0, 0).key(10));  // the first layer reads the embedding alone
  CHECK(decoder.cache(0, 1).key(10) != pure.cache(0, 1).key(10));
}

TEST_CASE("decoder: float follows double to single precision") {
  const Setup s(architectures()[1]);
  const Transformer<float> model(s.model.options());
  const Vector<float> theta = s.theta.cast<float>();
  Decoder<float> decoder(model, theta.data(), {}, 2);
  Matrix<double> logits(2 * length, 11);
  decoder.feed(s.inputs(), [&](Index b, Index position, ConstVecView<float> row) {
    logits.row(b * length + position) = row.transpose().cast<double>();
  });
  CHECK(relative_error(logits, s.one_pass({})) <= 1e-5);
}

TEST_CASE("decoder: what cannot be decoded is refused with the reason") {
  const Setup s(architectures()[2], 1);  // learned positions
  CHECK_THROWS_WITH_AS(s.decoder({.max_length = length + 1}),
                       doctest::Contains("max_length = 25 with learned positions"), OptionError);
  CHECK_THROWS_WITH_AS(s.decoder({.activation = {.bits = 8, .granularity = Granularity::tensor}}),
                       doctest::Contains("activation.granularity = 'tensor'"), OptionError);
  CHECK_THROWS_WITH_AS(s.decoder({.activation = {.bits = 8, .rounding = Rounding::stochastic}}),
                       doctest::Contains("activation.rounding = 'stochastic'"), OptionError);
  Decoder<double> decoder = s.decoder({});
  CHECK_THROWS_WITH_AS(decoder.step(std::vector<std::uint16_t>{11}), doctest::Contains("token 11"), OptionError);
  CHECK_THROWS_AS(decoder.prefill(std::vector<std::uint16_t>(length + 1)), ContractError);
  CHECK_THROWS_AS(decoder.prefill(std::vector<std::uint16_t>()), ContractError);
}

TEST_CASE("decoder: a key that is not finite is named, not decoded [2-bit cache]") {
  Setup s(architectures()[0], 1);
  s.theta[s.model.layout().at("layers.1.wk").offset] = NAN;
  CHECK_THROWS_WITH_AS(decoded(s, {.cache = {.key = {.bits = 2}}}), doctest::Contains("the key at position 0"),
                       ContractError);
}

TEST_CASE("decoder: weights of an architecture that differs in any option are refused, also with as many parameters") {
  const TransformerOptions llama = architectures()[0], neox = architectures()[3], routed = architectures()[6];
  const auto is_refused = [](const TransformerOptions& now, const std::function<void(TransformerOptions&)>& change) {
    TransformerOptions next = now;
    change(next);
    const Setup s(now), other(next);
    Decoder<double> decoder = s.decoder({});
    decoder.use(std::make_shared<DecoderWeights<double>>(s.model, s.theta.data()));
    try {
      decoder.use(std::make_shared<DecoderWeights<double>>(other.model, other.theta.data()));
    } catch (const ContractError&) {
      return true;
    }
    return false;
  };
  CHECK_FALSE(is_refused(llama, [](TransformerOptions&) {}));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.rotations.qk = true; }));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.norm_eps = 1e-6; }));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.rope_base = 500; }));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.rope_scaling = {RopeScalingRule::linear, 2}; }));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.residual = Residual::parallel; }));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.position = Positions::rope_interleaved; }));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.head = Head::tied; }));
  CHECK(is_refused(llama, [](TransformerOptions& o) { o.positions = 2 * length; }));
  CHECK(is_refused(neox, [](TransformerOptions& o) { o.mlp = MlpKind::gelu; }));
  CHECK(is_refused(neox, [](TransformerOptions& o) { o.rotary_width = 4; }));
  CHECK(is_refused(routed, [](TransformerOptions& o) { o.gates = Gates::renormalized; }));
  CHECK(is_refused(routed, [](TransformerOptions& o) { o.experts_per_token = 3; }));
}

TEST_CASE("decoder: dynamic rotary frequencies end at the context of the checkpoint") {
  TransformerOptions options = architectures()[0];
  options.rope_scaling = {.rule = RopeScalingRule::dynamic, .original_positions = double(length)};
  const Setup s(options, 1);
  CHECK(decoded(s, {}) == decoded(Setup(architectures()[0], 1), {}));
  CHECK_THROWS_WITH_AS(s.decoder({.max_length = length + 1}),
                       doctest::Contains("dynamic rope_scaling, whose angles change beyond 24 tokens"), OptionError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
