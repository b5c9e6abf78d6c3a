// A law fitted to 10 000 rows of 1000 trajectories, and the interval of every parameter: 1001 fits.
//   seconds     of the whole; a minute on two threads at most
#include <benchmark/benchmark.h>

#include <cmath>

#include "tests/bench/timing.hpp"
#include "theory/fits/jackknife.hpp"
#include "theory/solvable/planted.hpp"

namespace hone::theory {
namespace {

/// 50 sizes with 5 token counts, 3 and 4 bits, 20 seeds.
std::vector<Observation> many_rows(LawKind kind, const std::vector<double>& parameters) {
  SyntheticGrid grid{.N = {}, .D = {2.5e5, 7e5, 2e6, 5e6, 1.3e7}, .P = {3, 4}};
  for (int i = 0; i < 50; ++i) grid.N.push_back(1e4 * std::pow(30, i / 49.0));
  return planted_campaign(kind, parameters, points_of(grid), 20, {}, 1);
}

void intervals_of(benchmark::State& state, LawKind kind, const std::vector<double>& parameters) {
  const auto rows = many_rows(kind, parameters);
  const IntervalOptions options{.threads = static_cast<int>(state.range(0))};
  double seconds = 0;
  for (auto _ : state)
    seconds = best_seconds([&] { benchmark::DoNotOptimize(fit_intervals(kind, rows, {.starts = 4}, options)); }, 1);
  state.counters["rows"] = static_cast<double>(rows.size());
  state.counters["seconds"] = seconds;
}

void log_linear_law(benchmark::State& state) { intervals_of(state, LawKind::ptq_exponential, {-3, 0.5, 0.35, 1.6}); }

void nonlinear_law(benchmark::State& state) {
  intervals_of(state, LawKind::ptq_saturating, {-2, 0.35, std::log(60.0), 0.9, 1.6});
}

BENCHMARK(log_linear_law)->Arg(1)->Arg(2)->Iterations(1)->Unit(benchmark::kSecond)->UseRealTime();
BENCHMARK(nonlinear_law)->Arg(1)->Arg(2)->Iterations(1)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace
}  // namespace hone::theory
