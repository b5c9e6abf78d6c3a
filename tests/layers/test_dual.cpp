#include "tests/support/dual.hpp"

#include "tests/support/near.hpp"

namespace hone::test {
namespace {

TEST_SUITE_BEGIN("support");

TEST_CASE("dual: every function and operator has the derivative of a central difference") {
  const auto check = [](auto f, double x) {
    const double h = 1e-5;
    const Dual at = f(Dual(x, 1));
    CHECK_NEAR(at.value, f(Dual(x)).value, 0.0, 0.0);
    CHECK_NEAR(at.tangent, (f(Dual(x + h)).value - f(Dual(x - h)).value) / (2 * h), 1e-8, 1e-8);
  };
  for (double x : {0.3, 0.7, 1.9}) {
    CAPTURE(x);
    check([](Dual a) { return exp(a); }, x);
    check([](Dual a) { return log(a); }, x);
    check([](Dual a) { return sqrt(a); }, x);
    check([](Dual a) { return tanh(a); }, x);
    check([](Dual a) { return erf(a); }, x);
    check([](Dual a) { return a * a * Dual(3) - Dual(2) / a; }, x);
    check([](Dual a) { return (Dual(1) + a) / (a * a - Dual(7)); }, x);
    check(
        [](Dual a) {
          a -= a * a;
          return a /= Dual(2) + a;
        },
        x);
    check([](Dual a) { return -a; }, x);
  }
}

TEST_CASE("dual: Eigen products and reductions carry the tangent") {
  Matrix<Dual> a(1, 2), b(2, 1);
  a << Dual(2, 1), Dual(3);
  b << Dual(5), Dual(7, 10);
  CHECK((a * b)(0, 0).value == 31);
  CHECK((a * b)(0, 0).tangent == 35);
  CHECK(a.maxCoeff().value == 3);
  CHECK(a.squaredNorm().tangent == 4);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
