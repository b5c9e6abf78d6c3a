// Gradient and curvature products as ratios in one run: against the machine's own matrix product on as
// many threads, and against one another. 32 sequences of 128 tokens, byte vocabulary, Llama-style.
//   of_peak      flops counted as 6, 12 or 8 per parameter of a matrix and token (gradient, cached Hessian product,
//                cached Gauss-Newton product), over the best rate of a 512³ product per thread in the same run
//   of_gradient  time over the time of one gradient (a cached Hessian product should be near 2)
//   cmake --build build/release --target hone_bench && build/release/tests/bench/hone_bench --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include "sim/curvature/linearization.hpp"
#include "sim/model/transformer.hpp"
#include "tests/bench/timing.hpp"

namespace hone {
namespace {

/// Rate of 512³ products, one per thread at a time.
template <class S>
double gemm_flops(int threads) {
  constexpr Index n = 512, products = 8;
  const Matrix<S> a = Matrix<S>::Constant(n, n, S(0.5)), b = a;
  std::vector<Matrix<S>> c(size_t(threads), a);
  const auto work = [&] {
    parallel_for(products, threads, [&](Index, int worker) { gemm_nn<S>(c[size_t(worker)], a, b); });
  };
  return 2.0 * n * n * n * products / best_seconds(work, 5);
}

template <class S>
struct Setting {
  explicit Setting(const benchmark::State& state) : threads(int(state.range(3))) {
    TransformerOptions options;
    options.layers = state.range(0);
    options.width = state.range(1);
    options.heads = options.kv_heads = state.range(2);
    options.mlp_width = (8 * options.width / 3 + 31) / 32 * 32;
    model.emplace(options);
    data = {32, 128, std::vector<std::uint16_t>(32 * 129)};
    for (size_t i = 0; i < data.tokens.size(); ++i) data.tokens[i] = std::uint16_t(below({1, Domain::test, 0}, i, 256));
    theta = model->initial_parameters(1);
    gradient.resize(theta.size());
    embedding = options.vocabulary * options.width;
  }
  /// Flops of `per` flops for each parameter that is multiplied with, and each token.
  double flops(double per) const { return per * double(Index(theta.size()) - embedding) * 32 * 128; }

  std::optional<Transformer<S>> model;
  TokenBatch data;
  AlignedVector<S> theta, gradient;
  Index embedding = 0;
  int threads = 1;
};

void report(benchmark::State& state, double seconds, double flops, double peak) {
  state.counters["tokens_per_s"] = 32 * 128 / seconds;
  state.counters["gflops"] = flops / seconds * 1e-9;
  state.counters["of_peak"] = flops / seconds / peak;
}

template <class S>
void gradient(benchmark::State& state) {
  Setting<S> s(state);
  Objective<Transformer<S>> objective(*s.model, {256, s.threads});
  const auto work = [&] { objective.gradient(s.theta.data(), s.data, s.gradient.data()); };
  for (auto _ : state) work();
  report(state, best_seconds(work, 5), s.flops(6), gemm_flops<S>(s.threads));
}

enum class Kind { hessian, ggn };

template <class S, Kind kind>
void product(benchmark::State& state) {
  Setting<S> s(state);
  Objective<Transformer<S>> objective(*s.model, {256, s.threads});
  const std::vector<double> theta(s.theta.begin(), s.theta.end());
  Linearization<Transformer<S>> linear(*s.model, theta.data(), s.data, {{256, s.threads}});
  const Vector<double> v = Vector<double>::Ones(linear.size());
  Vector<double> result;
  const auto apply = [&] { kind == Kind::hessian ? linear.hessian_product(v, result) : linear.ggn().apply(v, result); };
  for (auto _ : state) apply();
  const double seconds = best_seconds(apply, 5);
  report(state, seconds, s.flops(kind == Kind::hessian ? 12 : 8), gemm_flops<S>(s.threads));
  state.counters["of_gradient"] =
      seconds / best_seconds([&] { objective.gradient(s.theta.data(), s.data, s.gradient.data()); }, 5);
}

/// layers, width, heads, threads
void sizes(benchmark::internal::Benchmark* b) {
  for (const int threads : {1, 2})
    b->Args({2, 32, 2, threads})->Args({2, 64, 4, threads})->Args({4, 128, 4, threads})->Args({6, 256, 8, threads});
  b->Unit(benchmark::kMillisecond)->UseRealTime();
}

BENCHMARK(gradient<float>)->Apply(sizes);
BENCHMARK(gradient<double>)->Apply(sizes);
BENCHMARK(product<float, Kind::hessian>)->Apply(sizes);
BENCHMARK(product<double, Kind::hessian>)->Apply(sizes);
BENCHMARK(product<float, Kind::ggn>)->Apply(sizes);

}  // namespace
}  // namespace hone
