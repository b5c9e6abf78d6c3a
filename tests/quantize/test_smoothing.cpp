#include "sim/quantize/smoothing.hpp"

#include "sim/base/error.hpp"
#include "sim/quantize/folding.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

ConstMatView<double> view_of(const Matrix<double>& m) { return ConstMatView<double>(m.data(), m.rows(), m.cols()); }

std::vector<double> maxima_of(const Matrix<double>& x) {
  const Eigen::RowVectorXd top = x.cwiseAbs().colwise().maxCoeff();
  return {top.data(), top.data() + top.size()};
}

Eigen::RowVectorXd row_of(const std::vector<double>& v) {
  return Eigen::Map<const Eigen::RowVectorXd>(v.data(), Index(v.size()));
}

/// The stored input and the two linears that share it.
struct StoredSite {
  nlohmann::json stored = load_quant("smoothquant.json");
  Matrix<double> x = matrix_of(load_quant("inputs.json")["X"]);
  Matrix<double> w = matrix_of(load_quant("inputs.json")["W"]);
  Matrix<double> w2 = matrix_of(stored["W2"]);

  SmoothingSite site() const { return {maxima_of(x), x.transpose() * x / double(x.rows()), {view_of(w), view_of(w2)}}; }
};

Matrix<double> rounded(Matrix<double> m, const Quantizer& q) {
  fake_quantize<double>(m, q, m.rows());
  return m;
}

/// Mean squared error of x w' with both factors smoothed and quantized.
double measured_mse(const Matrix<double>& x, const Matrix<double>& w, const std::vector<double>& scales,
                    const AlphaSearch& q) {
  const Eigen::RowVectorXd s = row_of(scales);
  const Matrix<double> xs = x * s.cwiseInverse().asDiagonal(), ws = w * s.asDiagonal();
  const Matrix<double> error = rounded(xs, q.activation) * rounded(ws, q.weight).transpose() - x * w.transpose();
  return error.squaredNorm() / double(error.size());
}

/// For "W4A4" and "W8A8_pertensor".
AlphaSearch quantizers_named(const std::string& name) {
  AlphaSearch search{.weight = {.bits = name[1] - '0'}, .activation = {.bits = name[3] - '0'}};
  if (name.ends_with("_pertensor")) search.weight.granularity = search.activation.granularity = Granularity::tensor;
  return search;
}

/// Values of the norms of a pass in the order of the sites, and its logits.
struct Pass {
  std::vector<Matrix<double>> inputs;
  Vector<double> logits;
};

template <class S>
Pass run(const TransformerOptions& options, const AlignedVector<S>& theta) {
  const Transformer<S> model(options);
  auto acts = model.make_acts(3);
  model.forward(theta.data(), random_tokens(options, 3, 5), 0, acts, {});
  Pass pass;
  for (Index l = 0; l < options.layers; ++l) {
    pass.inputs.push_back(acts.layers[size_t(l)].norm1.view().template cast<double>());
    pass.inputs.push_back(acts.layers[size_t(l)].norm2.view().template cast<double>());
  }
  pass.logits = Eigen::Map<const Vector<S>>(acts.logits.data, acts.logits.size()).template cast<double>();
  return pass;
}

TEST_SUITE_BEGIN("quantize");

TEST_CASE("smoothing_scales: equal the stored ones, as do gain and bias divided by them [6 alphas, two readers]") {
  const StoredSite s;
  const auto gamma = s.stored["ln_gamma"].get<std::vector<double>>(),
             beta = s.stored["ln_beta"].get<std::vector<double>>();
  CHECK(relative_error(row_of(maxima_of(s.x)), row_of(s.stored["act_absmax"].get<std::vector<double>>())) <= 1e-15);
  REQUIRE(s.stored["cases"].size() == 6);
  for (const nlohmann::json& example : s.stored["cases"]) {
    CAPTURE(example["alpha"].get<double>());
    const auto scales = smoothing_scales(maxima_of(s.x), s.site().weights, example["alpha"].get<double>());
    const auto want = example["s"].get<std::vector<double>>();
    const auto gain = example["ln_weight"].get<std::vector<double>>(),
               bias = example["ln_bias"].get<std::vector<double>>();
    for (size_t j = 0; j < scales.size(); ++j) {
      CHECK_NEAR(scales[j], want[j], 1e-12, 0);
      CHECK_NEAR(gamma[j] / scales[j], gain[j], 1e-12, 0);
      CHECK_NEAR(beta[j] / scales[j], bias[j], 1e-12, 1e-300);
    }
  }
}

TEST_CASE("smoothing_scales: quantized outputs have the stored errors [6 alphas, 4 and 8 bits, token and tensor]") {
  const StoredSite s;
  for (const nlohmann::json& example : s.stored["cases"]) {
    CAPTURE(example["alpha"].get<double>());
    const auto scales = smoothing_scales(maxima_of(s.x), s.site().weights, example["alpha"].get<double>());
    for (const auto& [name, want] : example["out_mse"].items()) {
      CAPTURE(name);
      CHECK_NEAR(measured_mse(s.x, s.w, scales, quantizers_named(name)), want.get<double>(), 1e-9, 0);
    }
  }
}

TEST_CASE("smoothing_scales: at 1/2 the maxima of input and weight meet; elsewhere they follow the formula") {
  const StoredSite s;
  const std::vector<double> x_max = maxima_of(s.x), w_max = maxima_of(s.w);
  for (double alpha : {0.0, 0.3, 0.5, 1.0}) {
    const auto scales = smoothing_scales(x_max, {view_of(s.w)}, alpha);
    const std::vector<double> smoothed_x = maxima_of(s.x * row_of(scales).cwiseInverse().asDiagonal());
    const std::vector<double> smoothed_w = maxima_of(s.w * row_of(scales).asDiagonal());
    for (size_t j = 0; j < x_max.size(); ++j) {
      CHECK_NEAR(smoothed_x[j], std::pow(x_max[j], 1 - alpha) * std::pow(w_max[j], 1 - alpha), 1e-13, 0);
      if (alpha == 0.5) CHECK_NEAR(smoothed_x[j], smoothed_w[j], 1e-13, 0);
    }
  }
}

TEST_CASE("smoothing_scales: channels without input or weight stay above the floor; a wrong alpha -> OptionError") {
  Matrix<double> w(2, 3);
  w << 0, 2, 0, 0, -4, 1;
  const auto scales = smoothing_scales({1, 0, 0}, {view_of(w)}, 0.5);
  CHECK_NEAR(scales[0], 1 / std::sqrt(smoothing_floor), 1e-13, 0);
  CHECK(scales[1] == smoothing_floor);
  CHECK(scales[2] == smoothing_floor);
  for (double alpha : {-0.1, 1.1, double(NAN)})
    CHECK_THROWS_AS(smoothing_scales({1, 1, 1}, {view_of(w)}, alpha), OptionError);
  CHECK_THROWS_WITH_AS(smoothing_scales({1, 1, 1}, {view_of(w)}, 1.5), "smoothing: alpha = 1.5 (expected 0 to 1)",
                       OptionError);
  CHECK_THROWS_AS(smoothing_scales({1, 1}, {view_of(w)}, 0.5), ContractError);
  CHECK_THROWS_AS(smoothing_scales({1, NAN, 1}, {view_of(w)}, 0.5), ContractError);
}

TEST_CASE("smooth: logits are unchanged and every input is divided by its scales [Llama, GPT-2, GPT-NeoX, folded]") {
  TransformerOptions llama = tiny_llama(), neox = gpt2_style(tiny_llama());
  llama.kv_heads = 2;
  neox.residual = Residual::parallel;
  for (const TransformerOptions& options : {llama, gpt2_style(tiny_llama()), neox}) {
    const Vector<double> draws = random_parameters(options.layout(), 3);
    const AlignedVector<double> theta(draws.data(), draws.data() + draws.size());
    const Pass before = run(options, theta);
    std::vector<std::vector<double>> maxima;
    for (const Matrix<double>& input : before.inputs) maxima.push_back(maxima_of(input));
    for (double alpha : {0.0, 0.5, 1.0}) {
      CAPTURE(alpha);
      const AlignedVector<double> smoothed = smooth(options, theta.data(), maxima, std::vector<double>(4, alpha));
      const Pass after = run(options, smoothed);
      CHECK(relative_error(after.logits, before.logits) <= 1e-13);
      CHECK(relative_error(run(options, AlignedVector<float>(smoothed.begin(), smoothed.end())).logits,
                           before.logits) <= 1e-5);
      for (size_t i = 0; i < maxima.size(); ++i) {
        CHECK(relative_error(after.inputs[i], before.inputs[i]) >= 0.01);
        if (alpha == 1) CHECK((row_of(maxima_of(after.inputs[i])).array() - 1).abs().maxCoeff() <= 1e-13);
      }
      for (const char* name : {"layers.0.wo", "layers.1.w_down"})
        CHECK(view(smoothed.data(), options.layout().at(name)) == view(theta.data(), options.layout().at(name)));
    }
  }
}

TEST_CASE("smooth: as many maxima and alphas as norms in the layers, or ContractError") {
  const TransformerOptions options = tiny_llama();
  const Vector<double> theta = random_parameters(options.layout(), 3);
  const std::vector<std::vector<double>> maxima(4, std::vector<double>(16, 1.0));
  CHECK_THROWS_AS(smooth(options, theta.data(), maxima, {0.5}), ContractError);
  CHECK_THROWS_AS(smooth(options, theta.data(), {maxima[0]}, {0.5}), ContractError);
}

TEST_CASE("choose_alpha: takes the alpha of least measured error [stored site, grid of quarters]") {
  const StoredSite s;
  for (const char* name : {"W4A4", "W8A8", "W8A8_pertensor"}) {
    CAPTURE(name);
    AlphaSearch search = quantizers_named(name);
    search.steps = 4;
    Matrix<double> both(s.w.rows() + s.w2.rows(), s.w.cols());
    both << s.w, s.w2;
    double best = INFINITY, best_alpha = -1;
    for (double alpha : {0.0, 0.25, 0.5, 0.75, 1.0}) {
      const double mse = measured_mse(s.x, both, smoothing_scales(maxima_of(s.x), s.site().weights, alpha), search);
      if (mse < best) best = mse, best_alpha = alpha;
    }
    const AlphaChoice choice = choose_alpha(s.site(), search);
    CHECK(choice.alpha == best_alpha);
    search.steps = 20;
    CHECK(choose_alpha(s.site(), search).output_mse <= choice.output_mse);
  }
}

TEST_CASE("smoothed_output_mse: is exact for weights alone, and near the measured error for both") {
  const StoredSite s;
  Matrix<double> both(s.w.rows() + s.w2.rows(), s.w.cols());
  both << s.w, s.w2;
  const auto scales = smoothing_scales(maxima_of(s.x), s.site().weights, 0.5);
  AlphaSearch search{.weight = {.bits = 3}};
  CHECK_NEAR(smoothed_output_mse(s.site(), scales, search.weight, search.activation),
             measured_mse(s.x, both, scales, search), 1e-12, 0);
  // The stored channels are correlated, so the largest of a token lies below that of independent normals; a static
  // step is known.
  for (const char* name : {"W8A8", "W8A8_pertensor", "W4A4"}) {
    CAPTURE(name);
    search = quantizers_named(name);
    const bool is_static = search.activation.granularity == Granularity::tensor;
    search.weight.granularity = Granularity::row;
    CHECK_NEAR(smoothed_output_mse(s.site(), scales, search.weight, search.activation),
               measured_mse(s.x, both, scales, search), is_static ? 0.1 : 0.3, 0);
  }
  search.activation.granularity = Granularity::group, search.activation.group = 16;
  CHECK_NEAR(smoothed_output_mse(s.site(), scales, search.weight, search.activation),
             measured_mse(s.x, both, scales, search), 0.3, 0);
}

TEST_CASE("choose_alpha: no steps, or a quantizer without grid -> OptionError") {
  const StoredSite s;
  CHECK_THROWS_WITH_AS(choose_alpha(s.site(), {.steps = 0}), "smoothing: steps = 0 (expected at least 1)", OptionError);
  CHECK_THROWS_AS(choose_alpha(s.site(), {.weight = {.bits = 1}}), OptionError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
