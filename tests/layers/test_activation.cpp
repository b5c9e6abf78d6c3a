#include "sim/layers/activation.hpp"

#include <array>

#include "tests/support/layer_harness.hpp"
#include "tests/support/naive.hpp"

namespace hone::test {
namespace {

constexpr std::array every_activation = {Activation::tanh,      Activation::relu, Activation::gelu,
                                         Activation::gelu_tanh, Activation::silu, Activation::identity};

struct ActivationLayer {
  Index n;
  Activation kind;

  Index output_count() const { return n; }
  std::vector<InputPart> parts() const { return {{n, Write::assign}}; }
  template <class S>
  void forward(const S* in, S* out) const {
    activation_forward<S>(out, in, n, kind);
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    activation_backward<S>(din, dout, in, n, kind);
  }
  void tforward(const double* in, const double* tin, double* tout) const {
    activation_tforward<double>(tout, tin, in, n, kind);
  }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    activation_tbackward<double>(tdin, tdout, dout, tin, in, n, kind);
  }
  Vector<double> naive(const Vector<double>& in) const {
    return in.unaryExpr([this](double x) { return naive::activation(x, kind); });
  }
};

/// in = g (n), u (n).
struct SwigluLayer {
  Index n;

  Index output_count() const { return n; }
  std::vector<InputPart> parts() const { return {{2 * n, Write::assign}}; }
  template <class S>
  void forward(const S* in, S* out) const {
    swiglu_forward<S>(out, in, in + n, n);
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    swiglu_backward<S>(din, din + n, dout, in, in + n, n);
  }
  void tforward(const double* in, const double* tin, double* tout) const {
    swiglu_tforward<double>(tout, tin, tin + n, in, in + n, n);
  }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    swiglu_tbackward<double>(tdin, tdin + n, tdout, dout, tin, tin + n, in, in + n, n);
  }
  Vector<double> naive(const Vector<double>& in) const {
    Vector<double> y(n);
    for (Index i = 0; i < n; ++i) y[i] = naive::silu(in[i]) * in[n + i];
    return y;
  }
};

TEST_SUITE_BEGIN("layers");

TEST_CASE("activation: the four passes agree with each other, with loops and with duals [all six]") {
  std::uint32_t number = 10000;
  for (Activation kind : every_activation)
    for (Index n : {1, 2, 7, 65}) {
      number += 10;
      CAPTURE(int(kind));
      CAPTURE(n);
      const bool is_flat = kind == Activation::relu || kind == Activation::identity;
      Vector<double> in = normals(n, number);
      // Keeps the kink of ReLU out of the reach of a finite step.
      in = in.unaryExpr([](double x) { return x + (x > 0 ? 0.1 : -0.1); });
      check_layer(ActivationLayer{n, kind}, in, is_flat ? Shape::flat : Shape::curved, number + 1);
    }
}

TEST_CASE(
    "swiglu: the four passes agree with each other, with loops and with duals [blocks of 64 "
    "crossed]") {
  std::uint32_t number = 13000;
  for (Index n : {1, 63, 64, 65, 200}) {
    number += 10;
    CAPTURE(n);
    check_layer(SwigluLayer{n}, normals(2 * n, number), Shape::curved, number + 1);
  }
}

TEST_CASE_TEMPLATE("activation: value and both derivatives stay finite far from 0 [|x| up to 1e4]", S, float, double) {
  for (Activation kind : every_activation)
    for (double x : {-1e4, -800.0, -90.0, -20.0, 0.0, 20.0, 90.0, 800.0, 1e4}) {
      const S at = S(x);
      any::for_jets(&at, 1, kind, [&](Index, const any::ActivationJet<S>& a) {
        CAPTURE(int(kind));
        CAPTURE(x);
        const double limit = kind == Activation::tanh       ? std::tanh(x)
                             : kind == Activation::identity ? x
                                                            : std::max(x, 0.0);
        CHECK_NEAR(a.value, limit, 0.0, 1e-6);
        CHECK(std::isfinite(a.first));
        CHECK(std::isfinite(a.second));
      });
    }
}

TEST_CASE("activation: the vectorized tanh is the library's to a relative 4e-15 [1e-300 to 30, both signs]") {
  std::vector<double> x;
  for (double v = 1e-300; v < 1; v *= 3) x.push_back(v), x.push_back(-v);
  for (double v = 1e-3; v < 30; v *= 1.003) x.push_back(v), x.push_back(-v);
  for (double v : {0.0, -0.0, 0.1, 0.0999999, 1e5, -1e5}) x.push_back(v);
  std::vector<double> y(x.size());
  activation_forward<double>(y.data(), x.data(), Index(x.size()), Activation::tanh);
  for (size_t i = 0; i < x.size(); ++i) {
    CAPTURE(x[i]);
    CHECK_NEAR(y[i], std::tanh(x[i]), 4e-15, 0.0);
  }
  const double bad = NAN;
  activation_forward<double>(y.data(), &bad, 1, Activation::tanh);
  CHECK(std::isnan(y[0]));
}

TEST_CASE_TEMPLATE("swiglu: gates far from 0 give 0 or u·g, never NaN [|g| up to 1e4]", S, float, double) {
  for (double g : {-1e4, -800.0, -90.0, 90.0, 800.0, 1e4}) {
    CAPTURE(g);
    const std::array<S, 9> gate = {S(g), S(g), S(g), S(g), S(g), S(g), S(g), S(g), S(g)};
    std::array<S, 9> up, y, dg, du;
    up.fill(S(2));
    swiglu_forward<S>(y.data(), gate.data(), up.data(), 9);
    swiglu_backward<S>(dg.data(), du.data(), up.data(), gate.data(), up.data(), 9);
    for (size_t i = 0; i < 9; ++i) {
      CHECK_NEAR(y[i], 2 * std::max(g, 0.0), 1e-6, 1e-30);
      CHECK_NEAR(dg[i], g > 0 ? 4.0 : 0.0, 1e-6, 1e-30);
      CHECK_NEAR(du[i], 2 * std::max(g, 0.0), 1e-6, 1e-30);
    }
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
