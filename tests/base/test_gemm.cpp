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
