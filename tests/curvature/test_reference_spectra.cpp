// Spectra of the reference models against those stored by another implementation.
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/curvature/extremes.hpp"
#include "sim/curvature/linearization.hpp"
#include "tests/support/near.hpp"

namespace hone {
namespace {

nlohmann::json reference(const std::string& name) {
  std::ifstream in(std::string(HONE_GOLDEN) + "/models/" + name + ".json");
  REQUIRE(in.good());
  return nlohmann::json::parse(in);
}

/// Spectrum of a model against the stored one: trace, Frobenius norm, both ends, and the moments of a Lanczos run.
template <class Model>
void check_spectrum(const Model& model, const typename Model::Data& data, const nlohmann::json& c) {
  const auto theta = c.at("theta").get<std::vector<double>>();
  REQUIRE(Index(theta.size()) == model.layout().size());
  Linearization<Model> linear(model, theta.data(), data, {{64, 2}});
  const LinearOperator h = linear.hessian();
  const LinearOperator minus_h = linear_combination({{-1, h}});
  double trace = 0, squares = 0;
  Vector<double> column;
  for (Index j = 0; j < h.size; ++j) {
    h.apply(Vector<double>::Unit(h.size, j), column);
    trace += column[j];
    squares += column.squaredNorm();
  }
  CHECK_NEAR(trace, c.at("trace").get<double>(), 1e-10, 0);
  CHECK_NEAR(std::sqrt(squares), c.at("frobenius").get<double>(), 1e-11, 0);
  const auto check_end = [&](const LinearOperator& op, const std::vector<double>& wanted, double sign) {
    const int count = int(wanted.size());
    const Eigenpairs pairs = extreme_eigenpairs(op, {.count_largest = count, .steps_max = 400, .tolerance = 1e-12});
    for (int i = 0; i < count; ++i) CHECK_NEAR(pairs.values[i], sign * wanted[size_t(i)], 1e-10, 0);
  };
  check_end(h, c.at("top10").get<std::vector<double>>(), 1);
  check_end(minus_h, c.at("bottom5").get<std::vector<double>>(), -1);
  const auto v = c.at("V").at(0).get<std::vector<double>>();
  Lanczos lanczos = start_lanczos(Eigen::Map<const Vector<double>>(v.data(), Index(v.size())), 3);
  extend(lanczos, linear.hessian(), 3);
  const Lanczos::Ritz ritz = lanczos.ritz();
  for (int k = 0; k <= 4; ++k)
    CHECK_NEAR((ritz.weights.array() * ritz.values.array().pow(k)).sum(),
               c.at("moments_v0").at(size_t(k)).get<double>(), 1e-10, 0);
}

TEST_CASE("hessian: spectrum of the reference perceptrons [float64 oracle, N = 1200 and 1258]") {
  for (const std::string name : {"mlp_16_24_24_10_tanh_nobias", "mlp_16_24_24_10_gelu_bias"}) {
    CAPTURE(name);
    const auto c = reference(name);
    const bool bias = name.ends_with("_bias");
    const Mlp<double> model(
        {{16, 24, 24, 10}, bias ? Activation::gelu : Activation::tanh, MlpLoss::softmax_xent, bias});
    VectorBatch data{32, 16, 10, {}, {}, {}};
    for (const auto& row : c.at("x"))
      for (double x : row) data.x.push_back(x);
    for (int y : c.at("y")) data.labels.push_back(y);
    check_spectrum(model, data, c);
  }
}

TEST_CASE("hessian: spectrum of the reference transformer [float64 oracle, N = 2728]") {
  const auto c = reference("llama_2_8_2_half");
  TransformerOptions options;
  options.vocabulary = 64, options.positions = 16, options.layers = 2, options.width = 8;
  options.heads = options.kv_heads = 2, options.mlp_width = 24;
  TokenBatch data{4, 16, {}};
  for (size_t s = 0; s < 4; ++s) {
    for (int token : c.at("x").at(s)) data.tokens.push_back(std::uint16_t(token));
    data.tokens.push_back(c.at("y").at(s).back().get<std::uint16_t>());
  }
  check_spectrum(Transformer<double>(options), data, c);
}

}  // namespace
}  // namespace hone
