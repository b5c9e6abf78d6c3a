#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "sim/layers/activation.hpp"
#include "sim/layers/cached_attention.hpp"
#include "sim/layers/norm.hpp"
#include "sim/layers/softmax.hpp"
#include "tests/support/class_tables.hpp"
#include "tests/support/draws.hpp"

namespace hone::test {
namespace {

#if defined(__x86_64__)
using enum InstructionClass;

/// Everything that the kernels of a class make of one set of rows of n values.
template <class S>
std::vector<S> results(InstructionClass c, Index n) {
  constexpr Index rows = 3;
  const AlignedVector<S> x = aligned_normals<S>(rows * n, 1), dy = aligned_normals<S>(rows * n, 2),
                         w = aligned_normals<S>(n, 3);
  AlignedVector<S> y(size_t(rows * n)), dx(size_t(rows * n)), stat(2 * rows), dw(static_cast<size_t>(n), S(0));
  std::vector<S> all;
  const auto keep = [&] {
    all.insert(all.end(), y.begin(), y.end());
    all.insert(all.end(), dx.begin(), dx.end());
  };
  const ConstMatView<S> in(x.data(), rows, n), adjoint(dy.data(), rows, n);
  const auto& norm = table_for<NormKernels<S>>(c);
  norm.rmsnorm_forward(MatView<S>(y.data(), rows, n), stat.data(), in, w.data(), 1e-5);
  norm.rmsnorm_backward(MatView<S>(dx.data(), rows, n), dw.data(), adjoint, in, stat.data(), w.data());
  keep();
  norm.layernorm_forward(MatView<S>(y.data(), rows, n), stat.data(), stat.data() + rows, in, w.data(), w.data(), 1e-5);
  keep();
  const auto& soft = table_for<SoftmaxKernels<S>>(c);
  soft.softmax_rows(y.data(), stat.data(), x.data(), rows, n);
  soft.softmax_tangent_rows(dx.data(), dy.data(), n, y.data(), n, rows, n, S(0.7));
  keep();
  const auto& activation = table_for<ActivationKernels<S>>(c);
  for (const Activation kind : {Activation::tanh, Activation::gelu, Activation::gelu_tanh, Activation::silu}) {
    activation.activation_forward(y.data(), x.data(), rows * n, kind);
    activation.activation_tbackward(dx.data(), dy.data(), x.data(), dy.data(), x.data(), rows * n, kind);
    keep();
  }
  return all;
}

TEST_CASE_TEMPLATE("norms, softmax and activations have equal bits in v3 and v4 [1 to 70 channels]", S, float, double) {
  if (!is_usable(v4)) {
    MESSAGE("skipped: this machine cannot run v4");
    return;
  }
  for (Index n = 1; n <= 70; ++n) CHECK(results<S>(v3, n) == results<S>(v4, n));
}

TEST_CASE_TEMPLATE("v2, without fused multiply-add, differs from v3 by rounding only [1 to 70 channels]", S, float,
                   double) {
  if (!is_usable(v3)) {
    MESSAGE("skipped: this machine cannot run v3");
    return;
  }
  for (Index n = 1; n <= 70; ++n) {
    const std::vector<S> a = results<S>(v2, n), b = results<S>(v3, n);
    for (size_t i = 0; i < a.size(); ++i)
      CHECK(std::abs(a[i] - b[i]) <= S(32) * std::numeric_limits<S>::epsilon() * (S(1) + std::abs(b[i])));
  }
}

TEST_CASE_TEMPLATE("a row has equal bits at every address and beside any others [every class]", S, float, double) {
  const AlignedVector<S> x = aligned_normals<S>(2000, 5), w = aligned_normals<S>(100, 6);
  for (const InstructionClass c : usable_classes()) {
    CAPTURE(name_of(c));
    const auto& norm = table_for<NormKernels<S>>(c);
    const auto& soft = table_for<SoftmaxKernels<S>>(c);
    const auto& activation = table_for<ActivationKernels<S>>(c);
    for (const Index n : {1, 5, 16, 17, 33, 61}) {
      std::vector<S> together(size_t(20 * n)), totals(20), first;
      const ConstMatView<S> all(x.data(), 20, n);
      norm.rmsnorm_forward(MatView<S>(together.data(), 20, n), totals.data(), all, w.data(), 1e-5);
      soft.softmax_rows(together.data(), totals.data(), together.data(), 20, n);
      activation.activation_forward(together.data(), together.data(), 20 * n, Activation::silu);
      for (Index m = 0; m < 20; ++m)
        for (const Index shift : {0, 1, 2, 5}) {
          AlignedVector<S> memory(size_t(n + shift));
          S* alone = memory.data() + shift;
          S total = 0;
          norm.rmsnorm_forward(MatView<S>(alone, 1, n), &total, ConstMatView<S>(x.data() + m * n, 1, n), w.data(),
                               1e-5);
          soft.softmax_rows(alone, &total, alone, 1, n);
          activation.activation_forward(alone, alone, n, Activation::silu);
          CHECK(std::equal(alone, alone + n, together.begin() + m * n));
          CHECK(total == totals[size_t(m)]);
        }
    }
  }
}

TEST_CASE_TEMPLATE("equal values have equal results wherever in a row they stand [every class, 4 to 70 channels]", S,
                   float, double) {
  constexpr Index period = 3;
  const AlignedVector<S> values = aligned_normals<S>(2 * period, 7);
  for (const InstructionClass c : usable_classes())
    for (Index n = period + 1; n <= 70; ++n) {
      CAPTURE(name_of(c));
      CAPTURE(n);
      const size_t size = size_t(n);
      AlignedVector<S> x(size), dy(size), w(size, S(0.7)), y(size), dx(size), dw(size, S(0));
      for (size_t i = 0; i < size; ++i) x[i] = values[i % period], dy[i] = values[period + i % period];
      S stat[2] = {};
      const ConstMatView<S> in(x.data(), 1, n), adjoint(dy.data(), 1, n);
      const auto check = [&] {
        CHECK(std::equal(y.begin() + period, y.end(), y.begin()));
        CHECK(std::equal(dx.begin() + period, dx.end(), dx.begin()));
      };
      const auto& norm = table_for<NormKernels<S>>(c);
      norm.rmsnorm_forward(MatView<S>(y.data(), 1, n), stat, in, w.data(), 1e-5);
      norm.rmsnorm_backward(MatView<S>(dx.data(), 1, n), dw.data(), adjoint, in, stat, w.data());
      check();
      norm.layernorm_forward(MatView<S>(y.data(), 1, n), stat, stat + 1, in, w.data(), w.data(), 1e-5);
      check();
      const auto& soft = table_for<SoftmaxKernels<S>>(c);
      soft.softmax_rows(y.data(), stat, x.data(), 1, n);
      soft.softmax_tangent_rows(dx.data(), dy.data(), n, y.data(), n, 1, n, S(0.7));
      check();
      const auto& activation = table_for<ActivationKernels<S>>(c);
      for (const Activation kind : {Activation::tanh, Activation::gelu, Activation::gelu_tanh, Activation::silu}) {
        activation.activation_forward(y.data(), x.data(), n, kind);
        activation.activation_tbackward(dx.data(), dy.data(), x.data(), dy.data(), x.data(), n, kind);
        check();
      }
    }
}
#endif

}  // namespace
}  // namespace hone::test
