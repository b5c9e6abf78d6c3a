// Fisher products against the matrices they stand for, built from the gradient of every single token.
#include "sim/curvature/fisher.hpp"

#include <set>

#include "sim/curvature/linearization.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

using test::relative_error;

/// A tiny model, its set, and J: d logits / d θ of every row, column by column from tangent passes.
template <class Model>
struct Case {
  Model model;
  typename Model::Data data;
  Vector<double> theta = test::random_parameters(model.layout(), 8);
  Index rows = Model::example_count(data) * model.rows_per_example();
  typename Model::Acts x = model.make_acts(Model::example_count(data));
  Basis jacobian = jacobian_of();  ///< (rows·outputs, P)

  Basis jacobian_of() {
    auto tx = model.make_acts(Model::example_count(data));
    model.forward(theta.data(), data, 0, x, Precision{});
    Basis j(x.logits.size(), theta.size());
    for (Index i = 0; i < theta.size(); ++i) {
      const Vector<double> unit = Vector<double>::Unit(theta.size(), i);
      model.tforward(theta.data(), unit.data(), x, tx);
      j.col(i) = ConstVecView<double>(tx.logits.data, tx.logits.size());
    }
    return j;
  }
  /// Gradient of row t for the score s of its logits.
  Vector<double> row_gradient(Index t, const Vector<double>& s) const {
    return jacobian.middleRows(t * s.size(), s.size()).transpose() * s;
  }
  /// p - onehot(label) with p from the logits.
  Vector<double> score(Index t, Index label) const {
    const Index outputs = x.logits.cols;
    Vector<double> p = ConstVecView<double>(x.logits.data + t * outputs, outputs).array().exp();
    p /= p.sum();
    p[label] -= 1;
    return p;
  }
};

Case<Transformer<double>> transformer_case(Head head = Head::untied) {
  TransformerOptions o = test::tiny_llama();
  o.vocabulary = 5, o.positions = 3, o.layers = 1, o.width = 4, o.heads = 2, o.kv_heads = 1, o.mlp_width = 3;
  o.head = head;
  return {Transformer<double>(o), test::random_tokens(o, 4, 4)};
}

Case<Mlp<double>> mlp_case(MlpLoss loss) {
  return {Mlp<double>({{4, 5, 3}, Activation::tanh, loss, true}), test::random_vectors(7, 4, 3, 5)};
}

/// Mean of g g' over the columns g.
Basis second_moment(const Basis& gradients) { return gradients * gradients.transpose() / double(gradients.cols()); }

template <class Model>
Basis token_gradients(const Case<Model>& c) {
  Basis g(c.theta.size(), c.rows);
  for (Index t = 0; t < c.rows; ++t) g.col(t) = c.row_gradient(t, c.score(t, c.x.targets[size_t(t)]));
  return g;
}

TEST_CASE("empirical fisher: the mean of g g' over tokens, g one token's gradient [tied, untied, perceptron; ragged]") {
  for (Head head : {Head::untied, Head::tied}) {
    const auto c = transformer_case(head);
    Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{9, 1}});
    const Basis g = token_gradients(c);
    CHECK(relative_error(linear.gradient(), Vector<double>(g.rowwise().mean())) <= 1e-13);
    CHECK(relative_error(test::dense(linear.empirical_fisher()), second_moment(g)) <= 1e-12);
  }
  const auto c = mlp_case(MlpLoss::softmax_xent);
  Linearization<Mlp<double>> linear(c.model, c.theta.data(), c.data, {{3, 1}});
  CHECK(relative_error(test::dense(linear.empirical_fisher()), second_moment(token_gradients(c))) <= 1e-12);
}

TEST_CASE("empirical fisher: of examples it is the mean of g g' over sequences, and differs from that of tokens") {
  const auto c = transformer_case();
  Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{9, 1}});
  const Basis tokens = token_gradients(c);
  Basis examples(c.theta.size(), 4);
  for (Index b = 0; b < 4; ++b) examples.col(b) = tokens.middleCols(3 * b, 3).rowwise().mean();
  const Basis found = test::dense(linear.empirical_fisher(FisherUnit::example));
  CHECK(relative_error(found, second_moment(examples)) <= 1e-12);
  CHECK(relative_error(found, second_moment(tokens)) > 0.1);
}

TEST_CASE("empirical fisher: for squared error the scores are 2(z-y)/O") {
  const auto c = mlp_case(MlpLoss::squared_error);
  Linearization<Mlp<double>> linear(c.model, c.theta.data(), c.data, {{3, 1}});
  Basis g(c.theta.size(), c.rows);
  for (Index t = 0; t < c.rows; ++t) {
    const ConstVecView<double> z(c.x.logits.data + 3 * t, 3), y(c.data.y.data() + 3 * t, 3);
    g.col(t) = c.row_gradient(t, (z - y) * (2.0 / 3));
  }
  CHECK(relative_error(test::dense(linear.empirical_fisher()), second_moment(g)) <= 1e-12);
}

TEST_CASE("sampled fisher: the mean of g g' over tokens and draws, whatever the chunks [3 draws of stream (seed, s)]") {
  const auto c = transformer_case();
  Basis g(c.theta.size(), 3 * c.rows);
  for (Index t = 0; t < c.rows; ++t)
    for (std::uint32_t s = 0; s < 3; ++s) {
      const double u = uniform({17, Domain::label, s}, std::uint64_t(t));
      Index label = 0;
      for (double sum = c.x.probs.data[5 * t]; sum < u; sum += c.x.probs.data[5 * t + label]) ++label;
      g.col(3 * t + s) = c.row_gradient(t, c.score(t, label));
    }
  for (Index rows : {3, 9, 100}) {
    Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{rows, 1}});
    const LinearOperator found = linear.sampled_fisher({.samples = 3, .seed = 17});
    CHECK(relative_error(test::dense(found), second_moment(g)) <= 1e-12);
  }
}

/// v'F v over 40 seeds against v'G v: the mean within 4 standard errors, which are below 5 % of it.
template <class Model>
void check_mean_is_ggn(const Case<Model>& c) {
  Linearization<Model> linear(c.model, c.theta.data(), c.data, {{100, 1}});
  const Vector<double> v = test::normals(c.theta.size(), 9);
  Vector<double> product;
  linear.ggn().apply(v, product);
  const double wanted = v.dot(product);
  double sum = 0, squares = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    linear.sampled_fisher({.samples = 50, .seed = seed}).apply(v, product);
    sum += v.dot(product), squares += v.dot(product) * v.dot(product);
  }
  const double mean = sum / 40, error = std::sqrt((squares / 40 - mean * mean) / 39);
  CHECK(error <= 0.05 * wanted);
  CHECK_NEAR(mean, wanted, 0, 4 * error);
}

TEST_CASE("sampled fisher: its mean over seeds is Gauss-Newton's [transformer; perceptron with either loss]") {
  check_mean_is_ggn(transformer_case());
  check_mean_is_ggn(mlp_case(MlpLoss::softmax_xent));
  check_mean_is_ggn(mlp_case(MlpLoss::squared_error));
}

TEST_CASE("sampled fisher: neighbouring seeds, draws and tokens share no random bits") {
  std::set<std::array<std::uint32_t, 4>> blocks;
  for (std::uint64_t seed : {1, 2, 3})
    for (std::uint32_t sample = 0; sample < 4; ++sample)
      for (std::uint64_t token = 0; token < 64; ++token) blocks.insert(bits({seed, Domain::label, sample}, token));
  CHECK(blocks.size() == 3 * 4 * 64);
  const auto c = transformer_case();
  Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {});
  const Basis one = test::dense(linear.sampled_fisher({.samples = 1, .seed = 1}));
  CHECK(relative_error(test::dense(linear.sampled_fisher({.samples = 1, .seed = 2})), one) > 1e-3);
  CHECK((test::dense(linear.sampled_fisher({.samples = 1, .seed = 1})).array() == one.array()).all());
  CHECK_THROWS_AS(linear.sampled_fisher({.samples = 0}), ContractError);
}

TEST_CASE("draw_label: inverts the distribution function, never draws probability 0, and stays in range for NaN") {
  const double p[] = {0.5, 0, 0.25, 0.25, 0};
  const std::pair<double, Index> cases[] = {{1e-300, 0}, {0.499, 0}, {0.5, 2},      {0.501, 2},
                                            {0.749, 2},  {0.751, 3}, {1 - 1e-16, 3}};
  for (const auto& [u, label] : cases) CHECK(draw_label(p, 5, u) == label);
  const float unnormalized[] = {2, 6};
  CHECK(draw_label(unnormalized, 2, 0.26) == 1);
  const double broken[] = {0.5, NAN, 0.5};
  CHECK(draw_label(broken, 3, 0.9) == 2);
}

}  // namespace
}  // namespace hone
