#include "theory/noise/damage.hpp"

#include <rapidcheck.h>

#include <Eigen/LU>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// A A' + ridge I of a random square A.
Matrix<double> positive_definite(Index n, std::uint32_t number, double ridge = 0.1) {
  const Matrix<double> a = test::normals(n * n, number).reshaped<Eigen::RowMajor>(n, n);
  return a * a.transpose() + ridge * Matrix<double>::Identity(n, n);
}

}  // namespace

TEST_SUITE("noise") {
  TEST_CASE("second_order_change: mean and variance agree with 200000 correlated draws [3 parameters]") {
    Vector<double> g(3), mu(3);
    g << 0.3, -0.2, 0.5;
    mu << 0.1, 0.05, -0.2;
    Matrix<double> h(3, 3), root(3, 3);
    h << 2, 0.5, -0.3, 0.5, 1, 0.2, -0.3, 0.2, 3;
    root << 0.2, 0, 0, 0.1, 0.3, 0, -0.05, 0.08, 0.1;
    const LossChange theory = second_order_change(g, h, mu, root * root.transpose());
    double sum = 0, squares = 0;
    constexpr int draws = 200000;
    for (int i = 0; i < draws; ++i) {
      Vector<double> z(3);
      for (int j = 0; j < 3; ++j) z(j) = normal(Stream{8, Domain::test}, static_cast<std::uint64_t>(3 * i + j));
      const Vector<double> e = mu + root * z;
      const double change = g.dot(e) + 0.5 * e.dot(h * e);
      sum += change;
      squares += change * change;
    }
    const double mean = sum / draws;
    CHECK_NEAR(mean, theory.mean, 0, 5 * std::sqrt(theory.variance / draws));
    CHECK_NEAR(squares / draws - mean * mean, theory.variance, 0.03, 0);
  }

  TEST_CASE("second_order_change: independent noise costs half the sum of s_i^2 H_ii; a mean alone is exact") {
    CHECK(rc::check([] {
      const Index n = *rc::gen::inRange(1, 7);
      const auto number = static_cast<std::uint32_t>(*rc::gen::inRange(0, 10000));
      const Matrix<double> h = positive_definite(n, number);
      const Vector<double> g = test::normals(n, number + 1), mu = test::normals(n, number + 2);
      const Vector<double> s2 = test::normals(n, number + 3).cwiseAbs2(), zero = Vector<double>::Zero(n);
      const Matrix<double> covariance = s2.asDiagonal();
      RC_ASSERT(test::near(second_order_change(zero, h, zero, covariance).mean, 0.5 * h.diagonal().dot(s2), 1e-12));
      const LossChange shift = second_order_change(g, h, mu, Matrix<double>::Zero(n, n));
      RC_ASSERT(test::near(shift.mean, g.dot(mu) + 0.5 * mu.dot(h * mu), 1e-12, 1e-12));
      RC_ASSERT(shift.variance == 0);
      // The gradient adds g'Sg to the variance and nothing to the mean of centred noise: pairs of ± e cancel it.
      const LossChange with = second_order_change(g, h, zero, covariance);
      const LossChange without = second_order_change(zero, h, zero, covariance);
      RC_ASSERT(test::near(with.mean, without.mean, 1e-12));
      RC_ASSERT(test::near(with.variance - without.variance, g.cwiseAbs2().dot(s2), 1e-9));
    }));
  }

  TEST_CASE("isotropic_rise: noise in the top k or in all of n directions costs what its covariance says") {
    CHECK(rc::check([] {
      const Index n = *rc::gen::inRange(1, 9), k = *rc::gen::inRange(Index(0), n + 1);
      const auto number = static_cast<std::uint32_t>(*rc::gen::inRange(0, 10000));
      Vector<double> lambda = test::normals(n, number).cwiseAbs();
      std::sort(lambda.data(), lambda.data() + n, std::greater<>());
      const Matrix<double> h = lambda.asDiagonal();
      const Vector<double> zero = Vector<double>::Zero(n);
      Matrix<double> top = Matrix<double>::Zero(n, n);
      top.diagonal().head(k).setConstant(0.3);
      const double rise = isotropic_rise(lambda.sum(), 0.3);
      RC_ASSERT(test::near(rise * top_share(lambda, k), second_order_change(zero, h, zero, top).mean, 1e-12, 1e-15));
      RC_ASSERT(test::near(rise, second_order_change(zero, h, zero, 0.3 * Matrix<double>::Identity(n, n)).mean, 1e-12));
    }));
  }

  TEST_CASE("top_share: top-k damage of isotropic noise is the spectrum's share, random k/n on average") {
    Vector<double> lambda(4);
    lambda << 6, 2, 1, 1;
    CHECK_NEAR(top_share(lambda, 1), 0.6, 1e-12, 0);
    CHECK_NEAR(top_share(lambda, 4), 1, 1e-12, 0);
    CHECK_NEAR(random_share(1, 4), 0.25, 1e-12, 0);
    CHECK_NEAR(alignment_null(1, 4), 0.5, 1e-12, 0);
    CHECK_THROWS_AS(top_share(lambda, 5), ContractError);
  }

  TEST_CASE("feedback_proxy: D by hand for two columns; determinant and bound for any [n to 8]") {
    Matrix<double> two(2, 2);
    two << 3, 1.2, 1.2, 2;
    CHECK_NEAR(feedback_proxy(two, 0.5, 7).feedback, 0.25 / 12 * 7 * (3 - 1.2 * 1.2 / 2 + 2), 1e-13, 0);
    CHECK_NEAR(feedback_proxy(two, 0.5, 7).nearest, 0.25 / 12 * 7 * 5, 1e-13, 0);
    CHECK(rc::check([] {
      const Index n = *rc::gen::inRange(1, 9);
      const Matrix<double> h = positive_definite(n, static_cast<std::uint32_t>(*rc::gen::inRange(0, 10000)));
      const FeedbackProxy proxy = feedback_proxy(h, std::sqrt(12.0), 1);
      RC_ASSERT(test::near(proxy.nearest, h.trace(), 1e-13));
      RC_ASSERT(proxy.feedback <= h.trace() * (1 + 1e-13));
      // tr D ≥ n (det H)^(1/n), for det D = det H.
      RC_ASSERT(proxy.feedback >= double(n) * std::pow(h.determinant(), 1.0 / double(n)) * (1 - 1e-9));
      const Matrix<double> diagonal = h.diagonal().asDiagonal();
      RC_ASSERT(test::near(feedback_proxy(diagonal, 1, 3).feedback, feedback_proxy(diagonal, 1, 3).nearest, 1e-13));
    }));
    CHECK_THROWS_AS(feedback_proxy(-two, 1, 1), ContractError);
  }

  TEST_CASE("composed_noise: +3 % of the sum at nu = .065, +0.6 % at .011; above the sum for any") {
    CHECK_NEAR(composed_noise({0.065, 0.065}) / 0.13 - 1, 0.03, 0, 5e-3);
    CHECK_NEAR(composed_noise({0.011, 0.011}) / 0.022 - 1, 0.006, 0, 5e-4);
    CHECK(composed_noise({}) == 0);
    CHECK(rc::check([] {
      std::vector<double> nu;
      double sum = 0, product = 1;
      for (int i = *rc::gen::inRange(1, 5); i > 0; --i) {
        nu.push_back(*rc::gen::inRange(0, 1000) / 500.0);
        sum += nu.back(), product *= 1 + nu.back();
      }
      RC_ASSERT(test::near(composed_noise(nu), product - 1, 1e-12, 1e-14));
      RC_ASSERT(composed_noise(nu) >= sum - 1e-12);
    }));
    CHECK_THROWS_AS(composed_noise({-0.1}), ContractError);
  }

  TEST_CASE("two_class_rise: half p(1-p) variance for little noise, sqrt(variance/2pi) for much") {
    for (const double z : {0.0, 1.0, -2.0, 4.0}) {
      const double p = 1 / (1 + std::exp(-z));
      CHECK_NEAR(two_class_rise(z, 1e-5), 0.5e-5 * p * (1 - p), 1e-4, 0);
      const double far = two_class_rise(z, 1e8) + std::log1p(std::exp(-z));
      CHECK_NEAR(far, std::sqrt(1e8 / (2 * M_PI)) - z / 2, 1e-6, 0);
    }
    CHECK(two_class_rise(1, 0) == 0);
  }

  TEST_CASE("two_class_rise: two noises add to less than their sum where classes are open or noise is large") {
    CHECK(rc::check([] {
      const double a = std::exp(*rc::gen::inRange(-300, 600) / 100.0),
                   b = std::exp(*rc::gen::inRange(-300, 600) / 100.0);
      RC_ASSERT(two_class_rise(0, a + b) < two_class_rise(0, a) + two_class_rise(0, b));
    }));
    CHECK(two_class_rise(4, 200) < 2 * two_class_rise(4, 100));
    // A confident right answer is the exception: p (1 - p) < 1/6 makes little noise superadditive.
    CHECK(two_class_rise(4, 0.2) > 2 * two_class_rise(4, 0.1));
  }
}
