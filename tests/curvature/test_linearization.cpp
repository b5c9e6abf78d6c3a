#include "sim/curvature/linearization.hpp"

#include <Eigen/Eigenvalues>
#include <string>

#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

using test::relative_error;
using test::TinyCase;

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

TEST_CASE(
    "linearization: the quantizable block has the bits of H [head untied, tied; GPT-2; experts; caches; threads]") {
  TransformerOptions tied = test::tiny_llama(), experts = test::tiny_llama();
  tied.head = Head::tied;
  experts.experts = 3, experts.experts_per_token = 2;
  for (const TransformerOptions& options : {test::tiny_llama(), tied, gpt2_style(test::tiny_llama()), experts}) {
    const TinyCase c{options};
    const std::vector<Index> places = c.model.layout().quantizable_indices();
    Vector<double> v = Vector<double>::Zero(c.v.size());
    for (Index i : places) v[i] = c.v[i];
    for (std::int64_t cache : {std::int64_t(0), std::int64_t(1) << 30}) {
      Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{10, 2}, cache});
      const Vector<double> whole = product(linear.hessian(), v), part = product(linear.quantizable_hessian(), v);
      Vector<double> wanted = Vector<double>::Zero(v.size());
      for (Index i : places) wanted[i] = whole[i];
      CHECK((part.array() == wanted.array()).all());
      CHECK(wanted.norm() < whole.norm());  // the rest moves too, and is left out
    }
  }
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

/// Every operator of a linearization, by name.
template <class Model>
std::vector<std::pair<std::string, LinearOperator>> operators_of(Linearization<Model>& linear) {
  return {{"hessian", linear.hessian()},
          {"ggn", linear.ggn()},
          {"empirical fisher", linear.empirical_fisher()},
          {"empirical fisher of examples", linear.empirical_fisher(FisherUnit::example)},
          {"sampled fisher", linear.sampled_fisher({.samples = 2, .seed = 5})}};
}

template <class S>
void check_many_columns(const TinyCase& c, int threads, std::int64_t cache, Index panel) {
  const Transformer<S> model(c.options);
  CurvatureOptions options{{10, threads}, cache};
  Linearization<Transformer<S>> plain(model, c.theta.data(), c.data, options);
  options.panel = panel;
  Linearization<Transformer<S>> linear(model, c.theta.data(), c.data, options);
  Basis v(c.theta.size(), 5);
  for (Index j = 0; j < 5; ++j) v.col(j) = test::normals(c.theta.size(), 60 + std::uint32_t(j));
  const auto ones = operators_of(plain), manies = operators_of(linear);
  for (size_t i = 0; i < ones.size(); ++i) {
    CAPTURE(ones[i].first);
    Basis many;
    multiply(manies[i].second, v, many);
    for (Index j = 0; j < 5; ++j) CHECK((many.col(j).array() == product(ones[i].second, v.col(j)).array()).all());
  }
}

TEST_CASE("linearization: 5 columns at once have the bits of single products [panels 1, 2, 5, 8; caches; threads]") {
  TinyCase c;
  for (Index panel : {1, 2, 5, 8}) {
    CAPTURE(panel);
    check_many_columns<double>(c, 1, 1 << 30, panel);
    check_many_columns<double>(c, 3, 40000, panel);
    check_many_columns<float>(c, 2, 0, panel);
  }
}

TEST_CASE("linearization: every product has equal bits for 1 to 5 threads [C0b; 7 chunks]") {
  TinyCase c;
  Linearization<Transformer<double>> reference(c.model, c.theta.data(), c.data, {{5, 1}});
  const auto wanted = operators_of(reference);
  for (int threads : {2, 3, 4, 5}) {
    Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{5, threads}});
    CHECK((linear.gradient().array() == reference.gradient().array()).all());
    const auto found = operators_of(linear);
    for (size_t i = 0; i < found.size(); ++i)
      CHECK((product(found[i].second, c.v).array() == product(wanted[i].second, c.v).array()).all());
  }
}

template <class S>
void check_chunks(const TinyCase& c, double tolerance) {
  const Transformer<S> model(c.options);
  Linearization<Transformer<S>> whole(model, c.theta.data(), c.data, {{1000, 1}});
  const auto wanted = operators_of(whole);
  for (Index rows : {5, 10, 15, 20}) {
    Linearization<Transformer<S>> linear(model, c.theta.data(), c.data, {{rows, 1}});
    const auto found = operators_of(linear);
    for (size_t i = 0; i < found.size(); ++i) {
      CAPTURE(found[i].first);
      CHECK(relative_error(product(found[i].second, c.v), product(wanted[i].second, c.v)) <= tolerance);
    }
  }
}

TEST_CASE("linearization: every product of a ragged set equals that of all at once [C0d; 1e-13, 1e-6 in float]") {
  TinyCase c;
  check_chunks<double>(c, 1e-13);
  check_chunks<float>(c, 1e-6);
}

template <class S>
void check_scale(const TinyCase& c, double scale, double tolerance) {
  const Transformer<S> model(c.options);
  CurvatureOptions options{{10, 1}};
  Linearization<Transformer<S>> plain(model, c.theta.data(), c.data, options);
  options.loss_scale = scale;
  Linearization<Transformer<S>> scaled_loss(model, c.theta.data(), c.data, options);
  CHECK_NEAR(scaled_loss.loss_nats(), scale * plain.loss_nats(), tolerance, 0);
  CHECK(relative_error(scaled_loss.gradient(), Vector<double>(scale * plain.gradient())) <= tolerance);
  const auto wanted = operators_of(plain), found = operators_of(scaled_loss);
  for (size_t i = 0; i < found.size(); ++i) {
    CAPTURE(found[i].first);
    CHECK(relative_error(product(found[i].second, c.v), Vector<double>(scale * product(wanted[i].second, c.v))) <=
          tolerance);
  }
}

TEST_CASE("linearization: a loss times 1e-8 or 1e8 scales loss, gradient and products [C0e; 1e-12, 1e-6 in float]") {
  TinyCase c;
  for (double scale : {1e-8, 1e8}) {
    check_scale<double>(c, scale, 1e-12);
    check_scale<float>(c, scale, 1e-6);
  }
}

TEST_CASE("linearization: softmax regression has H = G = mean of (diag p - pp')(x)xx' [2 classes: logistic, 3]") {
  for (Index classes : {2, 3}) {
    const Mlp<double> model({{4, classes}, Activation::tanh, MlpLoss::softmax_xent, false});
    const VectorBatch data = test::random_vectors(10, 4, classes, 5);
    const Vector<double> theta = test::random_parameters(model.layout(), 6);
    const ConstMatView<double> x(data.x.data(), 10, 4), w(theta.data(), classes, 4);
    Basis wanted = Basis::Zero(4 * classes, 4 * classes);
    for (Index m = 0; m < 10; ++m) {
      Vector<double> p = (w * x.row(m).transpose()).array().exp();
      p /= p.sum();
      for (Index a = 0; a < classes; ++a)
        for (Index b = 0; b < classes; ++b)
          wanted.block(4 * a, 4 * b, 4, 4) += p[a] * ((a == b) - p[b]) / 10 * (x.row(m).transpose() * x.row(m));
    }
    Linearization<Mlp<double>> linear(model, theta.data(), data, {{4, 1}});
    CHECK(relative_error(test::dense(linear.hessian()), wanted) <= 1e-13);
    CHECK(relative_error(test::dense(linear.ggn()), wanted) <= 1e-13);
  }
}

TEST_CASE("linearization: G and both Fishers have no eigenvalue below -1e-12 of the largest; H has") {
  const Mlp<double> model({{5, 6, 3}, Activation::tanh, MlpLoss::softmax_xent, true});
  const VectorBatch data = test::random_vectors(12, 5, 3, 5);
  const Vector<double> theta = test::random_parameters(model.layout(), 6);
  Linearization<Mlp<double>> linear(model, theta.data(), data, {{5, 1}});
  for (const auto& named : operators_of(linear)) {  // Clang 14 captures no structured binding
    CAPTURE(named.first);
    const Vector<double> values = Eigen::SelfAdjointEigenSolver<Basis>(test::dense(named.second)).eigenvalues();
    const double least = values[0] / values[values.size() - 1];
    CHECK((named.first == "hessian" ? least < -1e-3 : least >= -1e-12));
  }
}

/// The Hessian from gradients alone, by five-point differences.
template <class Model>
Basis differenced_hessian(const Model& model, const typename Model::Data& data, const Vector<double>& theta) {
  test::ModelPasses<Model> passes(model, data);
  const double h = 3e-4;
  Basis out(theta.size(), theta.size());
  const auto at = [&](Index i, double step) -> Vector<double> {
    return passes.gradient(theta + step * Vector<double>::Unit(theta.size(), i));
  };
  for (Index i = 0; i < theta.size(); ++i)
    out.col(i) = (8 * (at(i, h) - at(i, -h)) - (at(i, 2 * h) - at(i, -2 * h))) / (12 * h);
  return out;
}

TEST_CASE("linearization: the whole Hessian equals differences of the gradient [head untied, tied; GPT-2, tied]") {
  TransformerOptions options = test::tiny_llama();
  options.vocabulary = 5, options.positions = 4, options.width = 4, options.heads = 2, options.kv_heads = 1;
  options.mlp_width = 3;
  TransformerOptions tied = options;
  tied.head = Head::tied;
  for (const TransformerOptions& o : {options, tied, gpt2_style(options)}) {
    const Transformer<double> model(o);
    const TokenBatch data = test::random_tokens(o, 3, 4);
    const Vector<double> theta = test::random_parameters(model.layout(), 8);
    Linearization<Transformer<double>> linear(model, theta.data(), data, {{8, 1}});
    const Basis found = test::dense(linear.hessian());
    CHECK(relative_error(found, differenced_hessian(model, data, theta)) <= 1e-8);
    CHECK(relative_error(found, Basis(found.transpose())) <= 1e-13);
  }
}

TEST_CASE("linearization: memory is within the plan [chunks, ragged or not; caches; threads; panels; all products]") {
  TinyCase c;
  for (Index rows : {5, 10, 35})
    for (std::int64_t cache : {std::int64_t(0), std::int64_t(200000), std::int64_t(1) << 30})
      for (int threads : {1, 3, 9})
        for (Index panel : {1, 4, 20}) {
          const CurvatureOptions options{{rows, threads}, cache, 0, panel};
          Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, options);
          Basis result;
          for (const auto& [name, op] : operators_of(linear))
            for (Index k = 1; k <= panel; k += 3) multiply(op, Basis::Ones(op.size, k), result);
          multiply(linear.hessian(), Basis::Ones(linear.size(), panel), result);
          const std::string which = fmt::format("{} {} {} {}", rows, cache, threads, panel);
          CAPTURE(which);
          CHECK(linear.bytes() <= linear.plan().bytes());
          if (threads == 1) CHECK(linear.bytes() == linear.plan().bytes());
          CHECK(linear.plan().cache <= cache);
          CHECK(linear.cached_chunks() == linear.plan().cached_chunks);
        }
}

TEST_CASE("linearization: memory does not grow with the set once the cache is full") {
  TinyCase c;
  const auto plan = [&](Index sequences) {
    return plan_memory(c.model, sequences, {{10, 2}, std::int64_t(200000)}).bytes();
  };
  CHECK(plan(100) == plan(100000));
}

TEST_CASE("linearization: a plan above the limit is refused with its numbers before anything starts") {
  TinyCase c;
  CurvatureOptions options{{10, 1}, 1 << 30};
  options.limit_bytes = plan_memory(c.model, 7, options).bytes();
  CHECK_NOTHROW(Linearization<Transformer<double>>(c.model, c.theta.data(), c.data, options));
  --options.limit_bytes;
  CHECK_THROWS_AS(Linearization<Transformer<double>>(c.model, c.theta.data(), c.data, options), OptionError);
  std::string message;
  try {
    check_memory(plan_memory(c.model, 7, options), options);
  } catch (const OptionError& error) {
    message = error.what();
  }
  for (const std::string& part : {std::to_string(options.limit_bytes), std::string("lower cache_bytes"),
                                  std::string("chunks.threads"), std::string("MiB")})
    CHECK(message.find(part) != std::string::npos);
}

}  // namespace
}  // namespace hone
