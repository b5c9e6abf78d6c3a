#include "sim/model/objective.hpp"

#include "sim/base/error.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

template <class S>
AlignedVector<S> aligned(const Vector<double>& theta) {
  AlignedVector<S> out(size_t(theta.size()));
  for (Index i = 0; i < theta.size(); ++i) out[size_t(i)] = S(theta[i]);
  return out;
}

template <class S>
Vector<double> in_double(const AlignedVector<S>& values) {
  return ConstVecView<S>(values.data(), Index(values.size())).template cast<double>();
}

/// Value and gradient of a set by Objective.
template <class S>
struct Evaluation {
  double value = 0, gradient_value = 0;
  AlignedVector<S> gradient;

  template <class Model>
  Evaluation(const Model& model, const AlignedVector<S>& theta, const typename Model::Data& data, ChunkOptions options)
      : gradient(theta.size(), S(7)) {
    Objective<Model> objective(model, options);
    value = objective.value(theta.data(), data);
    gradient_value = objective.gradient(theta.data(), data, gradient.data());
  }
};

TokenBatch sequence_of(const TokenBatch& all, Index number) {
  const auto begin = all.tokens.begin() + number * (all.positions + 1);
  return {1, all.positions, {begin, begin + all.positions + 1}};
}

TEST_SUITE_BEGIN("model");

TEST_CASE("objective: float loss and gradient agree with double to 1e-5 [Llama- and GPT-2-style]") {
  for (const TransformerOptions& options : {tiny_llama(), gpt2_style(tiny_llama())}) {
    const Transformer<float> single(options);
    const Transformer<double> full(options);
    const TokenBatch data = random_tokens(options, 9, 1);
    // Rounded first, so that both start from the same parameters.
    const AlignedVector<float> theta = aligned<float>(random_parameters(options.layout(), 2));
    const Evaluation<float> f(single, theta, data, {});
    const Evaluation<double> d(full, aligned<double>(in_double(theta)), data, {});
    CHECK_NEAR(f.value, d.value, 1e-6, 0.0);
    CHECK(relative_error(in_double(f.gradient), in_double(d.gradient)) <= 1e-5);
  }
}

TEST_CASE_TEMPLATE("objective: value and gradient have equal bits for 1, 2 and 3 threads", S, float, double) {
  const TransformerOptions options = tiny_llama();
  const Transformer<S> model(options);
  const TokenBatch data = random_tokens(options, 41, 3);  // more chunks than one wave, the last one ragged
  const AlignedVector<S> theta = aligned<S>(random_parameters(options.layout(), 4));
  const Evaluation<S> one(model, theta, data, {.rows = 10, .threads = 1});
  for (int threads : {2, 3}) {
    CAPTURE(threads);
    const Evaluation<S> many(model, theta, data, {.rows = 10, .threads = threads});
    CHECK(many.value == one.value);
    CHECK(many.gradient_value == one.gradient_value);
    CHECK(many.gradient == one.gradient);
  }
}

TEST_CASE(
    "objective: the chunk size changes only rounding [ragged last chunks, chunks below one "
    "sequence]") {
  const TransformerOptions options = tiny_llama();
  const Transformer<double> model(options);
  const TokenBatch data = random_tokens(options, 7, 5);
  const AlignedVector<double> theta = aligned<double>(random_parameters(options.layout(), 6));
  const Evaluation<double> whole(model, theta, data, {.rows = 1000});
  CHECK_NEAR(whole.gradient_value, whole.value, 1e-14, 0.0);
  for (Index rows : {1, 5, 10, 14, 20, 34}) {
    CAPTURE(rows);
    const Evaluation<double> cut(model, theta, data, {.rows = rows});
    CHECK_NEAR(cut.value, whole.value, 1e-14, 0.0);
    CHECK(relative_error(in_double(cut.gradient), in_double(whole.gradient)) <= 1e-12);
  }
}

TEST_CASE("objective: loss and gradient of a set are the means over its sequences") {
  const TransformerOptions options = gpt2_style(tiny_llama());
  const Transformer<double> model(options);
  const TokenBatch data = random_tokens(options, 5, 7);
  const AlignedVector<double> theta = aligned<double>(random_parameters(options.layout(), 8));
  const Evaluation<double> whole(model, theta, data, {.rows = 10});
  Objective<Transformer<double>> objective(model, {.rows = 10});
  const std::vector<double> losses = objective.example_losses(theta.data(), data);
  REQUIRE(losses.size() == 5);
  Vector<double> mean = Vector<double>::Zero(model.layout().size());
  for (Index s = 0; s < 5; ++s) {
    const Evaluation<double> single(model, theta, sequence_of(data, s), {});
    CHECK_NEAR(losses[size_t(s)], single.value, 1e-14, 0.0);
    mean += in_double(single.gradient) / 5;
  }
  CHECK(relative_error(in_double(whole.gradient), mean) <= 1e-12);
}

TEST_CASE("objective: an object that saw other sets before gives the bits of a fresh one") {
  const TransformerOptions options = tiny_llama();
  const Transformer<float> model(options);
  const AlignedVector<float> theta = aligned<float>(random_parameters(options.layout(), 9));
  const TokenBatch data = random_tokens(options, 5, 10);
  const Evaluation<float> fresh(model, theta, data, {.rows = 10});
  Objective<Transformer<float>> used(model, {.rows = 10});
  AlignedVector<float> gradient(theta.size());
  used.gradient(theta.data(), random_tokens(options, 8, 11), gradient.data());
  CHECK(used.gradient(theta.data(), data, gradient.data()) == fresh.gradient_value);
  CHECK(gradient == fresh.gradient);
}

TEST_CASE("objective: works for the perceptron with one row per example") {
  const MlpOptions options{.widths = {4, 6, 3}};
  const Mlp<double> model(options);
  const VectorBatch data = random_vectors(11, 4, 3, 12);
  const AlignedVector<double> theta = aligned<double>(random_parameters(options.layout(), 13));
  const Evaluation<double> whole(model, theta, data, {.rows = 100}), cut(model, theta, data, {.rows = 4, .threads = 2});
  CHECK_NEAR(cut.value, whole.value, 1e-14, 0.0);
  CHECK(relative_error(in_double(cut.gradient), in_double(whole.gradient)) <= 1e-12);
}

TEST_CASE("objective: no threads or no rows -> ContractError") {
  const Mlp<double> model({.widths = {4, 3}});
  CHECK_THROWS_AS(Objective<Mlp<double>>(model, {.rows = 0}), ContractError);
  CHECK_THROWS_AS(Objective<Mlp<double>>(model, {.threads = 0}), ContractError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
