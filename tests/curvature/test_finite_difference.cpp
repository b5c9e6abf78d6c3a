#include "sim/curvature/finite_difference.hpp"

#include "sim/base/error.hpp"
#include "sim/curvature/linearization.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

struct DifferenceCase : test::TinyCase {
  Linearization<Transformer<double>> linear{model, theta.data(), data, {{10, 1}}};
  GradientFunction gradient = gradient_function(model, data, {10, 1});
};

TEST_CASE("C0c: the Hessian product agrees with differences of the gradient to 1e-8 [transformer, 3 directions]") {
  DifferenceCase c;
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Certificate found =
        finite_difference_check(c.linear.hessian(), c.gradient, c.theta, test::normals(c.theta.size(), 30 + i));
    CAPTURE(found.value);
    CHECK(found.id == "C0c");
    CHECK(found.passed);
  }
}

TEST_CASE("C0c: the float Hessian product agrees with differences of the double gradient to 1e-4") {
  DifferenceCase c;
  const Transformer<float> single(c.options);
  Linearization<Transformer<float>> in_float(single, c.theta.data(), c.data, {{10, 1}});
  const Certificate found = finite_difference_check(in_float.hessian(), c.gradient, c.theta, c.v, {.limit = 1e-4});
  CAPTURE(found.value);
  CHECK(found.passed);
  CHECK(found.value > 1e-9);  // it is the float product that was measured
}

TEST_CASE("C0c: fails on the Gauss-Newton product, on a Hessian that is off by 1e-7, and on NaN") {
  DifferenceCase c;
  const LinearOperator h = c.linear.hessian();
  CHECK_FALSE(finite_difference_check(c.linear.ggn(), c.gradient, c.theta, c.v).passed);
  const Certificate off = finite_difference_check(linear_combination({{1 + 1e-7, h}}), c.gradient, c.theta, c.v);
  CHECK_FALSE(off.passed);
  CHECK_NEAR(off.value, 1e-7, 0.2, 0);
  CHECK_FALSE(finite_difference_check(linear_combination({{NAN, h}}), c.gradient, c.theta, c.v).passed);
  const GradientFunction broken = [](const Vector<double>& at, Vector<double>& g) {
    g = Vector<double>::Constant(at.size(), NAN);
  };
  CHECK_FALSE(finite_difference_check(h, broken, c.theta, c.v).passed);
  CHECK_THROWS_AS(finite_difference_check(h, c.gradient, c.theta, Vector<double>::Zero(h.size)), ContractError);
}

TEST_CASE("C0c: does not depend on the length of v [1e-9 and 1e9]") {
  DifferenceCase c;
  for (double length : {1e-9, 1e9})
    CHECK(finite_difference_check(c.linear.hessian(), c.gradient, c.theta, length * c.v).passed);
}

TEST_CASE("noise_floor: of a known perturbation, of float products (1e-9 to 1e-5), NaN for NaN") {
  const Basis a = test::matrix_with_spectrum(Vector<double>::LinSpaced(9, 1, 3), 5);
  const LinearOperator op = test::operator_of(a);
  CHECK_NEAR(noise_floor(linear_combination({{1 + 1e-3, op}}), op, test::normals(9, 6)), 1e-3, 1e-10, 0);
  CHECK(std::isnan(noise_floor(linear_combination({{NAN, op}}), op, test::normals(9, 6))));
  DifferenceCase c;
  const Transformer<float> single(c.options);
  Linearization<Transformer<float>> in_float(single, c.theta.data(), c.data, {{10, 1}});
  const double floor = noise_floor(in_float.hessian(), c.linear.hessian(), c.v);
  CHECK(floor > 1e-9);
  CHECK(floor < 1e-5);
}

}  // namespace
}  // namespace hone
