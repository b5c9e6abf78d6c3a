#include "theory/solvable/features.hpp"

#include <rapidcheck.h>

#include <Eigen/QR>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

using test::gaussian;

Vector<double> powers(Index count, double exponent) {
  Vector<double> x(count);
  for (Index k = 0; k < count; ++k) x(k) = std::pow(k + 1.0, -exponent);
  return x;
}

template <class F>
double local_exponent(F&& f, double x) {
  return std::log(f(2 * x) / f(x)) / std::log(2.0);
}

/// Features i = 1 … n of spectrum i^-b, errors 1, no floor.
OnePassSgd sgd_on_powers(Index n, double b, double rate, Index batch) {
  OnePassSgd sgd;
  sgd.problem.eigenvalues = powers(n, b);
  sgd.problem.error2 = Vector<double>::Ones(n);
  sgd.rate = rate, sgd.batch = batch;
  return sgd;
}

}  // namespace

TEST_SUITE("solvable") {
  TEST_CASE("gradient flow: loss exponents .6667 (a = 2, b = 1.5) and .7500 (a = 2.5, b = 2), by the sum itself") {
    const double table[][3] = {{2, 1.5, .6667}, {2.5, 2, .7500}};
    for (const auto& [a, b, exponent] : table) {
      const PowerFeatures f{a, b};
      CHECK_NEAR(f.time_exponent(), exponent, 0, 6e-5);
      const double measured = -local_exponent([&](double t) { return f.flow_risk(t); }, 1e4);
      CHECK_NEAR(measured, exponent, 0, 6e-5);
      CHECK_NEAR(f.flow_risk(1e5) / f.flow_asymptote(1e5), 1, 1e-3, 0);
    }
  }

  TEST_CASE("gradient flow: starts at zeta(a), and no term is lost to the tail's integral [a = 2]") {
    const PowerFeatures f{2, 1.5};
    CHECK_NEAR(f.flow_risk(0), M_PI * M_PI / 6, 1e-10, 0);
    double sum = 0;
    for (int k = 300000; k >= 1; --k) sum += std::pow(k, -2.0) * std::exp(-2 * 40 * std::pow(k, -1.5));
    CHECK_NEAR(f.flow_risk(40), sum + 1 / 300000.5, 1e-9, 0);
    CHECK_THROWS_AS((PowerFeatures{1, 1}.flow_risk(1)), ContractError);
  }

  TEST_CASE("random_feature_floor: the mean floor of drawn features [300 features, 10 to 60 of them seen, 30 draws]") {
    const Vector<double> lambda = powers(300, 1.5), target = powers(300, 0.25);  // signal k^-2
    const Vector<double> signal = lambda.cwiseProduct(target.cwiseAbs2());
    for (const Index count : {10, 60}) {
      std::vector<double> floors;
      for (std::uint32_t d = 0; d < 30; ++d)
        floors.push_back(random_features(lambda, target, gaussian(300, count, 900 + d)).floor);
      const MeanEstimate mean = mean_with_error(floors);
      const double theory = random_feature_floor(lambda, signal, count);
      CHECK_NEAR(theory, mean.mean, 1.0 / double(count), 4 * mean.standard_error);
      CHECK_NEAR(theory, mean.mean, 0.06, 0);
    }
  }

  TEST_CASE("sample_risk: the mean risk of least squares of least norm [120 features, 12 and 40 samples, with noise]") {
    const Vector<double> lambda = powers(120, 1.2), target = powers(120, 0.4);
    const Vector<double> signal = lambda.cwiseProduct(target.cwiseAbs2());
    for (const Index samples : {12, 40})
      for (const double noise : {0.0, 0.05}) {
        std::vector<double> risks;
        for (std::uint32_t d = 0; d < 60; ++d) {
          const Matrix<double> x = gaussian(samples, 120, 1000 + d) * lambda.cwiseSqrt().asDiagonal();
          const Vector<double> y = x * target + std::sqrt(noise) * test::normals(samples, 3000 + d);
          const Vector<double> w = x.completeOrthogonalDecomposition().solve(y);
          risks.push_back(lambda.dot((w - target).cwiseAbs2()));
        }
        const MeanEstimate mean = mean_with_error(risks);
        CAPTURE(samples);
        CAPTURE(noise);
        CHECK_NEAR(sample_risk(lambda, signal, samples, noise), mean.mean, 1.0 / double(samples),
                   4 * mean.standard_error);
      }
  }

  TEST_CASE("exponents: a - 1 in size and data where it is the smaller; else b in size and 2b in data") {
    // 20000 features; the signal of those cut off, none of which is seen, is added.
    const double cases[][2] = {{1.5, 1.5}, {1.8, 2}, {3, 1.6}, {5, 1.5}};
    for (const auto& [a, b] : cases) {
      const PowerFeatures f{a, b};
      const Vector<double> lambda = powers(20000, b), signal = powers(20000, a);
      const double cut = std::pow(20000.5, 1 - a) / (a - 1);
      const auto floor = [&](double n) { return random_feature_floor(lambda, signal, Index(n)) + cut; };
      const auto risk = [&](double d) { return sample_risk(lambda, signal, Index(d), 0) + cut; };
      CAPTURE(a);
      CAPTURE(b);
      CHECK_NEAR(-local_exponent(floor, 200), f.size_exponent(), 0, 0.1);
      CHECK_NEAR(-local_exponent(risk, 200), f.data_exponent(), 0, 0.1);
    }
    CHECK_NEAR((PowerFeatures{3, 1.6}.size_exponent()), 1.6, 1e-12, 0);
    CHECK_NEAR((PowerFeatures{3, 1.6}.data_exponent()), 2, 1e-12, 0);
    CHECK_NEAR((PowerFeatures{5, 1.5}.data_exponent()), 3, 1e-12, 0);
  }

  TEST_CASE("random_features: floor and best weights solve the normal equations [20 features, 6 seen]") {
    const Vector<double> lambda = powers(20, 1), target = test::normals(20, 5);
    const Matrix<double> f = gaussian(20, 6, 6), covariance = f.transpose() * lambda.asDiagonal() * f;
    const FeatureRegression problem = random_features(lambda, target, f);
    CHECK_NEAR(problem.eigenvalues.sum(), covariance.trace(), 1e-12, 0);
    const Vector<double> best = covariance.ldlt().solve(f.transpose() * lambda.cwiseProduct(target));
    CHECK_NEAR(problem.error2.sum(), best.squaredNorm(), 1e-10, 0);
    CHECK_NEAR(problem.floor, lambda.dot((target - f * best).cwiseAbs2()), 1e-10, 0);
    CHECK_NEAR(problem.floor + problem.eigenvalues.dot(problem.error2), lambda.dot(target.cwiseAbs2()), 1e-12, 0);
  }

  TEST_CASE("one-pass SGD: risks are the mean of 4000 runs drawn sample by sample [4 features, batch 1 and 3]") {
    for (const Index batch : {1, 3}) {
      OnePassSgd sgd = sgd_on_powers(4, 1, 0.25, batch);
      sgd.problem.error2 = powers(4, 0.5), sgd.noise = 0.1, sgd.problem.floor = 0.2;
      constexpr Index steps = 12;
      const Vector<double> sd = sgd.problem.eigenvalues.cwiseSqrt();
      std::vector<double> at[2];
      for (std::uint32_t run = 0; run < 4000; ++run) {
        Vector<double> v = sgd.problem.error2.cwiseSqrt();
        const Vector<double> draws = test::normals(steps * batch * 5, 5000 + run);
        for (Index t = 0; t <= steps; ++t) {
          if (t == 3 || t == steps)
            at[t == steps].push_back(sgd.problem.eigenvalues.dot(v.cwiseAbs2()) + sgd.problem.floor);
          if (t == steps) break;
          Vector<double> gradient = Vector<double>::Zero(4);
          for (Index s = 0; s < batch; ++s) {
            const Vector<double> x = draws.segment(5 * (t * batch + s), 4).cwiseProduct(sd);
            gradient += x * (x.dot(v) - std::sqrt(0.3) * draws[5 * (t * batch + s) + 4]) / double(batch);
          }
          v -= sgd.rate * gradient;
        }
      }
      const Vector<double> theory = sgd.risks(steps);
      for (const int late : {0, 1}) {
        const MeanEstimate mean = mean_with_error(at[late]);
        CHECK_NEAR(theory[late ? steps : 3], mean.mean, 0, 4 * mean.standard_error);
      }
    }
  }

  TEST_CASE("one-pass SGD: large batches follow (1 - eta lambda)^2t; the settled risk is where the recursion ends") {
    const OnePassSgd large = sgd_on_powers(10, 1.5, 0.3, 1 << 30);
    const Vector<double> risks = large.risks(50);
    for (const Index t : {1, 10, 50}) {
      const Eigen::ArrayXd l = large.problem.eigenvalues.array();
      CHECK_NEAR(risks[t], (l * (1 - 0.3 * l).pow(2.0 * double(t))).sum(), 1e-6, 0);
    }
    OnePassSgd noisy = sgd_on_powers(5, 1, 0.3, 2);
    noisy.noise = 0.4, noisy.problem.floor = 0.1;
    CHECK_NEAR(noisy.risks(4000)[4000], noisy.stationary_risk(), 1e-9, 0);
  }

  TEST_CASE("one_pass_cap: converges below and diverges above; under 2/lambda_max, and rising to it with the batch") {
    CHECK(rc::check([] {
      const Index n = *rc::gen::inRange(1, 12), batch = *rc::gen::inRange(1, 40);
      const double b = *rc::gen::inRange(0, 250) / 100.0;
      const double cap = one_pass_cap(powers(n, b), batch);
      RC_ASSERT(cap < 2);
      RC_ASSERT(cap < one_pass_cap(powers(n, b), batch + 1));
      const auto end = [&](double share) {
        const Vector<double> risks = sgd_on_powers(n, b, share * cap, batch).risks(6000);
        return risks[6000] / risks[3000];
      };
      RC_ASSERT(!(end(0.97) > 1));
      RC_ASSERT(!(end(1.03) < 1));
    }));
    // One direction, one sample: E(1 - eta x²)² = 1 - 2 eta + 3 eta².
    CHECK_NEAR(one_pass_cap(Vector<double>::Ones(1), 1), 2.0 / 3, 1e-10, 0);
    CHECK_NEAR(one_pass_cap(powers(10, 1), 1 << 30), 2, 1e-6, 0);
    CHECK(sgd_on_powers(10, 1, 1.9, 1).stationary_risk() == INFINITY);
  }

  TEST_CASE(
      "noisy_features: additive noise ends the gain of more features, multiplicative noise leaves it [a 1.8, b 1.5]") {
    const Vector<double> lambda = powers(40000, 1.5), signal = powers(40000, 1.8);
    const auto gain = [&](const Vector<double>& noise, Index from) {  // of doubling the features that are seen
      const auto risk = [&](Index n) {
        return noisy_features(lambda.head(n), signal.head(n), noise.head(n)).risk + signal.tail(40000 - n).sum();
      };
      return risk(from) - risk(2 * from);
    };
    const Vector<double> none = Vector<double>::Zero(40000), additive = Vector<double>::Constant(40000, 1e-3),
                         multiplicative = 0.1 * lambda;
    for (const Index n : {10, 100, 1000, 10000}) {
      CHECK_NEAR(gain(multiplicative, n) / gain(none, n), 1 / 1.1, 1e-12, 0);
      const double kept = gain(additive, n) / gain(none, n);
      CHECK(kept < lambda[n] / (lambda[n] + 1e-3));
      CHECK(kept > lambda[2 * n - 1] / (lambda[2 * n - 1] + 1e-3));
    }
    CHECK(gain(additive, 10000) < 0.002 * gain(none, 10000));
    CHECK_NEAR(noisy_features(lambda, signal, multiplicative).effective_size, 40000 / 1.1, 1e-12, 0);
    CHECK_NEAR(noisy_features(lambda, signal, multiplicative).risk, signal.sum() * 0.1 / 1.1, 1e-12, 0);
  }

  TEST_CASE("additive_effective_size: the sum over endless features; damage grows as noise^((a-1)/b)") {
    CHECK(rc::check([] {
      const double b = 1.2 + *rc::gen::inRange(0, 130) / 100.0, q = std::pow(10.0, -*rc::gen::inRange(10, 30) / 10.0);
      const Vector<double> lambda = powers(30000, b), noise = Vector<double>::Constant(30000, q);
      // Beyond the last feature λ/(λ+q) ≈ k^-b/q.
      const double tail =
          std::pow(30000.5, 1 - b) / ((b - 1) * q) - std::pow(30000.5, 1 - 2 * b) / ((2 * b - 1) * q * q);
      const double sum = noisy_features(lambda, lambda, noise).effective_size + tail;
      RC_ASSERT(test::near(sum, additive_effective_size(b, q), 0.01));
    }));
    const Vector<double> lambda = powers(100000, 1.5), signal = powers(100000, 1.9);
    const auto risk = [&](double q) {
      return noisy_features(lambda, signal, Vector<double>::Constant(100000, q)).risk;
    };
    CHECK_NEAR(local_exponent(risk, 1e-4), 0.9 / 1.5, 0, 0.02);
  }
}
