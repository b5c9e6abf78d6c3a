// Routing, gates, gather and combine of a mixture of experts: the four passes, ties, empty experts, load balance.
#include "sim/layers/moe.hpp"

#include "tests/support/layer_harness.hpp"

namespace hone::test {
namespace {

/// Logits of a router whose choices stay the same within a finite step: the chosen ones lead by 2 or more.
Vector<double> separated_logits(const Routing& shape, std::uint32_t number) {
  Vector<double> z = normals(shape.tokens() * shape.experts, number).array().tanh();
  const std::vector<Index> starts = ids<Index>(shape.tokens(), std::uint64_t(shape.experts), number);
  for (Index m = 0; m < shape.tokens(); ++m)
    for (Index j = 0; j < shape.chosen; ++j)
      z[m * shape.experts + (starts[size_t(m)] + j) % shape.experts] += 4.0 * double(shape.chosen - j);
  return z;
}

std::vector<Index> choices_by_sorting(const double* z, Index experts, Index k) {
  std::vector<Index> order(static_cast<size_t>(experts));
  for (Index e = 0; e < experts; ++e) order[size_t(e)] = e;
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return z[a] > z[b]; });
  order.resize(size_t(k));
  return order;
}

/// in = z (M,E), out = gates (M,k). The adjoint of the probabilities by other ways is a constant of the layer.
struct RouterLayer {
  Routing shape;
  Gates kind;
  double balance = 0;

  Index tokens() const { return shape.tokens(); }
  Index output_count() const { return tokens() * shape.chosen; }
  std::vector<InputPart> parts() const { return {{tokens() * shape.experts, Write::assign}}; }

  template <class S>
  struct Run {
    Run(const RouterLayer& layer, const S* in)
        : p(layer.tokens(), layer.shape.experts), gates(layer.tokens(), layer.shape.chosen), routing(layer.shape) {
      router_forward<S>(map(p), map(gates), routing, ConstMatView<S>(in, p.rows(), p.cols()), layer.kind);
    }
    static Block<S> map(Matrix<S>& m) { return {m.data(), m.rows(), m.cols()}; }
    Matrix<S> p, gates;
    Routing routing;
  };
  template <class S>
  void forward(const S* in, S* out) const {
    MatView<S>(out, tokens(), shape.chosen) = Run<S>(*this, in).gates;
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    Matrix<S> dp(tokens(), shape.experts);
    backward_into<S>(in, dout, din, dp);
  }
  template <class S>
  void backward_into(const S* in, const S* dout, S* din, Matrix<S>& dp) const {
    Run<S> run(*this, in);
    load_balance_backward<S>(run.map(dp), run.routing, S(balance));
    router_backward<S>(MatView<S>(din, tokens(), shape.experts), run.map(dp),
                       ConstMatView<S>(dout, tokens(), shape.chosen), run.map(run.p), run.map(run.gates), run.routing,
                       kind);
  }
  void tforward(const double* in, const double* tin, double* tout) const {
    Matrix<double> tp(tokens(), shape.experts);
    tforward_into(in, tin, tout, tp);
  }
  void tforward_into(const double* in, const double* tin, double* tout, Matrix<double>& tp) const {
    Run<double> run(*this, in);
    router_tforward<double>(run.map(tp), MatView<double>(tout, tokens(), shape.chosen),
                            ConstMatView<double>(tin, tokens(), shape.experts), run.map(run.p), run.map(run.gates),
                            run.routing, kind);
  }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    Run<double> run(*this, in);
    Matrix<double> dp(tokens(), shape.experts), tp = dp, dz = dp, tgates = run.gates;
    backward_into<double>(in, dout, dz.data(), dp);
    tforward_into(in, tin, tgates.data(), tp);
    const RouterState<double> state{run.map(run.p), run.map(run.gates),
                                    run.map(dp),    ConstMatView<double>(dout, tokens(), shape.chosen),
                                    run.map(tp),    run.map(tgates)};
    router_tbackward<double>(MatView<double>(tdin, tokens(), shape.experts),
                             ConstMatView<double>(tdout, tokens(), shape.chosen), state, run.routing, kind);
  }
  Vector<double> naive(const Vector<double>& in) const {
    Vector<double> out(output_count());
    for (Index m = 0; m < tokens(); ++m) {
      const double* z = in.data() + m * shape.experts;
      double all = 0, own = 0;
      for (Index e = 0; e < shape.experts; ++e) all += std::exp(z[e]);
      const std::vector<Index> chosen = choices_by_sorting(z, shape.experts, shape.chosen);
      for (Index e : chosen) own += std::exp(z[e]);
      for (Index j = 0; j < shape.chosen; ++j)
        out[m * shape.chosen + j] = std::exp(z[chosen[size_t(j)]]) / (kind == Gates::probability ? all : own);
    }
    return out;
  }
};

/// in = gates (M,k), out (k·M,C), and the tokens x (M,C) that y is added to;  y = x + combined.
struct CombineLayer {
  Routing routing;
  Index width;

  Index tokens() const { return routing.tokens(); }
  Index gate_count() const { return tokens() * routing.chosen; }
  Index output_count() const { return tokens() * width; }
  std::vector<InputPart> parts() const {
    return {{gate_count(), Write::assign}, {gate_count() * width, Write::assign}, {output_count(), Write::assign}};
  }
  template <class S>
  struct Parts {
    Parts(const CombineLayer& l, const S* in)
        : gates(in, l.tokens(), l.routing.chosen),
          out(in + l.gate_count(), l.gate_count(), l.width),
          x(in + l.gate_count() * (1 + l.width), l.tokens(), l.width) {}
    ConstMatView<S> gates, out, x;
  };
  template <class S>
  struct Adjoints {
    Adjoints(const CombineLayer& l, S* in)
        : gates(in, l.tokens(), l.routing.chosen),
          out(in + l.gate_count(), l.gate_count(), l.width),
          x(in + l.gate_count() * (1 + l.width), l.tokens(), l.width) {}
    MatView<S> gates, out, x;
  };
  template <class S>
  ConstMatView<S> rows(const S* y) const {
    return {y, tokens(), width};
  }

  template <class S>
  void forward(const S* in, S* out) const {
    const Parts<S> p(*this, in);
    MatView<S> y(out, tokens(), width);
    y = p.x;
    combine_forward<S>(y, p.gates, p.out, routing);
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    const Parts<S> p(*this, in);
    Adjoints<S> d(*this, din);
    combine_backward<S>(d.gates, d.out, rows(dout), p.gates, p.out, routing);
    d.x = rows(dout);
  }
  void tforward(const double* in, const double* tin, double* tout) const {
    const Parts<double> p(*this, in), t(*this, tin);
    MatView<double> ty(tout, tokens(), width);
    ty = t.x;
    combine_tforward<double>(ty, t.gates, t.out, p.gates, p.out, routing);
  }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    const Parts<double> p(*this, in), t(*this, tin);
    Adjoints<double> td(*this, tdin);
    combine_tbackward<double>(td.gates, td.out, rows(tdout), rows(dout), t.gates, t.out, p.gates, p.out, routing);
    td.x = rows(tdout);
  }
  Vector<double> naive(const Vector<double>& in) const {
    const Parts<double> p(*this, in.data());
    Matrix<double> y = p.x;
    for (Index m = 0; m < tokens(); ++m)
      for (Index j = 0; j < routing.chosen; ++j) {
        Index slot = 0;  // choices of lower experts, and of this expert by earlier tokens
        const Index e = routing.expert[size_t(m * routing.chosen + j)];
        for (Index i = 0; i < gate_count(); ++i) {
          const Index other = routing.expert[size_t(i)];
          slot += other < e || (other == e && i / routing.chosen < m);
        }
        for (Index c = 0; c < width; ++c) y(m, c) += p.gates(m, j) * p.out(slot, c);
      }
    return Eigen::Map<Vector<double>>(y.data(), y.size());
  }
};

Routing routed(Routing shape, std::uint32_t number) {
  const Vector<double> z = separated_logits(shape, number);
  Matrix<double> p(shape.tokens(), shape.experts), gates(shape.tokens(), shape.chosen);
  router_forward<double>(MatView<double>(p.data(), p.rows(), p.cols()),
                         MatView<double>(gates.data(), gates.rows(), gates.cols()), shape,
                         ConstMatView<double>(z.data(), p.rows(), p.cols()), Gates::probability);
  return shape;
}

TEST_SUITE_BEGIN("layers");

TEST_CASE("router: the four passes agree with each other, with loops and with duals [both gates]") {
  std::uint32_t number = 40000;
  for (const auto& [experts, k] : {std::pair<Index, Index>{1, 1}, {2, 1}, {4, 2}, {5, 3}, {3, 3}})
    for (const Gates kind : {Gates::probability, Gates::renormalized}) {
      CAPTURE(experts);
      CAPTURE(k);
      const Routing shape(12, 4, experts, k);
      const bool is_constant = experts == 1 || (kind == Gates::renormalized && k == 1);
      const RouterLayer layer{shape, kind};
      const Vector<double> in = separated_logits(shape, number += 20);
      if (is_constant)
        CHECK(forward<double>(layer, in) == Vector<double>::Ones(layer.output_count()));
      else
        check_layer(layer, in, Shape::curved, number + 1);
    }
}

TEST_CASE("combine: the four passes agree with each other, with loops and with duals") {
  std::uint32_t number = 41000;
  for (const auto& [experts, k] : {std::pair<Index, Index>{1, 1}, {4, 1}, {4, 2}, {3, 3}}) {
    const CombineLayer layer{routed(Routing(6, 3, experts, k), number), 5};
    const Index inputs = input_count(layer);
    check_layer(layer, normals(inputs, number + 1), Shape::curved, number + 2);
    number += 20;
  }
}

TEST_CASE("gather: rows of an expert are its tokens in order, and the adjoint is the transpose") {
  const Routing routing = routed(Routing(20, 5, 4, 2), 42000);
  const Matrix<double> x = Eigen::Map<const Matrix<double>>(normals(60, 42001).data(), 20, 3);
  Matrix<double> gathered(40, 3), back(20, 3);
  gather_forward<double>(MatView<double>(gathered.data(), 40, 3), ConstMatView<double>(x.data(), 20, 3), routing);
  Index slot = 0;
  for (Index e = 0; e < 4; ++e) {
    CHECK(routing.first[size_t(e)] == slot);
    for (Index m = 0; m < 20; ++m)
      if (routing.expert[size_t(2 * m)] == e || routing.expert[size_t(2 * m + 1)] == e)
        CHECK(gathered.row(slot++) == x.row(m));
    const Block<double> rows = expert_rows(Block<double>{gathered.data(), 40, 3}, routing, e);
    CHECK(rows.rows == routing.load(e));
    CHECK(rows.data == gathered.data() + 3 * routing.first[size_t(e)]);
  }
  CHECK(slot == 40);
  const Matrix<double> dy = Eigen::Map<const Matrix<double>>(normals(120, 42002).data(), 40, 3);
  gather_backward<double>(MatView<double>(back.data(), 20, 3), ConstMatView<double>(dy.data(), 40, 3), routing);
  CHECK_NEAR(back.cwiseProduct(x).sum(), dy.cwiseProduct(gathered).sum(), 1e-12, 1e-12);
}

TEST_CASE("router: of equal logits the lowest expert is chosen first, and NaN stays inside the table") {
  const double z[] = {1, 3, 3, 3}, nan = std::numeric_limits<double>::quiet_NaN(), broken[] = {nan, nan, 1, 2};
  Index chosen[4];
  choose_largest(chosen, 4, z, 4);
  CHECK(std::vector<Index>(chosen, chosen + 4) == std::vector<Index>{1, 2, 3, 0});
  choose_largest(chosen, 4, broken, 4);
  std::sort(chosen, chosen + 4);
  CHECK(std::vector<Index>(chosen, chosen + 4) == std::vector<Index>{0, 1, 2, 3});
}

TEST_CASE("load balance: T for uniform routing, T·E when one expert takes all, of each sequence alone") {
  const Index T = 8, E = 4;
  Routing even(2 * T, T, E, 1), one = even;
  for (size_t i = 0; i < even.expert.size(); ++i) even.expert[i] = Index(i) % E, one.expert[i] = 2;
  sort_by_expert(even), sort_by_expert(one);
  const Matrix<double> uniform = Matrix<double>::Constant(2 * T, E, 0.25);
  Matrix<double> peaked = Matrix<double>::Zero(2 * T, E);
  peaked.col(2).setOnes();
  const auto loss = [&](const Matrix<double>& p, const Routing& routing) {
    return load_balance_loss<double>(ConstMatView<double>(p.data(), p.rows(), p.cols()), routing);
  };
  CHECK(loss(uniform, even) == 2 * T);
  CHECK(loss(uniform, one) == 2 * T);
  CHECK(loss(peaked, one) == 2 * T * E);
  Routing mixed = one;
  std::copy_n(even.expert.begin() + T, T, mixed.expert.begin() + T);
  sort_by_expert(mixed);
  CHECK(loss(peaked, mixed) == T * E + T);
  Matrix<double> dp(2 * T, E);
  load_balance_backward<double>(MatView<double>(dp.data(), 2 * T, E), mixed, 0.5);
  CHECK(dp.cwiseProduct(peaked).sum() == 0.5 * (T * E + T));
  CHECK(one.sequence_load == std::vector<Index>{0, 0, T, 0, 0, 0, T, 0});
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
