// Distillation without data: the loss against differences and against compare_outputs, the generated text against the
// teacher's own distributions, and what it does for a quantized model.
#include "sim/quantize/distillation.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "sim/quantize/output_change.hpp"
#include "tests/support/markov_task.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

struct Setting {
  Transformer<double> model{tiny_llama()};
  Vector<double> teacher = random_parameters(model.layout(), 1), student = random_parameters(model.layout(), 2);
  TokenBatch data = random_tokens(model.options(), 7, 3);

  double loss(const Vector<double>& theta, const QatOptions& options, Vector<double>* gradient = nullptr,
              int threads = 1) const {
    DistillationObjective<double> objective(model, teacher.data(), {10, threads}, options);
    Vector<double> written(objective.layout().size());
    const double value = objective.gradient(theta.data(), data, written.data());
    if (gradient) *gradient = written;
    return value;
  }
};

TEST_CASE("distillation: the gradient is that of central differences [full precision]") {
  const Setting s;
  Vector<double> gradient;
  s.loss(s.student, {}, &gradient);
  for (std::uint32_t draw = 0; draw < 4; ++draw) {
    const Vector<double> v = normals(s.student.size(), 50 + draw);
    const double h = 1e-5;
    const double slope = (s.loss(s.student + h * v, {}) - s.loss(s.student - h * v, {})) / (2 * h);
    CHECK_NEAR(gradient.dot(v), slope, 1e-7, 1e-8 * gradient.norm() * v.norm());
  }
}

TEST_CASE("distillation: the loss is the divergence that compare_outputs measures, quantizers included") {
  const Setting s;
  for (const QatOptions& options : {QatOptions{}, llm_qat_options(3, 4, 4)}) {
    QatWeights<double> weights(s.model.layout(), options, 1);
    const OutputChange change =
        compare_outputs<double>({s.model, s.teacher.data(), {}},
                                {s.model, weights.quantize(s.student.data()), options.precision}, s.data, {10, 1});
    CHECK_NEAR(s.loss(s.student, options), change.kl_nats.mean, 1e-10, 0);
  }
}

TEST_CASE("distillation: a student that is its teacher has no loss and no gradient; threads change no bit") {
  const Setting s;
  Vector<double> gradient, again;
  CHECK(std::abs(s.loss(s.teacher, {}, &gradient)) < 1e-14);
  CHECK(gradient.isZero(0));
  const double one = s.loss(s.student, llm_qat_options(3, 4, 4), &gradient);
  CHECK(s.loss(s.student, llm_qat_options(3, 4, 4), &again, 3) == one);
  CHECK(gradient == again);
}

TEST_CASE(
    "distillation: generated text is the teacher's [greedy tokens are its likeliest, others have its frequencies]") {
  TransformerOptions architecture = tiny_llama();
  architecture.positions = 9;
  const Transformer<double> model(architecture);
  const Vector<double> theta = 3 * random_parameters(model.layout(), 4);
  const GenerationOptions options{.sequences = 3000, .seed = 5, .threads = 2};
  const TokenBatch text = generate_sequences(model, theta.data(), options);
  REQUIRE(text.tokens.size() == 3000 * 10);
  auto x = model.make_acts(text.sequences);
  model.forward(theta.data(), text, 0, x, {});
  std::vector<Index> greedy(8), firsts(11);
  double surprise = 0, entropy = 0, variance = 0;
  for (Index s = 0; s < text.sequences; ++s) {
    ++firsts[text.tokens[size_t(s * 10)]];
    Index count = 0;
    for (Index t = 0; t < 9; ++t) {
      const auto p = x.probs.view().row(s * 9 + t);
      const Index next = text.tokens[size_t(s * 10 + t + 1)];
      Index best = 0;
      p.maxCoeff(&best);
      if (t == count && next == best && t < 5) ++count;
      if (t < 5) continue;  // from here on all are drawn
      const double mean = -(p.array() * p.array().log()).sum();
      surprise -= std::log(p[next]);
      entropy += mean;
      variance += (p.array() * p.array().log().square()).sum() - mean * mean;
    }
    CHECK(count >= 3);
    ++greedy[size_t(count)];
  }
  CHECK(std::abs(surprise - entropy) < 4 * std::sqrt(variance));
  CHECK(greedy[3] > 100);
  CHECK(greedy[4] > 100);
  CHECK(greedy[5] > 3000 / 3 - 130);
  for (const Index count : firsts) CHECK(std::abs(double(count) - 3000.0 / 11) < 5 * std::sqrt(3000.0 / 11));
}

TEST_CASE("distillation: a generated sequence depends neither on the threads nor on how many there are") {
  const Setting s;
  GenerationOptions options{.sequences = 70, .seed = 6, .threads = 1};
  const TokenBatch many = generate_sequences(s.model, s.teacher.data(), options);
  options.sequences = 5, options.threads = 3;
  const TokenBatch few = generate_sequences(s.model, s.teacher.data(), options);
  CHECK(std::equal(few.tokens.begin(), few.tokens.end(), many.tokens.begin()));
  options.seed = 7;
  CHECK(generate_sequences(s.model, s.teacher.data(), options).tokens != few.tokens);
  options.most_greedy = 2;
  CHECK_THROWS_AS(generate_sequences(s.model, s.teacher.data(), options), ContractError);
}

TEST_CASE("distillation: learning from the teacher's own text lowers the divergence on held-out real windows") {
  const MarkovTask task;
  const Transformer<float> model(MarkovTask::architecture());
  const TrainOptions training = MarkovTask::training(300);
  Objective<Transformer<float>> plain(model, training.chunks);
  TrainState<float> teacher = initial_state(model, training);
  REQUIRE(train_out(plain, teacher, task.batches(), training).stop == TrainStop::reached);

  const QatOptions options = llm_qat_options(3, 4, 4);
  DistillationObjective<float> objective(model, teacher.theta.data(), training.chunks, options);
  const TokenBatch text = generate_sequences(model, teacher.theta.data(), {.sequences = 480, .seed = 8});
  const BatchSource<TokenBatch> source = [&](std::int64_t step) {
    const Index first = step % 20 * 24, width = MarkovTask::positions + 1;
    return TokenBatch{
        24, MarkovTask::positions, {text.tokens.begin() + first * width, text.tokens.begin() + (first + 24) * width}};
  };
  TrainOptions tuning = MarkovTask::training(100);
  tuning.schedule.peak = 2e-3;
  TrainState<float> state = qat_state_from(teacher.theta.data(), objective.weights(), tuning);
  const auto divergence = [&] {
    return compare_outputs<float>({model, teacher.theta.data(), {}},
                                  {model, objective.weights().quantize(state.theta.data()), options.precision},
                                  task.evaluation, {128, 1})
        .kl_nats;
  };
  const MeanEstimate before = divergence();
  REQUIRE(train_out(objective, state, source, tuning).stop == TrainStop::reached);
  const MeanEstimate after = divergence();
  MESSAGE("KL " << before.mean << " before, " << after.mean << " after");
  CHECK(after.mean + 4 * after.standard_error < before.mean - 4 * before.standard_error);
}

}  // namespace
}  // namespace hone::test
