#include "sim/curvature/krylov_space.hpp"

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

const Basis nothing;

void grow(KrylovSpace& s, const Basis& a, Index steps, Index width) {
  for (Index i = 0; i < steps; ++i) absorb(s, a * s.basis.col(s.columns), nothing, width);
}

/// ‖A V - [V Q] P‖ over all columns, and the loss of orthogonality of [V Q].
void check_relation(const KrylovSpace& s, const Basis& a) {
  for (Index j = 0; j < s.columns; ++j) CHECK(recurrence_defect(s, j, a * s.basis.col(j)) <= 1e-13 * a.norm());
  CHECK(orthogonality_defect(s.basis.leftCols(s.columns + s.pending)) <= 1e-13);
}

TEST_CASE("krylov space: A V = [V Q] P and orthonormal [V Q] after growth, additions, aiming and restarts") {
  for (Index width : {1, 3}) {
    const Basis a = test::matrix_with_spectrum(test::normals(50, 500), 501);
    KrylovSpace s = make_space(50, 30);
    for (Index i = 0; i < width; ++i) REQUIRE(add_direction(s, test::normals(50, 502 + i), nothing, i));
    grow(s, a, 12, width);
    check_relation(s, a);
    REQUIRE(add_direction(s, test::normals(50, 510), nothing, 0));
    grow(s, a, 5, width);
    CHECK(s.pending == width + 1);
    check_relation(s, a);
    aim(s, ritz_pairs(s), {s.columns - 1, 0});
    check_relation(s, a);
    const RitzPairs ritz = ritz_pairs(s);
    restart(s, ritz, {s.columns - 1, s.columns - 2, 0, 1});
    CHECK(s.columns == 4);
    check_relation(s, a);
    grow(s, a, 6, width);
    check_relation(s, a);
  }
}

TEST_CASE("krylov space: Ritz residual estimates are the residuals; aiming puts them first in Q, in order") {
  const Basis a = test::matrix_with_spectrum(test::normals(40, 520), 521);
  KrylovSpace s = make_space(40, 20);
  for (Index i = 0; i < 3; ++i) add_direction(s, test::normals(40, 522 + std::uint32_t(i)), nothing, i);
  grow(s, a, 9, 3);
  const RitzPairs ritz = ritz_pairs(s);
  aim(s, ritz, {8, 7});
  const Basis y = combination(s, ritz.coefficients);
  for (Index i = 0; i < 9; ++i)
    CHECK_NEAR(ritz.residual_estimates[i], (a * y.col(i) - ritz.values[i] * y.col(i)).norm(), 1e-10, 1e-13);
  const Vector<double> first = a * y.col(8) - ritz.values[8] * y.col(8);
  const Vector<double> second = a * y.col(7) - ritz.values[7] * y.col(7);
  CHECK_NEAR(std::abs(first.dot(s.basis.col(9))), first.norm(), 1e-10, 0);
  CHECK_NEAR((s.basis.middleCols(9, 2).transpose() * second).norm(), second.norm(), 1e-10, 0);
}

TEST_CASE("krylov space: a direction inside the span is refused, an almost dependent one is orthogonalized") {
  KrylovSpace s = make_space(6, 7);
  const Vector<double> x = test::normals(6, 530);
  REQUIRE(add_direction(s, x, nothing, 0));
  CHECK(!add_direction(s, -3 * x, nothing, 0));
  CHECK(!add_direction(s, Vector<double>::Zero(6), nothing, 0));
  CHECK(s.pending == 1);
  CHECK(add_direction(s, x + 1e-9 * test::normals(6, 531), nothing, 1));
  CHECK(orthogonality_defect(s.basis.leftCols(2)) <= 1e-14);
  for (std::uint32_t i = 0; i < 4; ++i) CHECK(add_direction(s, test::normals(6, 532 + i), nothing, 0));
  CHECK(!add_direction(s, test::normals(6, 540), nothing, 0));
  CHECK_THROWS_AS(add_direction(s, x, nothing, 9), ContractError);
}

}  // namespace
}  // namespace hone
