// Gradient and curvature products as ratios in one run: against the machine's own matrix product, and against one
// another. Counters: gflops = 6·P·tokens of a gradient over its time; of_gemm = that over the rate of a 512³ product
// in the same run; of_gradient = time over the time of one gradient (a cached Hessian product should be near 2).
//   cmake --build build/release --target hone_bench && build/release/tests/bench/hone_bench --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <chrono>

#include "sim/curvature/operators.hpp"
#include "sim/model/transformer.hpp"

namespace hone {
namespace {

double seconds_of(const std::function<void()>& work, int repeats) {
  double best = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

/// Rate of a single-threaded 512³ product in the same scalar.
template <class S>
double gemm_flops() {
  Matrix<S> a = Matrix<S>::Constant(512, 512, S(0.5)), b = a, c = a;
  return 2.0 * 512 * 512 * 512 / seconds_of([&] { gemm_nn<S>(c, a, b); }, 10);
}

template <class S>
struct Setting {
  explicit Setting(const benchmark::State& state) {
    TransformerOptions options;
    options.width = state.range(0);
    options.layers = state.range(1);
    options.mlp_width = 3 * options.width;
    model.emplace(options);
    data = {32, 128, std::vector<std::uint16_t>(32 * 129)};
    for (size_t i = 0; i < data.tokens.size(); ++i) data.tokens[i] = std::uint16_t(below({1, Domain::test, 0}, i, 256));
    theta = model->initial_parameters(1);
    gradient.resize(theta.size());
    threads = int(state.range(2));
  }
  std::optional<Transformer<S>> model;
  TokenBatch data;
  AlignedVector<S> theta, gradient;
  int threads = 1;
};

template <class S>
void gradient(benchmark::State& state) {
  Setting<S> s(state);
  Objective<Transformer<S>> objective(*s.model, {256, s.threads});
  for (auto _ : state) benchmark::DoNotOptimize(objective.gradient(s.theta.data(), s.data, s.gradient.data()));
  const double flops = 6.0 * double(s.theta.size()) * 32 * 128;
  const double seconds = seconds_of([&] { objective.gradient(s.theta.data(), s.data, s.gradient.data()); }, 5);
  state.counters["gflops"] = flops / seconds * 1e-9;
  state.counters["of_gemm"] = flops / seconds / gemm_flops<S>();
  state.counters["tokens_per_s"] = 32 * 128 / seconds;
}

enum class Kind { hessian, ggn };

template <class S, Kind kind>
void product(benchmark::State& state) {
  Setting<S> s(state);
  Objective<Transformer<S>> objective(*s.model, {256, s.threads});
  const std::vector<double> theta(s.theta.begin(), s.theta.end());
  Linearization<Transformer<S>> linear(*s.model, theta.data(), s.data, {{256, s.threads}});
  Vector<double> v = Vector<double>::Ones(linear.size()), result;
  const auto apply = [&] { kind == Kind::hessian ? linear.hessian_product(v, result) : linear.ggn_product(v, result); };
  for (auto _ : state) apply();
  state.counters["of_gradient"] =
      seconds_of(apply, 5) / seconds_of([&] { objective.gradient(s.theta.data(), s.data, s.gradient.data()); }, 5);
}

/// width, layers, threads
void sizes(benchmark::internal::Benchmark* b) {
  b->Args({32, 1, 1})->Args({64, 2, 1})->Args({64, 2, 2})->Args({128, 2, 1})->Unit(benchmark::kMillisecond);
}

BENCHMARK(gradient<float>)->Apply(sizes);
BENCHMARK(gradient<double>)->Apply(sizes);
BENCHMARK(product<float, Kind::hessian>)->Apply(sizes);
BENCHMARK(product<double, Kind::hessian>)->Apply(sizes);
BENCHMARK(product<float, Kind::ggn>)->Apply(sizes);

}  // namespace
}  // namespace hone

BENCHMARK_MAIN();
