#include "sim/layers/loss.hpp"

#include <array>

#include "tests/support/draws.hpp"
#include "tests/support/dual.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

constexpr double weight = 0.37;  // of every row; the losses have no other adjoint

struct SoftmaxXent {
  Index M, V;
  std::vector<std::int32_t> targets = ids<std::int32_t>(M, std::uint64_t(V), 3);

  template <class S>
  Vector<S> rows(const Vector<S>& z, Matrix<S>& p) const {
    Vector<S> loss(M);
    p.resize(M, V);
    softmax_xent_forward<S>(MatView<S>(p.data(), M, V), loss.data(), ConstMatView<S>(z.data(), M, V), targets.data());
    return loss;
  }
  template <class S>
  Vector<S> backward(const Vector<S>& z) const {
    Matrix<S> p;
    rows(z, p);
    Vector<S> dz(M * V);
    softmax_xent_backward<S>(MatView<S>(dz.data(), M, V), ConstMatView<S>(p.data(), M, V), targets.data(), S(weight));
    return dz;
  }
  Vector<double> tbackward(const Vector<double>& z, const Vector<double>& tz) const {
    Matrix<double> p;
    rows(z, p);
    Vector<double> tdz(M * V);
    softmax_xent_tbackward<double>(MatView<double>(tdz.data(), M, V), ConstMatView<double>(tz.data(), M, V),
                                   ConstMatView<double>(p.data(), M, V), weight);
    return tdz;
  }
  Vector<double> naive(const Vector<double>& z) const { return naive::softmax_xent(z.data(), targets.data(), M, V); }
};

struct SquaredError {
  Index M, V;
  Vector<double> wanted = normals(M * V, 4);

  template <class S>
  Vector<S> rows(const Vector<S>& z, Matrix<S>& y) const {
    Vector<S> loss(M);
    y = Eigen::Map<const Matrix<double>>(wanted.data(), M, V).template cast<S>();
    squared_error_forward<S>(loss.data(), ConstMatView<S>(z.data(), M, V), ConstMatView<S>(y.data(), M, V));
    return loss;
  }
  template <class S>
  Vector<S> backward(const Vector<S>& z) const {
    Matrix<S> y;
    rows(z, y);
    Vector<S> dz(M * V);
    squared_error_backward<S>(MatView<S>(dz.data(), M, V), ConstMatView<S>(z.data(), M, V),
                              ConstMatView<S>(y.data(), M, V), S(weight));
    return dz;
  }
  Vector<double> tbackward(const Vector<double>&, const Vector<double>& tz) const {
    Vector<double> tdz(M * V);
    squared_error_tbackward<double>(MatView<double>(tdz.data(), M, V), ConstMatView<double>(tz.data(), M, V), weight);
    return tdz;
  }
  Vector<double> naive(const Vector<double>& z) const {
    Vector<double> loss = Vector<double>::Zero(M);
    for (Index i = 0; i < M * V; ++i) loss[i / V] += std::pow(z[i] - wanted[i], 2) / double(V);
    return loss;
  }
};

template <class Loss>
void check_loss(const Loss& loss, std::uint32_t number) {
  const Index size = loss.M * loss.V;
  const Vector<double> z = normals(size, number), tz = normals(size, number + 1), other = normals(size, number + 2);
  Matrix<double> saved;
  CHECK(relative_error(loss.template rows<double>(z, saved), loss.naive(z)) <= 1e-12);

  Matrix<Dual> dual_saved;
  const Vector<Dual> dual_z = dual_of(z, tz), dual_rows = loss.template rows<Dual>(dual_z, dual_saved);
  const Vector<double> dz = loss.template backward<double>(z);
  CHECK_NEAR(dz.dot(tz), weight * tangents(dual_rows.data(), loss.M).sum(), 0.0, 1e-12 * (dz.norm() * tz.norm()));
  const Vector<Dual> dual_dz = loss.template backward<Dual>(dual_z);
  CHECK((loss.tbackward(z, tz) - tangents(dual_dz.data(), size)).norm() <= 1e-12 * tz.norm());

  const auto remainder = [&](double h) {
    const Vector<double> there = loss.template rows<double>(Vector<double>(z + h * tz), saved);
    return std::abs(weight * (there - loss.template rows<double>(z, saved)).sum() - h * dz.dot(tz));
  };
  if (loss.V > 1) CHECK_NEAR(std::log2(remainder(0x1p-10) / remainder(0x1p-11)), 2.0, 0.0, 0.05);
  CHECK((loss.tbackward(z, 2 * tz - 3 * other) - 2 * loss.tbackward(z, tz) + 3 * loss.tbackward(z, other)).norm() <=
        1e-12 * tz.norm());
  CHECK(loss.tbackward(z, Vector<double>::Zero(size)).cwiseAbs().maxCoeff() == 0);
}

constexpr std::array<std::array<Index, 2>, 5> shapes = {{{1, 1}, {1, 2}, {3, 7}, {5, 13}, {8, 64}}};

TEST_SUITE_BEGIN("layers");

TEST_CASE("softmax_xent: its passes agree with each other, with loops and with duals") {
  std::uint32_t number = 140;
  for (const auto& [M, V] : shapes) {
    CAPTURE(V);
    check_loss(SoftmaxXent{M, V}, 100 * ++number);
  }
}

TEST_CASE("squared_error: its passes agree with each other, with loops and with duals") {
  std::uint32_t number = 150;
  for (const auto& [M, V] : shapes) {
    CAPTURE(V);
    check_loss(SquaredError{M, V}, 100 * ++number);
  }
}

TEST_CASE("softmax_xent: the loss is unchanged by a shift of all logits and finite at 1e300") {
  const SoftmaxXent loss{3, 7};
  Matrix<double> p;
  const Vector<double> z = normals(21, 9);
  const double shift = 0x1p10;
  CHECK(relative_error(loss.rows<double>((z.array() + shift).matrix(), p), loss.rows<double>(z, p)) <= 1e-12);
  CHECK(loss.rows<double>(1e300 * z, p).allFinite());
  CHECK(p.allFinite());
}

TEST_CASE_TEMPLATE("softmax_xent: one NaN or +inf logit anywhere gives a loss that is not finite", S, float, double) {
  for (Index V : {2, 3, 8, 17, 64})
    for (Index at = 0; at < V; ++at)
      for (double bad : {double(NAN), double(INFINITY)}) {
        CAPTURE(V);
        CAPTURE(at);
        const SoftmaxXent loss{1, V};
        Vector<S> z = normals(V, 8).template cast<S>();
        z[at] = S(bad);
        Matrix<S> p;
        CHECK_FALSE(std::isfinite(loss.template rows<S>(z, p)[0]));
      }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
