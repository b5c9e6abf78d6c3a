// Quantization of a model with experts: every method on every expert's own tokens, and experts that get none.
#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "sim/data/synthetic.hpp"
#include "sim/quantize/awq_model.hpp"
#include "sim/quantize/gptq_model.hpp"
#include "sim/quantize/guided.hpp"
#include "sim/quantize/rotation.hpp"
#include "sim/quantize/smoothing.hpp"
#include "sim/train/trainer.hpp"
#include "tests/quantize/guided_grams.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

constexpr Index experts = 4, per_token = 2;

TransformerOptions routed_llama() {
  TransformerOptions options = tiny_llama();
  options.experts = experts;
  options.experts_per_token = per_token;
  return options;
}

struct Setting {
  explicit Setting(const TransformerOptions& options, Index sequences = 37)
      : model(options), data(random_tokens(options, sequences, 3)), theta(random_parameters(model.layout(), 4)) {}

  /// The last expert's router row equal to that of the first and to that of the second: never among the two largest.
  void starve_last() {
    for (const ParamBlock& block : model.layout().blocks())
      if (block.role == Role::router) {
        MatView<double> router(theta.data() + block.offset, block.rows, block.cols);
        router.row(1) = router.row(0);
        router.row(experts - 1) = router.row(0);
      }
  }
  TransformerActs<double> forward(const Precision& precision = {}) const { return forward_of(theta.data(), precision); }
  TransformerActs<double> forward_of(const double* at, const Precision& precision) const {
    auto x = model.make_acts(data.sequences);
    model.forward(at, data, 0, x, precision);
    return x;
  }

  Transformer<double> model;
  TokenBatch data;
  Vector<double> theta;
};

Matrix<double> gram_of(const Block<double>& x) { return 2 / double(x.rows) * x.view().transpose() * x.view(); }

Matrix<double> logits_of(const TransformerOptions& options, const AlignedVector<double>& theta,
                         const TokenBatch& data) {
  const Transformer<double> model(options);
  auto x = model.make_acts(data.sequences);
  model.forward(theta.data(), data, 0, x, {});
  return x.logits.view();
}

TEST_SUITE_BEGIN("quantize");

TEST_CASE("calibration: every expert has the gram of the tokens routed to it, in any chunks [full, A4, rotated]") {
  for (const int bits : {16, 4})
    for (const bool is_rotated : {false, true}) {
      TransformerOptions options = routed_llama();
      options.rotations.mlp = is_rotated;
      const Setting s(options);
      const Precision precision{.activation = {.bits = bits}};
      const auto x = s.forward(precision);
      const auto sites = input_statistics(s.model, s.theta.data(), s.data, precision, {15, 2});
      REQUIRE(sites.size() == 2 * (2 + 2 * experts));
      Index weights = 0;
      for (const InputStatistics& site : sites) {
        CAPTURE(site.name);
        for (const std::string& name : site.blocks) weights += s.model.layout().at(name).size();
        if (site.expert < 0) continue;
        const auto& a = x.layers[size_t(site.layer)];
        const bool is_down = site.input == LinearInput::mlp_output;
        const Block<double> rows = expert_rows(is_down ? a.act : a.routed, a.routing, site.expert);
        CHECK(site.tokens == rows.rows);
        CHECK(relative_error(site.gram, gram_of(rows)) <= 1e-12);
        CHECK(site.blocks.size() == (is_down ? 1 : 2));
        CHECK(site.blocks.back() ==
              fmt::format("layers.{}.experts.{}.{}", site.layer, site.expert, is_down ? "w_down" : "w_up"));
      }
      CHECK(weights == s.model.layout().quantizable_size());
    }
}

TEST_CASE("gptq_model: an expert without tokens is rounded to nearest, one with few is damped, both are reported") {
  Setting s(routed_llama(), 9);
  s.starve_last();
  const GptqModelOptions how{.gptq = {.quantizer = {.bits = 3}}};
  const GptqModel<double> result = gptq_model(s.model, s.theta.data(), s.data, how);
  const auto nearest = quantize_weights(s.theta.data(), s.model.layout(), how.gptq.quantizer);
  CHECK(ConstVecView<double>(result.theta.data(), s.theta.size()).allFinite());
  Index idle = 0;
  for (const GptqBlockReport& report : result.blocks) {
    CAPTURE(report.weights.name);
    const bool is_idle = report.weights.name.find("experts.3.") != std::string::npos;
    idle += is_idle;
    CHECK(report.fell_back_to_rtn == is_idle);
    CHECK((report.tokens == 0) == is_idle);
    const ParamBlock& block = s.model.layout().at(report.weights.name);
    const double* quantized = result.theta.data();
    CHECK((view(quantized, block) == view(nearest.theta.data(), block)) == is_idle);
    if (!is_idle) CHECK(report.damping_used >= how.gptq.damping);
  }
  CHECK(idle == 6);
  CHECK(result.blocks.size() == 2 * (4 + 3 * experts));
}

TEST_CASE("gptq_model: experts are GPTQ on the inputs that the quantized prefix gives them") {
  const Setting s(routed_llama());
  const GptqModelOptions how{.gptq = {.quantizer = {.bits = 3}}, .chunks = {25, 2}};
  const GptqModel<double> result = gptq_model(s.model, s.theta.data(), s.data, how);
  const auto x = s.forward_of(result.theta.data(), {});
  const auto& a = x.layers[1];
  for (Index e = 0; e < experts; ++e)
    for (const char* name : {"w_gate", "w_up", "w_down"}) {
      const ParamBlock& block = s.model.layout().at(fmt::format("layers.1.experts.{}.{}", e, name));
      const Block<double> rows = expert_rows(std::string(name) == "w_down" ? a.act : a.routed, a.routing, e);
      const GptqResult alone = gptq(view(s.theta.data(), block), gram_of(rows), how.gptq);
      CHECK(relative_error(Matrix<double>(view(result.theta.data(), block)), alone.q) <= 1e-12);
    }
}

TEST_CASE("experts: folding, rotations and smoothing leave the logits, and change the routers' rows") {
  const TransformerOptions options = routed_llama();
  const Setting s(options);
  const auto x = s.forward();
  const Matrix<double> expected = x.logits.view();
  const Parametrization folded = fold_norms(options, s.theta.data());
  CHECK(relative_error(logits_of(folded.options, folded.theta, s.data), expected) <= 1e-11);
  const Parametrization rotated = rotate(options, s.theta.data(), {});
  CHECK(rotated.options.rotations.mlp);
  CHECK(relative_error(logits_of(rotated.options, rotated.theta, s.data), expected) <= 1e-11);
  const auto maxima = norm_maxima(input_statistics(s.model, s.theta.data(), s.data, {}, {}));
  REQUIRE(maxima.size() == 4);
  for (size_t l : {0, 1})
    CHECK(relative_error(ConstVecView<double>(maxima[2 * l + 1].data(), options.width),
                         x.layers[l].norm2.view().cwiseAbs().colwise().maxCoeff().transpose().eval()) <= 1e-14);
  const AlignedVector<double> smoothed = smooth(options, s.theta.data(), maxima, {0.5, 0.5, 0.5, 0.5});
  CHECK(relative_error(logits_of(options, smoothed, s.data), expected) <= 1e-11);
  const ParamBlock& router = s.model.layout().at("layers.0.router");
  for (const double* changed : {std::as_const(smoothed).data(), folded.theta.data(), rotated.theta.data()})
    CHECK(relative_error(Matrix<double>(view(changed, router)), Matrix<double>(view(s.theta.data(), router))) > 1e-3);
}

TEST_CASE("awq: each expert with tokens gets scales of its own, at full precision the logits stay") {
  Setting s(routed_llama());
  s.starve_last();
  const AwqModel<double> awq = awq_model(s.model, s.theta.data(), s.data, {.quantizer = {.bits = 4}});
  CHECK(relative_error(logits_of(s.model.options(), awq.folded, s.data), Matrix<double>(s.forward().logits.view())) <=
        1e-11);
  CHECK(awq.sites.size() == 2 * (2 + experts - 1));  // attention, its output, and the three experts with tokens
  for (Index e = 0; e < experts; ++e) {
    CAPTURE(e);
    double exponent = 0;
    const std::string expert = fmt::format("layers.1.experts.{}.", e);
    for (const AwqSiteReport& site : awq.sites)
      if (site.name == expert + "mlp_output") exponent = site.exponent;
    CHECK((exponent > 0) == (e < experts - 1));
    const ParamBlock& down = s.model.layout().at(expert + "w_down");
    const double* folded = awq.folded.data();
    CHECK((view(folded, down) != view(s.theta.data(), down)) == (exponent > 0));
  }
}

TEST_CASE("guided: each expert's matrices come from its own tokens and adjoints") {
  const Setting s(routed_llama(), 11);
  const auto found = guided_statistics(s.model, s.theta.data(), s.data, {.groups = 2, .chunks = {15, 2}});
  auto x = s.forward();
  auto dx = s.model.make_acts(s.data.sequences);
  Vector<double> gradient = Vector<double>::Zero(s.theta.size());
  s.model.backward(s.theta.data(), x, dx, 1.0, gradient.data());
  size_t number = 0, checked = 0;
  for (const ParamBlock& block : s.model.layout().blocks()) {
    if (!block.is_quantizable()) continue;
    const GuidedStatistics& site = found.at(number++);
    CHECK(site.block == block.name);
    if (block.name.find("experts.2.w_down") == std::string::npos) continue;
    const auto& a = x.layers[size_t(block.layer)];
    const Block<double> in = expert_rows(a.act, a.routing, 2),
                        out = expert_rows(dx.layers[size_t(block.layer)].expert_out, a.routing, 2);
    const auto expected = guided_grams(in, out, 2);
    const double tokens = double(s.data.sequences * s.data.positions);
    for (size_t k = 0; k < 2; ++k)
      CHECK(relative_error(site.grams[k], Matrix<double>(double(in.rows) / tokens * expected[k])) <= 1e-11);
    ++checked;
  }
  CHECK(checked == 2);
  CHECK(number == found.size());
}

TEST_CASE("experts: a trained model keeps its loss at 8 bits, and loses more at 2") {
  TransformerOptions options = routed_llama();
  options.vocabulary = 32, options.positions = 16;
  const Transformer<float> model(options);
  const MarkovSource source({.vocabulary = 32, .coupling = 0.95, .source_seed = 3, .data_seed = 4});
  TrainOptions how;
  how.schedule = {.peak = 1e-2, .warmup_steps = 10, .horizon_steps = 150};
  TrainState<float> state = initial_state(model, how);
  Objective<Transformer<float>> objective(model, how.chunks);
  const BatchSource<TokenBatch> batches = [&](std::int64_t step) { return source.batch(step, 16, 16); };
  train_to(150, state, objective, batches, how, how.schedule, [](const StepRecord&) {});
  const TokenBatch held_out = source.evaluation_windows(16, 64);
  const auto loss_at = [&](int bits) {
    Precision precision;
    precision.activation.bits = 8;
    return objective.value(quantize_weights<float>(state.theta.data(), model.layout(), {.bits = bits}).theta.data(),
                           held_out, precision);
  };
  const double full = objective.value(state.theta.data(), held_out), eight = loss_at(8), two = loss_at(2);
  CHECK(full < std::log(32.0) - 0.5);
  CHECK_NEAR(eight, full, 0.0, 0.01);
  CHECK(two > full + 0.05);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
