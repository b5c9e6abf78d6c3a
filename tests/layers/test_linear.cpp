#include <array>

#include "sim/layers/embedding.hpp"
#include "sim/layers/linear.hpp"
#include "tests/support/layer_harness.hpp"
#include "tests/support/naive.hpp"

namespace hone::test {
namespace {

/// in = x (M,I), W (O,I), b (O).
struct LinearLayer {
  Index M, I, O;
  bool bias = true;
  Write write = Write::assign;

  Index w_at() const { return M * I; }
  Index b_at() const { return M * I + O * I; }
  Index output_count() const { return M * O; }
  std::vector<InputPart> parts() const { return {{M * I, write}, {O * I, Write::add}, {bias ? O : 0, Write::add}}; }
  template <class S>
  ConstMatView<S> x(const S* in) const {
    return ConstMatView<S>(in, M, I);
  }
  template <class S>
  ConstMatView<S> w(const S* in) const {
    return ConstMatView<S>(in + w_at(), O, I);
  }
  template <class S>
  S* b(S* in) const {
    return bias ? in + b_at() : nullptr;
  }
  template <class S>
  void forward(const S* in, S* out) const {
    linear_forward<S>(MatView<S>(out, M, O), x(in), w(in), b(in));
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    linear_backward<S>(MatView<S>(din, M, I), MatView<S>(din + w_at(), O, I), b(din), ConstMatView<S>(dout, M, O),
                       x(in), w(in), write);
  }
  void tforward(const double* in, const double* tin, double* tout) const {
    linear_tforward<double>(MatView<double>(tout, M, O), x(tin), x(in), w(in), w(tin), b(tin));
  }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    linear_tbackward<double>(MatView<double>(tdin, M, I), MatView<double>(tdin + w_at(), O, I), b(tdin),
                             ConstMatView<double>(tdout, M, O), ConstMatView<double>(dout, M, O), x(tin), x(in), w(in),
                             w(tin), write);
  }
  Vector<double> naive(const Vector<double>& in) const {
    return naive::linear(in.data(), in.data() + w_at(), b(in.data()), M, I, O).reshaped<Eigen::RowMajor>();
  }
};

/// in = E (V,C), P (T,C) or nothing.
struct EmbeddingLayer {
  Index V, C, T, sequences;
  bool learned = true;
  std::vector<std::uint16_t> tokens = ids<std::uint16_t>(T * sequences, std::uint64_t(V), 5);

  Index rows() const { return T * sequences; }
  Index output_count() const { return rows() * C; }
  std::vector<InputPart> parts() const { return {{V * C, Write::add}, {learned ? T * C : 0, Write::add}}; }
  template <class S>
  S* p(S* in) const {
    return learned ? in + V * C : nullptr;
  }
  template <class S>
  void forward(const S* in, S* out) const {
    embedding_forward<S>(MatView<S>(out, rows(), C), tokens.data(), ConstMatView<S>(in, V, C), p(in), T);
  }
  template <class S>
  void backward(const S*, const S* dout, S* din) const {
    embedding_backward<S>(MatView<S>(din, V, C), p(din), tokens.data(), ConstMatView<S>(dout, rows(), C), T);
  }
  void tforward(const double*, const double* tin, double* tout) const { forward(tin, tout); }
  void tbackward(const double* in, const double*, const double*, const double* tdout, double* tdin) const {
    backward(in, tdout, tdin);
  }
  Vector<double> naive(const Vector<double>& in) const {
    Vector<double> y(output_count());
    for (Index m = 0; m < rows(); ++m)
      for (Index c = 0; c < C; ++c)
        y[m * C + c] = in[tokens[size_t(m)] * C + c] + (learned ? in[V * C + (m % T) * C + c] : 0);
    return y;
  }
};

TEST_SUITE_BEGIN("layers");

TEST_CASE("linear: the four passes agree with each other, with loops and with duals") {
  std::uint32_t number = 0;
  for (const auto& [M, I, O] : {std::array<Index, 3>{1, 1, 1}, {2, 1, 3}, {1, 7, 2}, {5, 13, 11}, {33, 16, 24}})
    for (bool bias : {false, true})
      for (Write write : {Write::assign, Write::add}) {
        number += 10;
        CAPTURE(M);
        CAPTURE(bias);
        const LinearLayer layer{M, I, O, bias, write};
        check_layer(layer, normals(input_count(layer), number), Shape::curved, number + 1);
      }
}

TEST_CASE("embedding: the four passes agree with each other, with loops and with duals") {
  std::uint32_t number = 2000;
  for (const auto& [V, C, T, sequences] :
       {std::array<Index, 4>{1, 1, 1, 1}, {2, 3, 5, 2}, {11, 8, 7, 3}, {64, 16, 16, 1}})
    for (bool learned : {false, true}) {
      number += 10;
      CAPTURE(V);
      CAPTURE(learned);
      const EmbeddingLayer layer{V, C, T, sequences, learned};
      check_layer(layer, normals(input_count(layer), number), Shape::flat, number + 1);
    }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
