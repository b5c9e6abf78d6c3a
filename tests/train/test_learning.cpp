// The whole of training on text whose entropy is known: periodic bytes.
#include <array>
#include <numbers>

#include "sim/train/trainer.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

constexpr Index positions = 8;

/// Windows of … a b a c a b a c …, one at each of the given phases.
TokenBatch periodic(const std::vector<std::uint64_t>& phases) {
  constexpr std::array<std::uint16_t, 4> period = {'a', 'b', 'a', 'c'};
  TokenBatch batch{Index(phases.size()), positions, {}};
  for (std::uint64_t phase : phases)
    for (Index t = 0; t <= positions; ++t) batch.tokens.push_back(period[(phase + std::uint64_t(t)) % 4]);
  return batch;
}

/// Mean loss over the four phases, before and after `updates` updates.
std::array<double, 2> losses_of_run(TransformerOptions architecture, std::int64_t updates) {
  architecture.vocabulary = 256;
  architecture.positions = positions;
  TrainOptions options;
  options.schedule = {.peak = 2e-2, .warmup_steps = 10, .horizon_steps = updates, .decay = Decay::cosine};
  const Transformer<float> model(architecture);
  Objective<Transformer<float>> objective(model, options.chunks);
  TrainState<float> state = initial_state(model, options);
  const BatchSource<TokenBatch> source = [](std::int64_t step) {
    return periodic(ids<std::uint64_t>(8, 4, std::uint32_t(step)));
  };
  const TokenBatch all = periodic({0, 1, 2, 3});
  const double before = objective.value(state.theta.data(), all);
  train_to(updates, state, objective, source, options, options.schedule, [](const StepRecord&) {});
  return {before, objective.value(state.theta.data(), all)};
}

TEST_SUITE_BEGIN("train");

// Over the four phases the only thing no model can know is what follows an 'a' at the first
// position: ln 2 in two windows of four, once in T tokens, so the mean loss is at least ln 2/(2T).
// A model that sees only the current token pays ln 2 after every 'a', half of all tokens: at least
// ln 2/2.
TEST_CASE(
    "trainer: a tiny transformer learns periodic text beyond its bigrams and never below its "
    "entropy") {
  const double floor = std::numbers::ln2 / (2 * positions), bigram = std::numbers::ln2 / 2;
  for (const TransformerOptions& architecture : {tiny_llama(), gpt2_style(tiny_llama())}) {
    const auto [before, after] = losses_of_run(architecture, 150);
    CHECK_NEAR(before, std::log(256.0), 0.2, 0.0);
    CHECK(after < bigram / 2);
    CHECK(after >= floor);
    CHECK_NEAR(after, floor, 0.2, 0.0);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
