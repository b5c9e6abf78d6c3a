// Quantization of the weights of a whole model of a million parameters in its matrices (5 layers, width 128), float.
//   of_forward  time over that of one forward pass on the same tokens, in the same run
//   of_float    time of an update over that of an update in full precision, in the same run; at most 1.35
// fake_quantize: all weights against a pass over 4 sequences; gptq_model: calibrated on 64 k tokens. Its peer is
// experiments/peers/gptq_peer.py.
#include <benchmark/benchmark.h>

#include "sim/quantize/gptq_model.hpp"
#include "sim/quantize/qat.hpp"
#include "tests/bench/timing.hpp"

namespace hone {
namespace {

struct Setting {
  explicit Setting(Index sequences) : model(options()), theta(model.initial_parameters(1)) {
    data = {sequences, 128, std::vector<std::uint16_t>(size_t(sequences * 129))};
    for (size_t i = 0; i < data.tokens.size(); ++i) data.tokens[i] = std::uint16_t(below({1, Domain::test, 0}, i, 256));
  }
  static TransformerOptions options() {
    TransformerOptions o;
    o.layers = 5, o.width = 128, o.heads = o.kv_heads = 4, o.mlp_width = 352;
    return o;
  }
  double forward_seconds(const ChunkOptions& chunks) const {
    Objective<Transformer<float>> objective(model, chunks);
    return best_seconds([&] { objective.value(theta.data(), data); }, 3);
  }

  Transformer<float> model;
  AlignedVector<float> theta;
  TokenBatch data;
};

/// bits
void fake_quantize_weights(benchmark::State& state) {
  const Setting s(4);
  const Quantizer q{.bits = int(state.range(0)), .granularity = Granularity::group, .group = 64};
  AlignedVector<float> theta = s.theta;
  const auto work = [&] {
    theta = s.theta;
    for (const ParamBlock& block : s.model.layout().blocks())
      if (block.is_quantizable()) fake_quantize<float>(view(theta.data(), block), q, block.rows);
  };
  for (auto _ : state) work();
  state.counters["of_forward"] = best_seconds(work, 5) / s.forward_seconds({256, 1});
}

/// threads
void gptq_of_model(benchmark::State& state) {
  const Setting s(512);
  GptqModelOptions options{.gptq = {.quantizer = {.bits = 4, .grid = Grid::asymmetric}}};
  options.chunks = {512, int(state.range(0))};
  const auto work = [&] { benchmark::DoNotOptimize(gptq_model(s.model, s.theta.data(), s.data, options)); };
  for (auto _ : state) work();
  state.counters["of_forward"] = best_seconds(work, 2) / s.forward_seconds(options.chunks);
}

/// bits of weights, activations, keys and values; threads
void qat_update(benchmark::State& state) {
  const Setting s(32);
  const ChunkOptions chunks{256, int(state.range(1))};
  QatOptions options;
  options.precision.weight.bits = options.precision.activation.bits = int(state.range(0));
  options.precision.key.bits = options.precision.value.bits = int(state.range(0));
  QatObjective<Transformer<float>> low(s.model, chunks, options), full(s.model, chunks, {});
  AlignedVector<float> gradient(s.theta.size());
  const auto update = [&](auto& objective) { objective.gradient(s.theta.data(), s.data, gradient.data()); };
  for (auto _ : state) update(low);
  const double reference = best_seconds([&] { update(full); }, 5);
  state.counters["of_float"] = best_seconds([&] { update(low); }, 5) / reference;
}

BENCHMARK(fake_quantize_weights)->Arg(4)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(qat_update)->Args({4, 1})->Args({4, 2})->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(gptq_of_model)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace hone
