#include "sim/train/checkpoint.hpp"

#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

struct Training {
  TransformerOptions options = test::tiny_llama();
  Transformer<float> model{options};
  Objective<Transformer<float>> objective{model, {10, 1}};
  TrainOptions train = [] {
    TrainOptions o;
    o.seed = 3;
    o.schedule.warmup_steps = 2;
    o.schedule.horizon_steps = 12;
    o.ema_decay = 0.9;
    o.lawa_window = o.lawa_every = 2;
    return o;
  }();
  BatchSource<TokenBatch> source = [this](std::int64_t step) {
    return test::random_tokens(options, 4, std::uint32_t(step));
  };

  void advance(TrainState<float>& state, std::int64_t target) {
    train_to(target, state, objective, source, train, train.schedule, [](const StepRecord&) {});
  }
};

bool same(const AlignedVector<float>& a, const AlignedVector<float>& b) { return a == b; }

TEST_CASE("checkpoint: 12 updates equal 5, through a record and back, and 7 more, bit for bit") {
  Training t;
  TrainState<float> whole = initial_state(t.model, t.train), first = whole;
  t.advance(whole, 12);
  t.advance(first, 5);
  const Dataset record = to_dataset(first);
  TrainState<float> second = state_from_dataset<float>(record, t.train, t.model.layout().size());
  CHECK(second.step() == 5);
  t.advance(second, 12);
  CHECK(same(whole.theta, second.theta));
  CHECK(same(whole.optimizer.first, second.optimizer.first));
  CHECK(same(whole.optimizer.second, second.optimizer.second));
  CHECK(same(whole.ema.value, second.ema.value));
  CHECK(same(whole.lawa.mean(), second.lawa.mean()));
  CHECK(parameter_hash(whole.theta) == parameter_hash(second.theta));
}

TEST_CASE("checkpoint: one changed bit, a wrong length or a missing array is a FormatError that names it") {
  Training t;
  TrainState<float> state = initial_state(t.model, t.train);
  t.advance(state, 3);
  const Index size = t.model.layout().size();
  Dataset bent = to_dataset(state);
  Variable theta = bent.at("theta");
  std::get<std::vector<float>>(theta.values)[7] += 1e-6f;
  bent.set("theta", theta);
  CHECK_THROWS_WITH_AS(state_from_dataset<float>(bent, t.train, size), doctest::Contains("hash"), FormatError);
  CHECK_THROWS_WITH_AS(state_from_dataset<float>(to_dataset(state), t.train, size + 1), doctest::Contains("theta"),
                       FormatError);
  Dataset empty("state");
  CHECK_THROWS_AS(state_from_dataset<float>(empty, t.train, size), FormatError);
}

}  // namespace
}  // namespace hone
