#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/curvature/extremes.hpp"
#include "sim/curvature/operators.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

using test::relative_error;

struct TinyCase {
  TransformerOptions options = test::tiny_llama();
  Transformer<double> model{options};
  TokenBatch data = test::random_tokens(options, 7, 1);
  Vector<double> theta = test::random_parameters(model.layout(), 2);
  Vector<double> v = test::normals(theta.size(), 3);
};

Vector<double> product(const LinearOperator& op, const Vector<double>& v) {
  Vector<double> result;
  op.apply(v, result);
  return result;
}

TEST_CASE("linearization: loss, gradient, H v and G v equal the four passes [chunks of 1, 2, 3 and all; ragged]") {
  TinyCase c;
  test::ModelPasses<Transformer<double>> passes(c.model, c.data);
  const double loss = passes.loss(c.theta);
  const Vector<double> gradient = passes.gradient(c.theta);
  const Vector<double> hv = passes.hessian_product(c.theta, c.v);
  const Vector<double> gv = passes.ggn_product(c.theta, c.v);
  for (Index rows : {5, 10, 15, 1000})
    for (std::int64_t cache : {std::int64_t(0), std::int64_t(1) << 30}) {
      CAPTURE(rows);
      CAPTURE(cache);
      Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{rows, 1}, cache});
      CHECK((linear.cached_chunks() == 0) == (cache == 0));
      CHECK_NEAR(linear.loss_nats(), loss, 1e-14, 0);
      CHECK(relative_error(linear.gradient(), gradient) <= 1e-13);
      CHECK(relative_error(product(linear.hessian(), c.v), hv) <= 1e-13);
      CHECK(relative_error(product(linear.ggn(), c.v), gv) <= 1e-13);
    }
}

TEST_CASE("linearization: products have equal bits for 1, 2 and 3 threads and with or without a cache") {
  TinyCase c;
  const auto products = [&](int threads, std::int64_t cache) {
    Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{10, threads}, cache});
    return std::pair(product(linear.hessian(), c.v), product(linear.ggn(), c.v));
  };
  const auto one = products(1, 1 << 30);
  for (int threads : {1, 2, 3})
    for (std::int64_t cache : {std::int64_t(0), std::int64_t(40000), std::int64_t(1) << 30}) {
      const auto other = products(threads, cache);
      CHECK((one.first.array() == other.first.array()).all());
      CHECK((one.second.array() == other.second.array()).all());
    }
}

TEST_CASE("linearization: repeated products have equal bits and do not disturb one another") {
  TinyCase c;
  Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{10, 2}});
  const Vector<double> first = product(linear.hessian(), c.v);
  (void)product(linear.ggn(), c.v);
  (void)product(linear.hessian(), test::normals(c.theta.size(), 9));
  CHECK((product(linear.hessian(), c.v).array() == first.array()).all());
}

TEST_CASE("linearization: H is symmetric, u'Hv = v'Hu [transformer, 10 draws]") {
  TinyCase c;
  Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{10, 1}});
  for (std::uint32_t i = 0; i < 10; ++i) {
    const Vector<double> u = test::normals(c.theta.size(), 20 + i), v = test::normals(c.theta.size(), 40 + i);
    const Vector<double> hv = product(linear.hessian(), v);
    CHECK(std::abs(u.dot(hv) - v.dot(product(linear.hessian(), u))) <= 1e-13 * u.norm() * hv.norm());
  }
}

TEST_CASE("linearization: a float product agrees with double to 1e-5") {
  TinyCase c;
  const Transformer<float> single(c.options);
  Linearization<Transformer<float>> f(single, c.theta.data(), c.data, {{10, 1}});
  Linearization<Transformer<double>> d(c.model, c.theta.data(), c.data, {{10, 1}});
  CHECK(relative_error(product(f.hessian(), c.v), product(d.hessian(), c.v)) <= 1e-5);
  CHECK(relative_error(product(f.ggn(), c.v), product(d.ggn(), c.v)) <= 1e-5);
}

TEST_CASE("linearization: G equals H for a model linear in its parameters, and X'X·2/M for squared error") {
  MlpOptions options{{6, 3}, Activation::tanh, MlpLoss::squared_error, false};
  const Mlp<double> model(options);
  const VectorBatch data = test::random_vectors(20, 6, 3, 5);
  const Vector<double> theta = test::random_parameters(model.layout(), 6);
  Linearization<Mlp<double>> linear(model, theta.data(), data, {{8, 1}});
  const Basis h = test::dense(linear.hessian()), g = test::dense(linear.ggn());
  CHECK(relative_error(g, h) <= 1e-14);
  const ConstMatView<double> x(data.x.data(), 20, 6);
  const Basis gram = 2.0 / (20 * 3) * (x.transpose() * x);
  for (Index o = 0; o < 3; ++o) CHECK(relative_error(Basis(h.block(6 * o, 6 * o, 6, 6)), gram) <= 1e-13);
  CHECK(h.block(0, 6, 6, 6).norm() == 0);
}

TEST_CASE("restrict_to: the principal block, in the order of the positions") {
  const Basis a = test::matrix_with_spectrum(Vector<double>::LinSpaced(9, -1, 3), 11);
  const std::vector<Index> keep = {7, 0, 3};
  const Basis block = test::dense(restrict_to(test::operator_of(a), keep));
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 3; ++j) CHECK_NEAR(block(i, j), a(keep[size_t(i)], keep[size_t(j)]), 1e-15, 0);
  CHECK_THROWS_AS(restrict_to(test::operator_of(a), {9}), ContractError);
}

nlohmann::json reference(const std::string& name) {
  std::ifstream in(std::string(HONE_TEST_DATA) + "/models/" + name + ".json");
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
  const LinearOperator minus_h = {h.size, [&](const Vector<double>& v, Vector<double>& r) { h.apply(v, r), r = -r; }};
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
    const Eigenpairs pairs = largest_eigenpairs(op, {.count = count, .steps_max = 400, .tolerance = 1e-12});
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
