#include "sim/curvature/extremes.hpp"

#include <Spectra/SymEigsSolver.h>

#include <algorithm>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/curvature/certificate.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

Vector<double> power_spectrum(Index n) {
  Vector<double> spectrum(n);
  for (Index i = 0; i < n; ++i) spectrum[i] = (i % 3 == 0 ? -0.2 : 1.0) * std::pow(double(i + 1), -1.2);
  return spectrum;
}

Vector<double> descending(Vector<double> v) {
  std::sort(v.begin(), v.end(), std::greater<>());
  return v;
}

const Certificate& first_of(const Eigenpairs& p, const std::string& id) {
  for (const Certificate& c : p.certificates)
    if (c.id == id) return c;
  throw ContractError("no certificate " + id);
}

TEST_CASE("eigenpairs: both ends of a known spectrum with residuals and orthonormal vectors [n = 120, 6 + 4]") {
  const Vector<double> spectrum = power_spectrum(120), sorted = descending(spectrum);
  const Basis a = test::matrix_with_spectrum(spectrum, 1);
  const Eigenpairs p = extreme_eigenpairs(test::operator_of(a), {.count_largest = 6, .count_smallest = 4});
  CHECK(p.stop == ExtremesStop::converged);
  CHECK(p.largest == 6);
  for (Index i = 0; i < 10; ++i) {
    CHECK_NEAR(p.values[i], sorted[i < 6 ? i : 110 + i], 1e-11, 0);
    const Vector<double> y = p.vectors.col(i);
    CHECK_NEAR(p.residuals[i], (a * y - p.values[i] * y).norm(), 1e-3, 1e-15);
    CHECK(p.residuals[i] <= 1e-10);
  }
  CHECK((p.vectors.transpose() * p.vectors - Basis::Identity(10, 10)).norm() <= 1e-12);
  CHECK_NEAR(p.ritz_min, sorted[119], 1e-11, 0);
  CHECK(p.norm <= 1 + 1e-12);
  CHECK(p.products == p.steps + 10 + 1 + 40);
  CHECK(all_passed(p.certificates));
}

/// Spectra's view of a dense matrix.
struct SpectraOperator {
  using Scalar = double;
  const Basis& a;
  Eigen::Index rows() const { return a.rows(); }
  Eigen::Index cols() const { return a.cols(); }
  void perform_op(const double* x, double* y) const {
    Eigen::Map<Eigen::VectorXd>(y, a.rows()) = a * Eigen::Map<const Eigen::VectorXd>(x, a.cols());
  }
};

TEST_CASE("eigenpairs: agree with Spectra, an independent solver, at both ends [random, n = 300, 8 + 8]") {
  const Vector<double> draws = test::normals(300 * 300, 2);
  const Basis g = Eigen::Map<const Basis>(draws.data(), 300, 300);
  const Basis a = g + g.transpose();
  SpectraOperator op{a};
  Spectra::SymEigsSolver<SpectraOperator> solver(op, 16, 80);
  solver.init();
  solver.compute(Spectra::SortRule::BothEnds, 1000, 1e-12, Spectra::SortRule::LargestAlge);
  REQUIRE(solver.info() == Spectra::CompInfo::Successful);
  const Vector<double> expected = solver.eigenvalues();
  for (int steps : {60, 280}) {
    const Eigenpairs p =
        extreme_eigenpairs(test::operator_of(a), {.count_largest = 8, .count_smallest = 8, .steps_max = steps});
    CHECK((p.restarts > 0) == (steps == 60));
    CHECK(all_passed(p.certificates));
    CHECK(test::relative_error(p.values, expected) <= 1e-11);
  }
}

TEST_CASE("eigenpairs: a small basis restarts and gives the pairs of a large one [block 1 and 3]") {
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(power_spectrum(200), 3));
  for (int block : {1, 3}) {
    const Eigenpairs large =
        extreme_eigenpairs(op, {.count_largest = 5, .count_smallest = 2, .block = block, .steps_max = 200});
    const Eigenpairs small =
        extreme_eigenpairs(op, {.count_largest = 5, .count_smallest = 2, .block = block, .steps_max = 16});
    CHECK(large.restarts == 0);
    CHECK(small.restarts > 0);
    CHECK(all_passed(small.certificates));
    CHECK(test::relative_error(small.values, large.values) <= 1e-11);
    CHECK(test::relative_error(Basis((small.vectors.transpose() * large.vectors).cwiseAbs()),
                               Basis(Basis::Identity(7, 7))) <= 1e-8);
  }
}

TEST_CASE("eigenpairs: intervals hold the true eigenvalue, the gap bounds too [100 random matrices]") {
  int sharpened = 0;
  const double construction = 5e-14;  // rounding of the test's own Q diag Q'
  for (std::uint32_t i = 0; i < 100; ++i) {
    const Vector<double> spectrum = test::normals(40, 200 + i), sorted = descending(spectrum);
    const double tolerance = std::pow(10.0, -1 - double(i % 8));
    const Eigenpairs p = extreme_eigenpairs(test::operator_of(test::matrix_with_spectrum(spectrum, 300 + i)),
                                            {.count_largest = 3, .steps_max = 25, .tolerance = tolerance});
    for (Index j = 0; j < 3; ++j) {
      CHECK((sorted.array() - p.values[j]).abs().minCoeff() <= p.residuals[j] + construction);
      CHECK((sorted.array() - p.values[j]).abs().minCoeff() <= p.error_bounds[j] + construction);
      sharpened += p.error_bounds[j] < 0.5 * p.residuals[j];
    }
  }
  CHECK(sharpened > 100);
}

TEST_CASE("eigenpairs: angle bounds hold against the known eigenvectors of a diagonal") {
  const Vector<double> spectrum = power_spectrum(80);
  const LinearOperator op{80, [&](const Vector<double>& v, Vector<double>& r) { r = spectrum.cwiseProduct(v); }};
  const Eigenpairs p = extreme_eigenpairs(op, {.count_largest = 4, .steps_max = 40, .tolerance = 1e-4});
  for (Index j = 0; j < 4; ++j) {
    const double cosine = p.vectors.col(j).cwiseAbs().maxCoeff();
    CHECK(std::sqrt(std::max(0.0, 1 - cosine * cosine)) <= p.angle_sines[j] + 1e-7);
    CHECK(p.angle_sines[j] < 0.1);
  }
}

TEST_CASE("eigenpairs: products run out: the stop says so, residuals bound the error, certificates fail") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(300, 0, 1);
  const ExtremesOptions options{.count_largest = 5, .steps_max = 12, .products_max = 70};
  const Eigenpairs p = extreme_eigenpairs(test::operator_of(test::matrix_with_spectrum(spectrum, 3)), options);
  CHECK(p.stop == ExtremesStop::products_exhausted);
  CHECK(p.products == 70);
  CHECK(p.steps == 24);
  CHECK(!first_of(p, "C2a").passed);
  for (Index i = 0; i < 5; ++i) {
    CHECK(p.residuals[i] > 1e-6);
    CHECK((spectrum.array() - p.values[i]).abs().minCoeff() <= p.residuals[i] * (1 + 1e-9));
  }
}

TEST_CASE("eigenpairs: an unsearched end is not certified complete") {
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(power_spectrum(60), 4));
  const Eigenpairs p = extreme_eigenpairs(op, {.count_largest = 2, .steps_max = 40, .probe_steps = 0});
  CHECK(p.stop == ExtremesStop::converged);
  CHECK(p.products == p.steps + 3);
  CHECK(!first_of(p, "C2c").passed);
  CHECK(first_of(p, "C2a").passed);
}

TEST_CASE("eigenpairs: seeds change the start and not the answer; equal seeds give equal bits") {
  const LinearOperator op = test::operator_of(test::matrix_with_spectrum(power_spectrum(80), 5));
  const ExtremesOptions options{.count_largest = 3, .steps_max = 70, .seed = 1};
  ExtremesOptions other = options;
  other.seed = 2;
  const Eigenpairs a = extreme_eigenpairs(op, options), b = extreme_eigenpairs(op, options);
  const Eigenpairs c = extreme_eigenpairs(op, other);
  CHECK((a.vectors.array() == b.vectors.array()).all());
  CHECK((a.vectors.array() != c.vectors.array()).any());
  CHECK(test::relative_error(c.values, a.values) <= 1e-11);
}

TEST_CASE("eigenpairs: a warm start takes fewer products and still meets a new outlier it is orthogonal to") {
  Vector<double> spectrum = power_spectrum(250);
  const Basis before = test::matrix_with_spectrum(spectrum, 6);
  const ExtremesOptions options{.count_largest = 6, .tolerance = 1e-5};
  const Eigenpairs cold = extreme_eigenpairs(test::operator_of(before), options);
  const Basis noise = test::matrix_with_spectrum(Vector<double>::LinSpaced(250, -1e-4, 1e-4), 7);
  const LinearOperator moved = test::operator_of(before + noise);
  const Eigenpairs again = extreme_eigenpairs(moved, options), warm = extreme_eigenpairs(moved, options, cold.vectors);
  CHECK(warm.steps < again.steps);
  CHECK(test::relative_error(warm.values, again.values) <= 1e-5);
  // Exact eigenvectors as warm ones, and an outlier that they do not touch in any product.
  Vector<double> grown = Vector<double>::Constant(250, 0.1);
  grown.head(6) << 2, 1.8, 1.6, 1.4, 1.2, 1;
  grown[200] = 3;
  const LinearOperator diagonal{250, [&](const Vector<double>& v, Vector<double>& r) { r = grown.cwiseProduct(v); }};
  const Basis ends = Basis::Identity(250, 6);
  for (int probe_steps : {0, 40}) {  // by its cold part alone, and with a search
    ExtremesOptions searched = options;
    searched.probe_steps = probe_steps;
    const Eigenpairs found = extreme_eigenpairs(diagonal, searched, ends);
    CHECK_NEAR(found.values[0], 3, 1e-9, 0);
    CHECK(first_of(found, "C2c").passed == (probe_steps > 0));
  }
}

TEST_CASE("eigenpairs: the float32 column is used with a noise floor, and no tolerance goes below ten times it") {
  const Basis a = test::matrix_with_spectrum(power_spectrum(100), 9);
  const Eigen::MatrixXf single = a.cast<float>();
  const LinearOperator rounded{100, [&](const Vector<double>& v, Vector<double>& result) {
                                 result = (single * v.cast<float>()).cast<double>();
                               }};
  const double eta = 1e-6;
  const Eigenpairs p = extreme_eigenpairs(rounded, {.count_largest = 4, .noise_floor = eta});
  CHECK(p.stop == ExtremesStop::converged);
  CHECK(first_of(p, "C2a").limit == 10 * eta);
  CHECK(first_of(p, "C1b").limit == 5 * eta);
  CHECK(all_passed(p.certificates));
  const Eigenpairs exact = extreme_eigenpairs(rounded, {.count_largest = 4});
  CHECK(!all_passed(exact.certificates));
  CHECK(p.steps < exact.steps);
}

TEST_CASE("eigenpairs: an asymmetric operator fails its symmetry check and its residuals") {
  Basis a = test::matrix_with_spectrum(power_spectrum(60), 10);
  CHECK(all_passed(check_operator(test::operator_of(a), 1)));
  const Vector<double> draws = test::normals(60 * 60, 11);
  a += 1e-6 * Eigen::Map<const Basis>(draws.data(), 60, 60);
  const std::vector<Certificate> checks = check_operator(test::operator_of(a), 1);
  CHECK(!checks[0].passed);
  CHECK(checks[1].passed);
  CHECK(!first_of(extreme_eigenpairs(test::operator_of(a), {.count_largest = 3}), "C2a").passed);
}

TEST_CASE("eigenpairs: an operator with hidden state fails the repeatability check") {
  int calls = 0;
  const LinearOperator op{5, [&](const Vector<double>& v, Vector<double>& r) { r = v * (1 + 1e-15 * ++calls); }};
  CHECK(!check_operator(op, 1)[1].passed);
}

TEST_CASE("eigenpairs: a product that is not finite ends the solve with a failing certificate") {
  for (int bad_call : {1, 7, 33, 45}) {
    int calls = 0;
    const Vector<double> d = power_spectrum(90);
    const LinearOperator op{90, [&](const Vector<double>& v, Vector<double>& r) {
                              r = d.cwiseProduct(v);
                              if (++calls == bad_call) r[3] = std::numeric_limits<double>::quiet_NaN();
                            }};
    const Eigenpairs p = extreme_eigenpairs(op, {.count_largest = 2});
    CHECK(p.stop == ExtremesStop::not_finite);
    CHECK(p.values.size() == 0);
    CHECK(!all_passed(p.certificates));
    for (const Certificate& c : check_operator({4, [](const Vector<double>&v, Vector<double>&r) { r = v / 0.0; }}, 1))
      CHECK(!c.passed);
  }
}

TEST_CASE("certificates: a demand fails on NaN and beyond its limit, and an empty list certifies nothing") {
  CHECK(certify("x", "", 1, 1).passed);
  CHECK(!certify("x", "", 1.0000001, 1).passed);
  CHECK(!certify("x", "", NAN, 1).passed);
  CHECK(!certify("x", "", 0, NAN).passed);
  CHECK(!all_passed({}));
  CHECK(!all_passed({certify("x", "", 0, 1), certify("y", "", 2, 1)}));
}

TEST_CASE("eigenpairs: options that cannot work are refused with numbers and the fix") {
  const LinearOperator op = test::operator_of(Basis::Identity(50, 50));
  const auto message = [&](const ExtremesOptions& o) -> std::string {
    try {
      start_extremes(o, 50);
    } catch (const OptionError& e) {
      return e.what();
    }
    return "";
  };
  const auto says = [&](const ExtremesOptions& o, const std::string& part) {
    CHECK_MESSAGE(message(o).find(part) != std::string::npos, message(o));
  };
  says({.count_largest = 0}, "count_largest 0");
  says({.count_largest = 40, .count_smallest = 11}, "1 to 50");
  says({.count_largest = 5, .steps_max = 7}, "set it to 8");
  says({.count_largest = 5, .products_max = 51}, "below the 52");
  says({.count_largest = 5, .tolerance = NAN}, "tolerance = nan");
  says({.count_largest = 5, .memory_max_bytes = 1000}, "memory_max_bytes 1000; lower steps_max");
  CHECK(message({.count_largest = 5, .memory_max_bytes = extremes_bytes({.count_largest = 5}, 50)}).empty());
  CHECK_THROWS_AS(start_extremes({.count_largest = 5}, 50, Basis::Zero(50, 1)), ContractError);
  CHECK_THROWS_AS(start_extremes({.count_largest = 5}, 50, Basis::Ones(49, 1)), ContractError);
}

}  // namespace
}  // namespace hone
