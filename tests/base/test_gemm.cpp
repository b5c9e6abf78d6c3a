#include "sim/base/gemm.hpp"

#include <doctest/doctest.h>

#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

template <class S>
Matrix<S> gaussian(Index rows, Index cols, std::uint32_t substream) {
  Matrix<S> m(rows, cols);
  for (Index i = 0; i < m.size(); ++i)
    m.data()[i] = static_cast<S>(normal({1, Domain::test, substream}, static_cast<std::uint64_t>(i)));
  return m;
}

/// The product by its definition, in double, of matrices given as they enter: (m,k) and (k,n).
Matrix<double> naive(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> y = Matrix<double>::Zero(a.rows(), b.cols());
  for (Index i = 0; i < a.rows(); ++i)
    for (Index j = 0; j < b.cols(); ++j)
      for (Index k = 0; k < a.cols(); ++k) y(i, j) += a(i, k) * b(k, j);
  return y;
}

/// All three products of one shape, on windows of wider matrices, assigned and added.
template <class S>
void check_shape(Index m, Index n, Index k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const double tolerance = 4 * static_cast<double>(std::numeric_limits<S>::epsilon()) * std::sqrt(double(k));
  const Matrix<S> a = gaussian<S>(m, k + 3, 1), b = gaussian<S>(k, n + 5, 2), start = gaussian<S>(m, n + 2, 3);
  const Matrix<S> at = a.leftCols(k).transpose(), bt = b.leftCols(n).transpose();
  const Matrix<double> product = naive(a.leftCols(k).template cast<double>(), b.leftCols(n).template cast<double>());
  for (const Write write : {Write::assign, Write::add}) {
    Matrix<double> expected = product;
    if (write == Write::add) expected += start.middleCols(1, n).template cast<double>();
    Matrix<S> nn = start, nt = start, tn = start;
    gemm_nn<S>(nn.middleCols(1, n), a.leftCols(k), b.leftCols(n), write);
    gemm_nt<S>(nt.middleCols(1, n), a.leftCols(k), bt, write);
    gemm_tn<S>(tn.middleCols(1, n), at, b.leftCols(n), write);
    for (Matrix<S>* y : {&nn, &nt, &tn}) {
      const Matrix<double> got = y->middleCols(1, n).template cast<double>();
      CHECK(relative_error(got, expected) <= tolerance);
      y->middleCols(1, n) = start.middleCols(1, n);
      CHECK(*y == start);  // nothing beside the window was written
    }
  }
}

TEST_CASE_TEMPLATE("gemm: the three products equal their definition on windows, assigned and added", S, float, double) {
  const Index extents[] = {1, 2, 9, 31, 64};
  for (const Index m : extents)
    for (const Index n : extents)
      for (const Index k : extents) check_shape<S>(m, n, k);
}

/// The two-term products and the laid-out right factor against single products in double.
template <class S>
void check_pairs(Index m, Index n, Index k) {
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  const double tolerance = 32 * static_cast<double>(std::numeric_limits<S>::epsilon()) * std::sqrt(double(2 * k));
  const Matrix<S> a = gaussian<S>(m, k, 1), b = gaussian<S>(k, n, 2), c = gaussian<S>(m, k, 3);
  const Matrix<S> d = gaussian<S>(k, n, 4), start = gaussian<S>(m, n, 5);
  const Matrix<S> at = a.transpose(), bt = b.transpose(), ct = c.transpose(), dt = d.transpose();
  const auto exact = [](const Matrix<S>& x, const Matrix<S>& y) -> Matrix<double> {
    return naive(x.template cast<double>(), y.template cast<double>());
  };
  for (const Write write : {Write::assign, Write::add}) {
    Matrix<double> base = start.template cast<double>();
    if (write == Write::assign) base.setZero();
    const Matrix<double> one = base + exact(a, b), two = one + exact(c, d);
    Matrix<S> nn = start, nt = start, tn = start, right = start, single = start, part = start;
    gemm_nn<S>(nn, a, b, c, d, write);
    gemm_nt<S>(nt, a, bt, c, dt, write);
    gemm_tn<S>(tn, at, b, ct, d, write);
    RightFactor<S> factor, transposed;
    factor.set(b);
    transposed.set_transposed(dt);
    gemm_right<S>(single, a, factor, write);
    gemm_right<S>(right, a, factor, c, transposed, write);
    for (const Matrix<S>* y : {&nn, &nt, &tn, &right})
      CHECK(relative_error(Matrix<double>(y->template cast<double>()), two) <= tolerance);
    CHECK(relative_error(Matrix<double>(single.template cast<double>()), one) <= tolerance);
    const Index less_k = (k + 1) / 2, less_n = (n + 1) / 2;
    gemm_right<S>(part.leftCols(less_n), a.leftCols(less_k), factor, write);
    const Matrix<double> leading = base.leftCols(less_n) + exact(a.leftCols(less_k), b.topLeftCorner(less_k, less_n));
    CHECK(relative_error(Matrix<double>(part.leftCols(less_n).template cast<double>()), leading) <= tolerance);
    CHECK(part.rightCols(n - less_n) == start.rightCols(n - less_n));
  }
}

TEST_CASE_TEMPLATE("gemm: sums of two products and laid-out right factors equal their definition", S, float, double) {
  const Index extents[] = {1, 11, 16, 40, 67};
  for (const Index m : extents)
    for (const Index n : extents)
      for (const Index k : extents) check_pairs<S>(m, n, k);
}

TEST_CASE_TEMPLATE("gemm: products deeper and wider than one block equal their definition", S, float, double) {
  check_shape<S>(13, 530, 20);
  check_shape<S>(13, 40, 600);
  check_pairs<S>(25, 530, 270);
}

TEST_CASE("gemm: an empty sum is zero when assigned and changes nothing when added") {
  const Matrix<double> a(3, 0), b(0, 5), start = gaussian<double>(3, 5, 1);
  Matrix<double> y = start;
  gemm_nn<double>(y, a, b, Write::add);
  CHECK(y == start);
  gemm_nn<double>(y, a, b);
  CHECK(y == Matrix<double>::Zero(3, 5));
}

TEST_CASE("gemm: assigning ignores what y held, NaN included") {
  const Matrix<double> a = gaussian<double>(3, 4, 1), b = gaussian<double>(4, 5, 2);
  Matrix<double> y = Matrix<double>::Constant(3, 5, NAN);
  gemm_nn<double>(y, a, b);
  CHECK(relative_error(y, naive(a, b)) <= 1e-15);
}

TEST_CASE("gemm: equal products at equal alignment have equal bits") {
  const Matrix<float> a = gaussian<float>(37, 53, 1), b = gaussian<float>(41, 53, 2);
  AlignedVector<float> first(37 * 41), second(37 * 41);
  gemm_nt<float>(MatView<float>(first.data(), 37, 41), a, b);
  gemm_nt<float>(MatView<float>(second.data(), 37, 41), a, b);
  CHECK(first == second);
}

}  // namespace
}  // namespace hone::test
