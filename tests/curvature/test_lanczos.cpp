#include "sim/curvature/lanczos.hpp"

#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

Basis random_symmetric(Index n, std::uint32_t number) {
  const Vector<double> draws = test::normals(n * n, number);
  const Basis g = Eigen::Map<const Basis>(draws.data(), n, n);
  return 0.5 * (g + g.transpose());
}

/// max |V'V - I|.
double orthogonality_loss(const Lanczos& l) {
  const Basis v = l.basis.leftCols(l.steps);
  return (v.transpose() * v - Basis::Identity(l.steps, l.steps)).cwiseAbs().maxCoeff();
}

TEST_CASE("lanczos: A V = V T + beta v e' and V'V = I [random symmetric, n <= 60, 12 draws]") {
  for (std::uint32_t i = 0; i < 12; ++i) {
    const Index n = 5 + 5 * Index(i);
    const int m = int(n) - 2;
    const Basis a = random_symmetric(n, i);
    Lanczos l = start_lanczos(test::normals(n, 100 + i), m);
    extend(l, test::operator_of(a), m);
    REQUIRE(l.steps == m);
    Basis t = Basis::Zero(m, m);
    t.diagonal() = l.alpha.head(m);
    t.diagonal(1) = t.diagonal(-1) = l.beta.head(m - 1);
    const Basis v = l.basis.leftCols(m);
    Basis residual = a * v - v * t;
    residual.col(m - 1) -= l.beta[m - 1] * l.basis.col(m);
    CHECK(residual.norm() <= 1e-13 * a.norm() * double(m));
    CHECK(orthogonality_loss(l) <= 1e-14);
  }
}

TEST_CASE("lanczos: extending in pieces gives the bits of one call") {
  const Basis a = random_symmetric(40, 3);
  Lanczos whole = start_lanczos(test::normals(40, 4), 30), pieces = start_lanczos(test::normals(40, 4), 30);
  extend(whole, test::operator_of(a), 30);
  for (int m : {1, 2, 17, 30}) extend(pieces, test::operator_of(a), m);
  CHECK((whole.alpha.array() == pieces.alpha.array()).all());
  CHECK((whole.beta.array() == pieces.beta.array()).all());
}

TEST_CASE("lanczos: no ghosts: 3 outliers over a bulk appear once after 150 steps") {
  Vector<double> spectrum = Vector<double>::LinSpaced(400, -0.01, 0.01);
  spectrum.tail(3) << 10, 20, 40;
  Lanczos l = start_lanczos(test::normals(400, 5), 150);
  extend(l, test::operator_of(test::matrix_with_spectrum(spectrum, 6)), 150);
  const Lanczos::Ritz ritz = l.ritz();
  CHECK((ritz.values.array() > 1).count() == 3);
  CHECK(orthogonality_loss(l) <= 1e-13);
}

TEST_CASE("lanczos: moments up to 2m-1 are exact: sum w theta^k = v'A^k v") {
  const Index n = 30;
  const int m = 6;
  const Basis a = random_symmetric(n, 7) / 5;
  const Vector<double> v = test::normals(n, 8).normalized();
  Lanczos l = start_lanczos(v, m);
  extend(l, test::operator_of(a), m);
  const Lanczos::Ritz ritz = l.ritz();
  Vector<double> power = v;
  for (int k = 0; k <= 2 * m - 1; ++k) {
    const double exact = v.dot(power);
    CHECK_NEAR((ritz.weights.array() * ritz.values.array().pow(k)).sum(), exact, 1e-11, 1e-12);
    power = a * power;
  }
  CHECK(std::abs((ritz.weights.array() * ritz.values.array().pow(2 * m)).sum() - v.dot(power)) > 1e-6);
}

TEST_CASE("lanczos: theta_max never falls with m and stays within the spectrum") {
  const Basis a = test::matrix_with_spectrum(Vector<double>::LinSpaced(50, -2, 5), 9);
  Lanczos l = start_lanczos(test::normals(50, 10), 40);
  double last = -1e300;
  for (int m = 1; m <= 40; ++m) {
    extend(l, test::operator_of(a), m);
    const Lanczos::Ritz ritz = l.ritz();
    CHECK(ritz.values[m - 1] >= last - 1e-13);
    CHECK(ritz.values[m - 1] <= 5 + 1e-12);
    CHECK(ritz.values[0] >= -2 - 1e-12);
    last = ritz.values[m - 1];
  }
}

TEST_CASE("lanczos: identity, rank one and zero end in an invariant subspace with exact values") {
  const Index n = 20;
  const Vector<double> u = test::normals(n, 12).normalized();
  struct Case {
    Basis a;
    int steps;
  };
  for (const Case& c : {Case{Basis::Identity(n, n), 1}, Case{Basis::Zero(n, n), 1}, Case{u * u.transpose(), 2}}) {
    Lanczos l = start_lanczos(test::normals(n, 13), 10);
    extend(l, test::operator_of(c.a), 10);
    CHECK(l.stop == LanczosStop::invariant_subspace);
    CHECK(l.steps == c.steps);
    CHECK_NEAR(l.ritz().values.tail(1)[0], c.a.norm() > 0 ? 1 : 0, 1e-13, 1e-13);
  }
}

TEST_CASE("lanczos: an operator scaled by 1e±8 gives the same vectors and scaled values") {
  const Basis a = random_symmetric(30, 14);
  Lanczos one = start_lanczos(test::normals(30, 15), 12);
  extend(one, test::operator_of(a), 12);
  for (double scale : {1e-8, 1e8}) {
    Lanczos other = start_lanczos(test::normals(30, 15), 12);
    extend(other, test::operator_of(a * scale), 12);
    CHECK(test::relative_error(other.alpha, Vector<double>(one.alpha * scale)) <= 1e-11);
    CHECK(test::relative_error(other.basis, one.basis) <= 1e-10);
  }
}

TEST_CASE("lanczos: a zero or non-finite start is refused") {
  CHECK_THROWS_AS(start_lanczos(Vector<double>::Zero(5), 3), ContractError);
  CHECK_THROWS_AS(start_lanczos(Vector<double>::Constant(5, NAN), 3), ContractError);
}

}  // namespace
}  // namespace hone
