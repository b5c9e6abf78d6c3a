#include "sim/layers/attention.hpp"

#include <array>

#include "sim/layers/rope.hpp"
#include "tests/support/layer_harness.hpp"
#include "tests/support/naive.hpp"

namespace hone::test {
namespace {

/// in = x (B·T, heads·hd).
struct RopeLayer {
  Index sequences, positions, heads, head_width;
  RopePairing pairing;

  Index rows() const { return sequences * positions; }
  Index output_count() const { return rows() * heads * head_width; }
  std::vector<InputPart> parts() const { return {{output_count(), Write::assign}}; }
  template <class S>
  void turned(const S* in, S* out, Turn turn) const {
    std::copy_n(in, output_count(), out);
    const RopeTable<S> table(positions, head_width, 100, pairing);
    rope_rotate<S>(MatView<S>(out, rows(), heads * head_width), table, turn);
  }
  template <class S>
  void forward(const S* in, S* out) const {
    turned(in, out, Turn::forward);
  }
  template <class S>
  void backward(const S*, const S* dout, S* din) const {
    turned(dout, din, Turn::inverse);
  }
  void tforward(const double*, const double* tin, double* tout) const { turned(tin, tout, Turn::forward); }
  void tbackward(const double*, const double*, const double*, const double* tdout, double* tdin) const {
    turned(tdout, tdin, Turn::inverse);
  }
  Vector<double> naive(const Vector<double>& in) const {
    return naive::rope(in.data(), rows(), positions, heads, head_width, 100, pairing).reshaped<Eigen::RowMajor>();
  }
};

/// Queries, keys and values cut from one flat vector, and the attention matrix. It starts as NaN:
/// columns beyond a block's last visible one must be neither read nor needed.
template <class S>
struct Heads {
  AttentionShape a;
  Vector<S> flat;
  Matrix<S> att;

  Heads(const AttentionShape& shape, const S* in, Index count)
      : a(shape), flat(Eigen::Map<const Vector<S>>(in, count)) {
    att.setConstant(a.sequences * a.heads * a.positions, a.positions, S(std::nan("")));
  }
  Index rows() const { return a.sequences * a.positions; }
  Index query() const { return a.heads * a.head_width; }
  Index kv() const { return a.kv_heads * a.head_width; }
  Block<S> q() { return {flat.data(), rows(), query()}; }
  Block<S> k() { return {flat.data() + rows() * query(), rows(), kv()}; }
  Block<S> v() { return {flat.data() + rows() * (query() + kv()), rows(), kv()}; }
  Block<S> p() { return {att.data(), att.rows(), att.cols()}; }
};

/// in = q (B·T, H·hd), k (B·T, K·hd), v (B·T, K·hd).
struct AttentionLayer {
  AttentionShape a;

  Index rows() const { return a.sequences * a.positions; }
  Index query() const { return a.heads * a.head_width; }
  Index kv() const { return a.kv_heads * a.head_width; }
  Index count() const { return rows() * (query() + 2 * kv()); }
  Index output_count() const { return rows() * query(); }
  std::vector<InputPart> parts() const { return {{count(), Write::assign}}; }

  template <class S>
  Heads<S> saved(const S* in, S* out) const {
    Heads<S> x(a, in, count());
    attention_forward<S>(MatView<S>(out, rows(), query()), x.p(), x.q(), x.k(), x.v(), a);
    return x;
  }
  template <class S>
  void forward(const S* in, S* out) const {
    saved(in, out);
  }
  template <class S>
  void backward(const S* in, const S* dout, S* din) const {
    Vector<S> out(output_count());
    Heads<S> x = saved(in, out.data()), d(a, din, count());
    Matrix<S> scratch(attention_block, a.positions);
    out = Eigen::Map<const Vector<S>>(dout, out.size());
    const AttentionSlots<S> slots{.q = {.x = x.q(), .dx = d.q()},
                                  .k = {.x = x.k(), .dx = d.k()},
                                  .v = {.x = x.v(), .dx = d.v()},
                                  .att = {.x = x.p()},
                                  .o = {.dx = {out.data(), rows(), query()}}};
    attention_backward<S>(slots, MatView<S>(scratch.data(), attention_block, a.positions), a);
    std::copy_n(d.flat.data(), count(), din);
  }
  Heads<double> tsaved(const double* in, const double* tin, double* tout) const {
    Vector<double> out(output_count());
    Heads<double> x = saved(in, out.data()), t(a, tin, count());
    const AttentionSlots<double> slots{.q = {.x = x.q(), .tx = t.q()},
                                       .k = {.x = x.k(), .tx = t.k()},
                                       .v = {.x = x.v(), .tx = t.v()},
                                       .att = {.x = x.p(), .tx = t.p()},
                                       .o = {.tx = {tout, rows(), query()}}};
    attention_tforward<double>(slots, a);
    return t;
  }
  void tforward(const double* in, const double* tin, double* tout) const { tsaved(in, tin, tout); }
  void tbackward(const double* in, const double* dout, const double* tin, const double* tdout, double* tdin) const {
    Vector<double> out(output_count());
    Heads<double> x = saved(in, out.data()), t = tsaved(in, tin, out.data()), td(a, tdin, count());
    Matrix<double> scratch(2 * attention_block, a.positions), d_o(rows(), query()), tdo(rows(), query());
    std::copy_n(dout, output_count(), d_o.data());
    std::copy_n(tdout, output_count(), tdo.data());
    const auto block = [](Matrix<double>& m) { return Block<double>{m.data(), m.rows(), m.cols()}; };
    const AttentionSlots<double> slots{.q = {.x = x.q(), .tx = t.q(), .tdx = td.q()},
                                       .k = {.x = x.k(), .tx = t.k(), .tdx = td.k()},
                                       .v = {.x = x.v(), .tx = t.v(), .tdx = td.v()},
                                       .att = {.x = x.p(), .tx = t.p()},
                                       .o = {.dx = block(d_o), .tdx = block(tdo)}};
    attention_tbackward<double>(slots, block(scratch), a);
    std::copy_n(td.flat.data(), count(), tdin);
  }
  Vector<double> naive(const Vector<double>& in) const {
    const double* k = in.data() + rows() * query();
    return naive::attention(in.data(), k, k + rows() * kv(), a).reshaped<Eigen::RowMajor>();
  }
};

TEST_SUITE_BEGIN("layers");

TEST_CASE("rope: the four passes agree with each other, with loops and with duals [both pairings]") {
  std::uint32_t number = 6000;
  for (RopePairing pairing : {RopePairing::half, RopePairing::interleaved})
    for (const auto& [sequences, positions, heads, width] :
         {std::array<Index, 4>{1, 1, 1, 2}, {2, 3, 1, 4}, {3, 7, 2, 6}, {2, 16, 4, 8}}) {
      number += 10;
      const Index length = positions;  // Clang 14 captures no structured binding
      CAPTURE(length);
      const RopeLayer layer{sequences, positions, heads, width, pairing};
      check_layer(layer, normals(input_count(layer), number), Shape::flat, number + 1);
    }
}

TEST_CASE(
    "rope: channels beyond the rotary width keep their bits, the others turn as a head of that width [both pairings]") {
  constexpr Index T = 5, heads = 2, hd = 6, rotary = 4;
  for (const RopePairing pairing : {RopePairing::half, RopePairing::interleaved}) {
    const Vector<double> before = normals(T * heads * hd, 5);
    Vector<double> partial = before;
    rope_rotate<double>(MatView<double>(partial.data(), T, heads * hd), RopeTable<double>(T, hd, 100, pairing, rotary),
                        Turn::forward);
    for (Index head = 0; head < T * heads; ++head) {
      Matrix<double> alone = Matrix<double>::Zero(T, rotary);
      alone.row(head / heads) = before.segment(head * hd, rotary).transpose();
      rope_rotate<double>(MatView<double>(alone.data(), T, rotary), RopeTable<double>(T, rotary, 100, pairing),
                          Turn::forward);
      CHECK(partial.segment(head * hd, rotary) == alone.row(head / heads).transpose());
      CHECK(partial.segment(head * hd + rotary, hd - rotary) == before.segment(head * hd + rotary, hd - rotary));
    }
  }
}

TEST_CASE("rope: scores depend on positions only through their distance [both pairings]") {
  const Index T = 9, hd = 6;
  for (RopePairing pairing : {RopePairing::half, RopePairing::interleaved}) {
    const RopeTable<double> table(T, hd, 100, pairing);
    Matrix<double> q = normals(hd, 1).transpose().replicate(T, 1), k = normals(hd, 2).transpose().replicate(T, 1);
    rope_rotate<double>(MatView<double>(q.data(), T, hd), table, Turn::forward);
    rope_rotate<double>(MatView<double>(k.data(), T, hd), table, Turn::forward);
    for (Index t = 2; t < T; ++t) CHECK_NEAR(q.row(t).dot(k.row(t - 2)), q.row(2).dot(k.row(0)), 1e-13, 1e-13);
  }
}

TEST_CASE(
    "attention: the four passes agree with each other, with loops and with duals [blocks of rows "
    "crossed]") {
  std::uint32_t number = 7000;
  for (Index positions : {1, 5, 33, 70})
    for (const AttentionShape& heads :
         {AttentionShape{1, 0, 1, 1, 1}, AttentionShape{3, 0, 2, 2, 4}, AttentionShape{2, 0, 4, 2, 3},
          AttentionShape{1, 0, 6, 2, 2}, AttentionShape{2, 0, 4, 1, 2}}) {
      AttentionShape shape = heads;
      shape.positions = positions;
      number += 10;
      CAPTURE(positions);
      CAPTURE(shape.heads);
      CAPTURE(shape.kv_heads);
      const AttentionLayer layer{shape};
      check_layer(layer, normals(input_count(layer), number), positions == 1 ? Shape::flat : Shape::curved, number + 1);
    }
}

TEST_CASE(
    "attention: rows of the attention matrix are distributions over the past, for scores of any "
    "size") {
  const AttentionLayer layer{{1, 33, 2, 2, 4}};
  const Vector<double> in = 1e3 * normals(layer.count(), 1);
  Vector<double> out(layer.output_count());
  const Heads<double> x = layer.saved(in.data(), out.data());
  for (Index row = 0; row < x.att.rows(); ++row) {
    const Index visible = row % 33 + 1;
    CHECK_NEAR(x.att.row(row).head(visible).sum(), 1.0, 1e-14, 0.0);
    CHECK(x.att.row(row).head(visible).minCoeff() >= 0);
  }
  CHECK(out.allFinite());
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
