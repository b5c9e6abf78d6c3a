// Spectra that have broken other solvers: each is the pattern of a reported failure, with a known answer.
#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/curvature/extremes.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

Vector<double> descending(Vector<double> v) {
  std::sort(v.begin(), v.end(), std::greater<>());
  return v;
}

/// The pairs are the ends of `spectrum`, certified, and complete.
void check_solved(const Eigenpairs& p, const Vector<double>& spectrum, Index top, Index bottom) {
  const Vector<double> sorted = descending(spectrum);
  const double scale = sorted.cwiseAbs().maxCoeff();
  REQUIRE(p.values.size() == top + bottom);
  CHECK(p.largest == top);
  for (Index i = 0; i < top; ++i) CHECK_NEAR(p.values[i], sorted[i], 0, 1e-10 * scale);
  for (Index i = 0; i < bottom; ++i)
    CHECK_NEAR(p.values[top + i], sorted[sorted.size() - bottom + i], 0, 1e-10 * scale);
  for (const Certificate& c : p.certificates)
    CHECK_MESSAGE(c.passed, fmt::format("{}: {}: {} > {}", c.id, c.claim, c.value, c.limit));
  CHECK(all_passed(p.certificates));
}

LinearOperator diagonal_operator(const Vector<double>& d) {
  return {d.size(), [d](const Vector<double>& v, Vector<double>& result) { result = d.cwiseProduct(v); }};
}

TEST_CASE("acceptance: identity, zero, one entry and signed pairs are solved and complete") {
  const Vector<double> one = Vector<double>::Ones(30), none = Vector<double>::Zero(30);
  check_solved(extreme_eigenpairs(diagonal_operator(one), {.count_largest = 4, .count_smallest = 3}), one, 4, 3);
  check_solved(extreme_eigenpairs(diagonal_operator(none), {.count_largest = 4, .count_smallest = 3}), none, 4, 3);
  for (double entry : {-2.5, 0.0, 1e-30})
    check_solved(extreme_eigenpairs(diagonal_operator(Vector<double>::Constant(1, entry)), {.count_largest = 1}),
                 Vector<double>::Constant(1, entry), 1, 0);
  Vector<double> signs(40);
  for (Index i = 0; i < 20; ++i) signs[2 * i] = double(i + 1), signs[2 * i + 1] = -double(i + 1);
  for (int steps : {12, 40})
    check_solved(
        extreme_eigenpairs(diagonal_operator(signs), {.count_largest = 3, .count_smallest = 3, .steps_max = steps}),
        signs, 3, 3);
}

TEST_CASE("acceptance: a rank-one 5x5 matrix has one nonzero eigenvalue, whatever the start [Spectra #159]") {
  const Vector<double> u = Vector<double>::LinSpaced(5, 1, 3);
  Vector<double> spectrum = Vector<double>::Zero(5);
  spectrum[0] = u.squaredNorm();
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    for (int k : {1, 2, 5})
      check_solved(extreme_eigenpairs(test::operator_of(u * u.transpose()), {.count_largest = k, .seed = seed}),
                   spectrum, k, 0);
}

TEST_CASE("acceptance: two values {1, 50} give 20 copies of 50 under every rotation [n = 200; cupy #10098]") {
  Vector<double> spectrum = Vector<double>::Ones(200);
  spectrum.tail(100).setConstant(50);
  for (std::uint32_t rotation = 0; rotation < 5; ++rotation) {
    const Eigenpairs p = extreme_eigenpairs(test::operator_of(test::matrix_with_spectrum(spectrum, 50 + rotation)),
                                            {.count_largest = 20});
    check_solved(p, spectrum, 20, 0);
  }
}

TEST_CASE(
    "acceptance: the cycle's double eigenvalues are all found, by a block or by the probe [n = 20; Spectra #144]") {
  const Index n = 20;
  Basis laplacian = 2 * Basis::Identity(n, n);
  Vector<double> spectrum(n);
  for (Index i = 0; i < n; ++i) {
    laplacian(i, (i + 1) % n) = laplacian((i + 1) % n, i) = -1;
    spectrum[i] = 2 - 2 * std::cos(2 * M_PI * double(i) / double(n));
  }
  for (int k : {5, 6})
    for (int block : {1, 2})
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        check_solved(extreme_eigenpairs(test::operator_of(laplacian),
                                        {.count_largest = k, .block = block, .steps_max = 15, .seed = seed}),
                     spectrum, k, 0);
        check_solved(extreme_eigenpairs(
                         test::operator_of(-laplacian),
                         {.count_largest = 0, .count_smallest = k, .block = block, .steps_max = 15, .seed = seed}),
                     -spectrum, 0, k);
      }
  const Eigenpairs alone = extreme_eigenpairs(test::operator_of(laplacian), {.count_largest = 5, .rounds_max = 0});
  CHECK(alone.stop == ExtremesStop::incomplete);
  CHECK(!all_passed(alone.certificates));
}

TEST_CASE("acceptance: a triple 7e-5 apart is complete or declared incomplete, never silently wrong [scipy #26112]") {
  Vector<double> spectrum = Vector<double>::LinSpaced(300, 0, 0.9);
  spectrum.tail(9) << 1.5, 1.6, 1.7, 1.8, 1.9, 3 * (1 - 14e-5), 3 * (1 - 7e-5), 3, 4;
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(spectrum, 60));
  const Vector<double> sorted = descending(spectrum);
  int complete = 0;
  for (std::uint64_t seed = 1; seed <= 8; ++seed)
    for (double tolerance : {1e-3, 1e-6}) {
      const Eigenpairs p =
          extreme_eigenpairs(op, {.count_largest = 8, .steps_max = 30, .tolerance = tolerance, .seed = seed});
      const bool right = (p.values - sorted.head(8)).cwiseAbs().maxCoeff() <= 2 * tolerance * 4;
      CHECK((right || p.stop == ExtremesStop::incomplete));
      complete += right;
    }
  CHECK(complete == 16);
}

TEST_CASE("acceptance: a warm start in the null space still finds the range") {
  Vector<double> spectrum = Vector<double>::Zero(60);
  spectrum.head(3) << 5, 2, -1;
  const LinearOperator op = diagonal_operator(spectrum);
  Basis null(60, 2);
  null << Vector<double>::Unit(60, 30), Vector<double>::Unit(60, 31);
  check_solved(extreme_eigenpairs(op, {.count_largest = 2, .count_smallest = 1}, null), spectrum, 2, 1);
}

TEST_CASE("acceptance: fewer dimensions than steps, and all pairs, reproduce the dense matrix [n = 1 to 12]") {
  for (Index n = 1; n <= 12; ++n) {
    const Vector<double> spectrum = test::normals(n, 70 + std::uint32_t(n));
    const Basis a = test::matrix_with_spectrum(spectrum, 90 + std::uint32_t(n));
    const Eigenpairs p = extreme_eigenpairs(test::operator_of(a), {.count_largest = int(n)});
    check_solved(p, spectrum, n, 0);
    CHECK(p.stop == ExtremesStop::whole_space);
    CHECK(test::relative_error(Basis(p.vectors * p.values.asDiagonal() * p.vectors.transpose()), a) <= 1e-12);
    check_solved(
        extreme_eigenpairs(test::operator_of(a),
                           {.count_largest = int(n + 1) / 2, .count_smallest = int(n) / 2, .steps_max = int(n)}),
        spectrum, (n + 1) / 2, n / 2);
  }
}

TEST_CASE("acceptance: a loss scaled by 1e-16 to 1e16 takes the same branches and scales its values to 1e-12") {
  Vector<double> spectrum = Vector<double>::LinSpaced(150, -0.3, 0.5);
  spectrum.tail(5) << 1, 1, 2, 3, 5;
  const Basis a = test::matrix_with_spectrum(spectrum, 110);
  for (int steps : {20, 120}) {
    const ExtremesOptions options{.count_largest = 5, .count_smallest = 1, .steps_max = steps};
    const Eigenpairs one = extreme_eigenpairs(test::operator_of(a), options);
    check_solved(one, spectrum, 5, 1);
    for (double c : {1e-16, 1e-8, 1e8, 1e16}) {
      const Eigenpairs other = extreme_eigenpairs(test::operator_of(c * a), options);
      CHECK(other.products == one.products);
      CHECK(other.restarts == one.restarts);
      CHECK(other.rounds == one.rounds);
      CHECK(other.stop == one.stop);
      CHECK(test::relative_error(Vector<double>(other.values / c), one.values) <= 1e-12);
    }
  }
}

TEST_CASE("acceptance: no ghosts: outliers 100, 50, 20 over a bulk appear once each after 120 steps [n = 500]") {
  Vector<double> spectrum(500);
  for (Index i = 0; i < 497; ++i) spectrum[i] = uniform({.seed = 3}, std::uint64_t(i));
  spectrum.tail(3) << 100, 50, 20;
  const Eigenpairs p =
      extreme_eigenpairs(diagonal_operator(spectrum), {.count_largest = 12, .steps_max = 120, .tolerance = 1e-14});
  CHECK(p.steps >= 100);
  CHECK((p.values.array() > 1.001).count() == 3);
  for (Index i = 0; i < 3; ++i) CHECK_NEAR(p.values[i], descending(spectrum)[i], 1e-13, 0);
  CHECK(p.orthogonality <= 1e-13);
}

}  // namespace
}  // namespace hone
