#include "sim/layers/norm.hpp"

#include <array>

#include "tests/support/layer_harness.hpp"
#include "tests/support/naive.hpp"

namespace hone::test {
namespace {

constexpr double eps = 1e-5;

/// in = x (M,C), w (C).
struct RmsNormLayer {
  Index M, C;

  Index output_count() const { return M * C; }
  std::vector<InputPart> parts() const { return {{M * C, Write::add}, {C, Write::add}}; }
  template <class S>
  ConstMatView<S> x(const S* in) const {
    return ConstMatView<S>(in, M, C);
  }
  template <class S>
  Vector<S> saved(const S* in, S* out) const {
    Vector<S> r(M);
    rmsnorm_forward<S>(MatView<S>(out, M, C), r.data(), x(in), in + M * C, eps);
    return r;
  }
  template <class S>
  void forward(const S* in, S* out) const {
    saved(in, out);
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    Vector<S> out(M * C);
    const Vector<S> r = saved(in, out.data());
    rmsnorm_backward<S>(MatView<S>(din, M, C), din + M * C, x(dout), x(in), r.data(), in + M * C);
  }
  Vector<double> tsaved(const double* in, const double* tin, double* tout) const {
    Vector<double> out(M * C), tr(M);
    const Vector<double> r = saved(in, out.data());
    rmsnorm_tforward<double>(MatView<double>(tout, M, C), tr.data(), x(tin), x(in), r.data(), in + M * C, tin + M * C);
    return tr;
  }
  void tforward(const double* in, const double* tin, double* tout) const { tsaved(in, tin, tout); }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    Vector<double> out(M * C);
    const Vector<double> r = saved(in, out.data()), tr = tsaved(in, tin, out.data());
    rmsnorm_tbackward<double>(MatView<double>(tdin, M, C), tdin + M * C, x(tdout), x(dout), x(tin), x(in), tr.data(),
                              r.data(), in + M * C, tin + M * C);
  }
  Vector<double> naive(const Vector<double>& in) const {
    return naive::rmsnorm(in.data(), in.data() + M * C, eps, M, C).reshaped<Eigen::RowMajor>();
  }
};

/// in = x (M,C), w (C), b (C). The saved vector holds the means, then the reciprocal deviations.
struct LayerNormLayer {
  Index M, C;

  Index w_at() const { return M * C; }
  Index b_at() const { return M * C + C; }
  Index output_count() const { return M * C; }
  std::vector<InputPart> parts() const { return {{M * C, Write::add}, {C, Write::add}, {C, Write::add}}; }
  template <class S>
  ConstMatView<S> x(const S* in) const {
    return ConstMatView<S>(in, M, C);
  }
  template <class S>
  Vector<S> saved(const S* in, S* out) const {
    Vector<S> stats(2 * M);
    layernorm_forward<S>(MatView<S>(out, M, C), stats.data(), stats.data() + M, x(in), in + w_at(), in + b_at(), eps);
    return stats;
  }
  template <class S>
  void forward(const S* in, S* out) const {
    saved(in, out);
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    Vector<S> out(M * C);
    const Vector<S> s = saved(in, out.data());
    layernorm_backward<S>(MatView<S>(din, M, C), din + w_at(), din + b_at(), x(dout), x(in), s.data(), s.data() + M,
                          in + w_at());
  }
  Vector<double> tsaved(const double* in, const double* tin, double* tout) const {
    Vector<double> out(M * C), ts(2 * M);
    const Vector<double> s = saved(in, out.data());
    layernorm_tforward<double>(MatView<double>(tout, M, C), ts.data(), ts.data() + M, x(tin), x(in), s.data(),
                               s.data() + M, in + w_at(), tin + w_at(), tin + b_at());
    return ts;
  }
  void tforward(const double* in, const double* tin, double* tout) const { tsaved(in, tin, tout); }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    Vector<double> out(M * C);
    const Vector<double> s = saved(in, out.data()), ts = tsaved(in, tin, out.data());
    layernorm_tbackward<double>(MatView<double>(tdin, M, C), tdin + w_at(), tdin + b_at(), x(tdout), x(dout), x(tin),
                                x(in), ts.data(), ts.data() + M, s.data(), s.data() + M, in + w_at(), tin + w_at());
  }
  Vector<double> naive(const Vector<double>& in) const {
    return naive::layernorm(in.data(), in.data() + w_at(), in.data() + b_at(), eps, M, C).reshaped<Eigen::RowMajor>();
  }
};

TEST_SUITE_BEGIN("layers");

TEST_CASE("rmsnorm: the four passes agree with each other, with loops and with duals") {
  std::uint32_t number = 4000;
  for (const auto& [M, C] : {std::array<Index, 2>{1, 1}, {3, 2}, {1, 7}, {5, 13}, {16, 64}}) {
    number += 10;
    CAPTURE(C);
    const RmsNormLayer layer{M, C};
    check_layer(layer, normals(input_count(layer), number), Shape::curved, number + 1);
  }
}

TEST_CASE("layernorm: the four passes agree with each other, with loops and with duals") {
  std::uint32_t number = 5000;
  for (const auto& [M, C] : {std::array<Index, 2>{2, 1}, {3, 2}, {1, 7}, {5, 13}, {16, 64}}) {
    number += 10;
    CAPTURE(C);
    const LayerNormLayer layer{M, C};
    const Shape shape = C == 1 ? Shape::flat : Shape::curved;
    check_layer(layer, normals(input_count(layer), number), shape, number + 1);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
