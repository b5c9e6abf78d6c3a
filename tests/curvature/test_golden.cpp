// Two tiny models against two libraries that know nothing of hone or of each other, curvlinops and
// hessian-eigenthings, in float64. The files are written by experiments/peers/make_golden.py.
#include "sim/curvature/dense.hpp"
#include "sim/curvature/extremes.hpp"
#include "sim/curvature/linearization.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

/// Each to 1e-8 of its own size.
void check_eigenvalues(const Vector<double>& a, const json& wanted) {
  const Vector<double> b = vector_of(wanted);
  REQUIRE(a.size() == b.size());
  for (Index i = 0; i < b.size(); ++i) {
    CAPTURE(i);
    CHECK_NEAR(a[i], b[i], 1e-8, 0.0);
  }
}

void check_product(const LinearOperator& op, const json& golden, const json& library) {
  Vector<double> product;
  op.apply(vector_of(golden["direction"]), product);
  CHECK(relative_error(product, vector_of(library["product"])) <= 1e-12);
}

/// Every number of both libraries, from the whole matrix.
template <class Model>
void check_against(const Model& model, const typename Model::Data& data, const json& golden) {
  const Vector<double> theta = vector_of(golden["theta"]);
  REQUIRE(theta.size() == model.layout().size());
  Linearization<Model> linear(model, theta.data(), data, {});
  CHECK_NEAR(linear.loss_nats(), golden["loss"], 1e-13, 0.0);
  const LinearOperator hessian = linear.hessian(), ggn = linear.ggn();
  const DenseSpectrum all = dense_spectrum(hessian, {});
  for (const auto& [name, library] : golden["hessian"].items()) {
    CAPTURE(name);
    check_product(hessian, golden, library);
    check_eigenvalues(all.values.reverse().head(5), library["largest"]);
    check_eigenvalues(all.values.head(3), library["smallest"]);
    CHECK_NEAR(all.trace, library["trace"], 1e-11, 0.0);
    CHECK_NEAR(std::sqrt(all.frobenius_norm2), library["frobenius"], 1e-12, 0.0);
  }
  const Basis matrix = dense_matrix(ggn, {});
  for (const auto& [name, library] : golden["ggn"].items()) {
    CAPTURE(name);
    check_product(ggn, golden, library);
    CHECK_NEAR(matrix.trace(), library["trace"], 1e-11, 0.0);
    CHECK_NEAR(matrix.norm(), library["frobenius"], 1e-12, 0.0);
  }
  const json& fisher = golden["fisher"]["curvlinops"];
  check_product(linear.empirical_fisher(FisherUnit::token), golden, fisher);
}

/// The Krylov solver, which never sees the matrix, at both ends at once.
template <class Model>
void check_solver(const Model& model, const typename Model::Data& data, const json& golden) {
  const Vector<double> theta = vector_of(golden["theta"]);
  Linearization<Model> linear(model, theta.data(), data, {});
  const json& wanted = golden["hessian"]["curvlinops"];
  const Eigenpairs pairs = extreme_eigenpairs(linear.hessian(), {.count_largest = 5, .count_smallest = 3});
  CHECK(pairs.stop == ExtremesStop::converged);
  REQUIRE(pairs.values.size() == 8);
  check_eigenvalues(pairs.values.head(5), wanted["largest"]);
  check_eigenvalues(pairs.values.tail(3).reverse(), wanted["smallest"]);
  for (const char* kind : {"ggn", "fisher"}) {
    CAPTURE(kind);
    const LinearOperator op = kind == std::string("ggn") ? linear.ggn() : linear.empirical_fisher();
    check_eigenvalues(extreme_eigenpairs(op, {.count_largest = 5}).values, golden[kind]["curvlinops"]["largest"]);
  }
}

TransformerOptions transformer_options(const json& model) {
  TransformerOptions options;
  options.vocabulary = model["vocabulary"];
  options.positions = model["positions"];
  options.layers = model["layers"];
  options.width = model["width"];
  options.heads = options.kv_heads = model["heads"];
  options.mlp_width = model["mlp_width"];
  return options;
}

TokenBatch tokens_of(const json& golden) {
  TokenBatch batch{Index(golden["inputs"].size()), golden["model"]["positions"], {}};
  for (size_t b = 0; b < golden["inputs"].size(); ++b) {
    for (const json& token : golden["inputs"][b]) batch.tokens.push_back(token.get<std::uint16_t>());
    batch.tokens.push_back(golden["targets"][b].back().get<std::uint16_t>());
  }
  return batch;
}

VectorBatch vectors_of(const json& golden) {
  const auto widths = golden["model"]["widths"].get<std::vector<Index>>();
  VectorBatch batch{Index(golden["inputs"].size()), widths.front(), widths.back(), {}, {}, {}};
  for (const json& row : golden["inputs"])
    for (const json& x : row) batch.x.push_back(x.get<double>());
  batch.labels = golden["targets"].get<std::vector<std::int32_t>>();
  return batch;
}

TEST_SUITE_BEGIN("golden");

TEST_CASE("golden: a transformer's curvature equals that of curvlinops and hessian-eigenthings [1576 parameters]") {
  const json golden = load_golden("spectra/transformer_2_8.json");
  const Transformer<double> model(transformer_options(golden["model"]));
  check_against(model, tokens_of(golden), golden);
}

TEST_CASE("golden: the solver finds both ends of a transformer's spectra as two libraries have them") {
  const json golden = load_golden("spectra/transformer_2_8.json");
  const Transformer<double> model(transformer_options(golden["model"]));
  check_solver(model, tokens_of(golden), golden);
}

TEST_CASE("golden: an MLP's curvature and spectra equal those of curvlinops and hessian-eigenthings") {
  const json golden = load_golden("spectra/mlp_8_12_12_4.json");
  const Mlp<double> model({.widths = golden["model"]["widths"].get<std::vector<Index>>()});
  check_against(model, vectors_of(golden), golden);
  check_solver(model, vectors_of(golden), golden);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
