// The products of sim/base/gemm.hpp against Eigen's in one run, in the shapes of a linear layer on 256 tokens: forward
// (nt), adjoint of the input (nn) and of the weights (tn), each of width C by 8C/3. One thread.
//   of_eigen   Eigen's time over hone's, both the best of two hundred
#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include "sim/base/gemm.hpp"
#include "sim/base/parallel.hpp"
#include "tests/bench/timing.hpp"

namespace hone {
namespace {

enum class Pass { forward, input_adjoint, weight_adjoint };

template <class S, Pass pass>
void linear_product(benchmark::State& state) {
  pin_eigen();
  const Index rows = 256, in = state.range(0), out = (8 * in / 3 + 31) / 32 * 32;
  const Matrix<S> x = Matrix<S>::Random(rows, in), w = Matrix<S>::Random(out, in), dy = Matrix<S>::Random(rows, out);
  Matrix<S> y(rows, out), dx(rows, in), dw(out, in);
  const auto own = [&] {
    if (pass == Pass::forward) gemm_nt<S>(y, x, w);
    if (pass == Pass::input_adjoint) gemm_nn<S>(dx, dy, w);
    if (pass == Pass::weight_adjoint) gemm_tn<S>(dw, dy, x);
  };
  const auto eigen = [&] {
    if (pass == Pass::forward) y.noalias() = x * w.transpose();
    if (pass == Pass::input_adjoint) dx.noalias() = dy * w;
    if (pass == Pass::weight_adjoint) dw.noalias() = dy.transpose() * x;
  };
  for (auto _ : state) own();
  const double ours = best_seconds(own, 200), theirs = best_seconds(eigen, 200);
  state.counters["gflops"] = 2.0 * double(rows * in * out) / ours * 1e-9;
  state.counters["of_eigen"] = theirs / ours;
}

void widths(benchmark::internal::Benchmark* b) {
  for (const int width : {32, 64, 128, 256}) b->Arg(width);
  b->Unit(benchmark::kMicrosecond);
}

BENCHMARK(linear_product<float, Pass::forward>)->Apply(widths);
BENCHMARK(linear_product<float, Pass::input_adjoint>)->Apply(widths);
BENCHMARK(linear_product<float, Pass::weight_adjoint>)->Apply(widths);
BENCHMARK(linear_product<double, Pass::forward>)->Apply(widths);
BENCHMARK(linear_product<double, Pass::weight_adjoint>)->Apply(widths);

}  // namespace
}  // namespace hone
