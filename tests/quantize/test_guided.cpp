// Guided Gram matrices: the identity with the weighted change of the outputs, the order of the three objectives, and
// the collection through a model against one pass by hand.
#include "sim/quantize/guided.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/quantize/guided_grams.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

/// Adjoints whose size differs between outputs and between tokens, as those of a trained model do.
Matrix<double> uneven_adjoints(Index tokens, Index outputs, std::uint32_t number) {
  Matrix<double> g = gaussian(tokens, outputs, number);
  const Matrix<double> size = gaussian(tokens, outputs, number + 1);
  for (Index j = 0; j < outputs; ++j) g.col(j).array() *= (1.5 * size.col((j / 4) * 4).array()).exp();
  return g;
}

/// Σ_k tr(D_k F_k D_kᵀ), D_k the rows of group k.
double guided_error(const Matrix<double>& d, const std::vector<Matrix<double>>& grams) {
  const Index groups = Index(grams.size());
  double sum = 0;
  for (Index k = 0; k < groups; ++k) {
    const Index first = row_group(d.rows(), groups, k);
    sum += gram_error(d.middleRows(first, row_group(d.rows(), groups, k + 1) - first), grams[size_t(k)]);
  }
  return sum;
}

TEST_CASE("guided: with one group for each output the error is the weighted change of the outputs") {
  const Matrix<double> x = gaussian(50, 20, 1), g = uneven_adjoints(50, 12, 2), d = gaussian(12, 20, 4);
  const double direct = g.cwiseProduct(Matrix<double>(x * d.transpose())).squaredNorm() / 50;
  CHECK_NEAR(guided_error(d, guided_grams(x, g, 12)), direct, 1e-9, 0);
  CHECK(std::abs(guided_error(d, guided_grams(x, g, 4)) - direct) > 1e-3 * direct);
}

TEST_CASE("guided: equal adjoints give the plain Gram matrix, whatever the groups") {
  const Matrix<double> x = gaussian(50, 20, 5), g = Matrix<double>::Constant(50, 10, 3.0);
  for (const Index groups : {Index(1), Index(3), Index(10)})
    for (const Matrix<double>& f : guided_grams(x, g, groups))
      CHECK(relative_error(f, Matrix<double>(9.0 / 50 * x.transpose() * x)) <= 1e-12);
}

TEST_CASE("guided: on the weighted objective exact groups beat four, and four beat the plain Gram matrix, on average") {
  double exact = 0, four = 0, plain = 0, plain_of_plain = 0, plain_of_exact = 0;
  for (std::uint32_t seed = 0; seed < 8; ++seed) {
    const Matrix<double> w = gaussian(16, 24, 100 + 10 * seed), g = uneven_adjoints(300, 16, 101 + 10 * seed);
    const Matrix<double> x =
        gaussian(300, 6, 103 + 10 * seed) * gaussian(6, 24, 104 + 10 * seed) + 0.3 * gaussian(300, 24, 105 + 10 * seed);
    const GptqOptions options{.quantizer = {.bits = 3}};
    const auto each = guided_grams(x, g, 16);
    const Matrix<double> h = x.transpose() * x / 300;
    const Matrix<double> d_exact = gptq_guided(w, each, options).q - w;
    const Matrix<double> d_four = gptq_guided(w, guided_grams(x, g, 4), options).q - w;
    const Matrix<double> d_plain = gptq(w, h, options).q - w;
    exact += guided_error(d_exact, each), four += guided_error(d_four, each), plain += guided_error(d_plain, each);
    plain_of_plain += gram_error(d_plain, h), plain_of_exact += gram_error(d_exact, h);
  }
  CHECK(exact <= four);
  CHECK(four < plain);
  CHECK(plain_of_plain < plain_of_exact);
}

TEST_CASE("guided: GPTQ with the same matrix for all groups is GPTQ, and shared steps are refused") {
  const Matrix<double> w = gaussian(10, 20, 6), x = gaussian(60, 20, 7), h = x.transpose() * x / 60;
  const GptqOptions options{.quantizer = {.bits = 3, .granularity = Granularity::group, .group = 8}};
  const GptqResult one = gptq(w, h, options), split = gptq_guided(w, {h, h, h}, options);
  CHECK(one.q == split.q);
  CHECK(one.steps == split.steps);
  CHECK_NEAR(one.loss, split.loss, 1e-12, 0);
  CHECK_THROWS_AS(gptq_guided(w, {h, h}, {.quantizer = {.bits = 3, .granularity = Granularity::tensor}}), OptionError);
  CHECK_THROWS_AS(gptq_guided(w, {}, options), ContractError);
}

/// Input of a weight and the adjoint of its output, by hand.
std::pair<Block<double>, Block<double>> site_of(const std::string& name, const TransformerActs<double>& x,
                                                const TransformerActs<double>& dx, bool gated) {
  const int layer = name[7] - '0';
  const auto& a = x.layers[size_t(layer)];
  const auto& d = dx.layers[size_t(layer)];
  const std::string part = name.substr(9);
  if (part == "wq") return {a.norm1, d.q};
  if (part == "wk") return {a.norm1, d.k};
  if (part == "wv") return {a.norm1, d.v};
  if (part == "wo") return {a.o, d.mid};
  if (part == "w_gate") return {a.norm2, d.gate};
  if (part == "w_up") return {a.norm2, gated ? d.up : d.gate};
  return {a.act, dx.layers[size_t(layer) + 1].in};
}

TEST_CASE("guided: the adjoints times the inputs are the gradient, and the grams of a model those of one pass") {
  for (const TransformerOptions& options : {tiny_llama(), gpt2_style(tiny_llama())}) {
    const Transformer<double> model(options);
    const TokenBatch data = random_tokens(options, 21, 8);
    const Vector<double> theta = random_parameters(model.layout(), 9);
    auto x = model.make_acts(21), dx = model.make_acts(21);
    Vector<double> gradient = Vector<double>::Zero(theta.size());
    model.forward(theta.data(), data, 0, x, {});
    model.backward(theta.data(), x, dx, 1.0, gradient.data());
    GuidedOptions how{.groups = 3, .chunks = {10, 1}};
    const auto found = guided_statistics(model, theta.data(), data, how);
    how.chunks.threads = 3;
    const auto threaded = guided_statistics(model, theta.data(), data, how);
    size_t number = 0;
    for (const ParamBlock& block : model.layout().blocks()) {
      if (!block.is_quantizable()) continue;
      CAPTURE(block.name);
      REQUIRE(number < found.size());
      CHECK(found[number].block == block.name);
      const auto [input, adjoint] = site_of(block.name, x, dx, options.mlp == MlpKind::swiglu);
      const Matrix<double> outer = adjoint.view().transpose() * input.view();
      CHECK(relative_error(outer, Matrix<double>(view(gradient.data(), block))) <= 1e-10);
      const auto want = guided_grams(Matrix<double>(input.view()), Matrix<double>(adjoint.view()), 3);
      for (size_t k = 0; k < 3; ++k) {
        CHECK(relative_error(found[number].grams[k], want[k]) <= 1e-10);
        CHECK(found[number].grams[k] == threaded[number].grams[k]);
      }
      ++number;
    }
    CHECK(number == found.size());
  }
}

TEST_CASE("guided: drawn labels follow their seed and differ from the data's") {
  const Transformer<double> model(tiny_llama());
  const TokenBatch data = random_tokens(tiny_llama(), 12, 10);
  const Vector<double> theta = random_parameters(model.layout(), 11);
  const auto with = [&](std::optional<std::uint64_t> seed, Index rows) {
    return guided_statistics(model, theta.data(), data, {.groups = 1, .chunks = {rows, 1}, .sampled_labels = seed})[0]
        .grams[0];
  };
  CHECK(with(1, 10) == with(1, 10));
  CHECK(relative_error(with(1, 10), with(1, 60)) <= 1e-12);
  CHECK(relative_error(with(1, 10), with(2, 10)) > 1e-3);
  CHECK(relative_error(with(1, 10), with(std::nullopt, 10)) > 1e-3);
}

}  // namespace
}  // namespace hone::test
