#include "theory/solvable/spectra.hpp"

#include <rapidcheck.h>

#include <Eigen/Eigenvalues>
#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Rows of softmax of `scale` times normals.
Matrix<double> random_probabilities(Index rows, Index classes, double scale, std::uint32_t number) {
  Matrix<double> p =
      (scale * test::normals(rows * classes, number)).array().exp().matrix().reshaped<Eigen::RowMajor>(rows, classes);
  for (Index m = 0; m < rows; ++m) p.row(m) /= p.row(m).sum();
  return p;
}

/// 1/M Σ (diag p - pp') ⊗ xx', entry by entry.
Matrix<double> softmax_hessian(const Matrix<double>& x, const Matrix<double>& p) {
  const Index inputs = x.cols(), classes = p.cols();
  Matrix<double> h = Matrix<double>::Zero(classes * inputs, classes * inputs);
  for (Index m = 0; m < x.rows(); ++m)
    for (Index a = 0; a < classes; ++a)
      for (Index b = 0; b < classes; ++b)
        h.block(a * inputs, b * inputs, inputs, inputs) +=
            (double(a == b) * p(m, a) - p(m, a) * p(m, b)) * x.row(m).transpose() * x.row(m) / double(x.rows());
  return h;
}

/// ∫ x^k d(cdf) over [low, high] by midpoints of the distribution function itself.
template <class Law>
double moment_by_cdf(const Law& law, int k, double low, double high) {
  constexpr int cells = 4000;
  double sum = 0, before = law.cdf(low);
  for (int i = 0; i < cells; ++i) {
    const double right = low + (high - low) * (i + 1) / cells, now = law.cdf(right);
    sum += std::pow(right - (high - low) / (2 * cells), k) * (now - before);
    before = now;
  }
  return sum;
}

}  // namespace

TEST_SUITE("solvable") {
  TEST_CASE("semicircle: distribution, density and moments belong together [any radius]") {
    CHECK(rc::check([] {
      const Semicircle law{*rc::gen::inRange(10, 1000) / 100.0};
      const double r = law.radius, x = r * *rc::gen::inRange(-95, 96) / 100.0, h = 1e-5 * r;
      RC_ASSERT(law.cdf(-r) == 0);
      RC_ASSERT(test::near(law.cdf(r), 1, 1e-15));
      RC_ASSERT(test::near(law.cdf(x) + law.cdf(-x), 1, 1e-14));
      RC_ASSERT(test::near((law.cdf(x + h) - law.cdf(x - h)) / (2 * h), law.density(x), 1e-7));
    }));
    const Semicircle unit{2};
    const double catalan[] = {1, 1, 2, 5, 14};
    for (int k = 0; k <= 4; ++k) {
      CHECK_NEAR(unit.moment(2 * k), catalan[k], 1e-12, 0);
      CHECK_NEAR(moment_by_cdf(unit, 2 * k, -2, 2), catalan[k], 1e-5, 0);
      CHECK(unit.moment(2 * k + 1) == 0);
    }
    CHECK(unit.density(2.1) == 0);
  }

  TEST_CASE("Marchenko-Pastur: distribution, density, atom and moments belong together [any ratio]") {
    CHECK(rc::check([] {
      const MarchenkoPastur law{*rc::gen::inRange(1, 40) / 10.0, *rc::gen::inRange(1, 50) / 10.0};
      const double x = law.lower() + (law.upper() - law.lower()) * *rc::gen::inRange(5, 96) / 100.0, h = 1e-5 * x;
      RC_ASSERT(test::near(law.cdf(law.upper()), 1, 1e-9));
      RC_ASSERT(test::near((law.cdf(x + h) - law.cdf(x - h)) / (2 * h), law.density(x), 1e-5));
      RC_ASSERT(law.cdf(-1) == 0);
      RC_ASSERT(test::near(law.cdf(0.5 * law.lower()), law.atom(), 1e-15, 1e-15));
    }));
    for (const double ratio : {0.2, 1.0, 2.5}) {
      const MarchenkoPastur law{ratio, 1.5};
      CHECK_NEAR(law.moment(1), 1.5, 1e-12, 0);
      CHECK_NEAR(law.moment(2), 2.25 * (1 + ratio), 1e-12, 0);
      CHECK_NEAR(law.moment(3), 3.375 * (1 + 3 * ratio + ratio * ratio), 1e-12, 0);
      for (int k = 1; k <= 4; ++k) CHECK_NEAR(moment_by_cdf(law, k, 0, law.upper()), law.moment(k), 1e-4, 0);
    }
  }

  TEST_CASE("linear softmax: the spectrum is that of the Hessian entry by entry, the rest is 0 [any]") {
    CHECK(rc::check([] {
      const Index examples = *rc::gen::inRange(1, 5), inputs = *rc::gen::inRange(1, 5),
                  classes = *rc::gen::inRange(2, 5);
      const auto number = static_cast<std::uint32_t>(*rc::gen::inRange(0, 10000));
      const Matrix<double> x = test::normals(examples * inputs, number).reshaped<Eigen::RowMajor>(examples, inputs);
      const Matrix<double> p = random_probabilities(examples, classes, 1.5, number + 1);
      const Vector<double> formula = linear_softmax_spectrum(x, p);
      const Vector<double> exact = Eigen::SelfAdjointEigenSolver<Matrix<double>>(softmax_hessian(x, p)).eigenvalues();
      const Index both = std::min(formula.size(), exact.size());
      RC_ASSERT((formula.tail(both) - exact.tail(both)).cwiseAbs().maxCoeff() <= 1e-12);
      RC_ASSERT(formula.head(formula.size() - both).cwiseAbs().maxCoeff() <= 1e-12 || formula.size() == both);
      RC_ASSERT(exact.head(exact.size() - both).cwiseAbs().maxCoeff() <= 1e-12 || exact.size() == both);
      RC_ASSERT((formula.array() > 1e-9).count() <= examples * (classes - 1));
    }));
  }

  TEST_CASE("linear softmax: two classes and orthogonal inputs have 2 p (1-p) |x|^2 / M once per input") {
    Matrix<double> x(2, 3), p(2, 2);
    x << 3, 0, 0, 0, 0, 2;
    p << 0.9, 0.1, 0.4, 0.6;
    const Vector<double> values = linear_softmax_spectrum(x, p);
    REQUIRE(values.size() == 4);
    CHECK_NEAR(values[3], 0.4 * 0.6 * 2 * 4 / 2, 1e-13, 0);
    CHECK_NEAR(values[2], 0.9 * 0.1 * 2 * 9 / 2, 1e-13, 0);
    CHECK(std::abs(values[1]) < 1e-14);
  }

  TEST_CASE("power spectrum: sums agree with adding up, and participation gives the exponent back") {
    for (const double b : {0.0, 0.5, 1.0, 1.5, 3.0})
      for (const int count : {10, 64, 65, 20000}) {
        double sum = 0;
        for (int k = 1; k <= count; ++k) sum += std::pow(k, -b);
        CHECK_NEAR(power_trace(count, b), sum, 1e-4, 0);
        const double squares = power_trace(count, 2 * b);
        CHECK_NEAR(participation_exponent(3 * sum, 3 * std::sqrt(squares), count), b, 0, 1e-3);
      }
    CHECK(std::isnan(participation_exponent(1, 2, 100)));  // negative eigenvalues can do that
  }
}
