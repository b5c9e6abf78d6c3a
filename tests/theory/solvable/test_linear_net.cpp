#include "theory/solvable/linear_net.hpp"

#include <rapidcheck.h>

#include <Eigen/Eigenvalues>
#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"
#include "theory/noise/rounding.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

LinearNet power_net(double alpha, Index modes) {
  LinearNet net;
  net.target.resize(modes);
  for (Index k = 0; k < modes; ++k) net.target(k) = std::pow(k + 1.0, -alpha);
  net.start = 1e-4;
  net.d_in = net.d_out = modes;
  return net;
}

/// d ln f / d ln t at t by a central difference over a factor of e.
template <class F>
double local_exponent(F&& f, double t) {
  return std::log(f(t * std::exp(0.5)) / f(t * std::exp(-0.5)));
}

/// Jacobian of W2 W1 (o,i) by W1 (h,i) and W2 (o,h), rows and columns row-major.
Matrix<double> jacobian_of(const Matrix<double>& w1, const Matrix<double>& w2) {
  const Index h = w1.rows(), i = w1.cols(), o = w2.rows();
  Matrix<double> jacobian = Matrix<double>::Zero(o * i, h * i + o * h);
  for (Index a = 0; a < o; ++a)
    for (Index b = 0; b < i; ++b)
      for (Index k = 0; k < h; ++k) {
        jacobian(i * a + b, i * k + b) += w2(a, k);
        jacobian(i * a + b, h * i + h * a + k) += w1(k, b);
      }
  return jacobian;
}

}  // namespace

TEST_SUITE("solvable") {
  TEST_CASE("linear_net_mode: solves ds/dt = 2 s (s* - s) from its start to its target [any]") {
    CHECK(rc::check([] {
      const double target = *rc::gen::inRange(1, 2000) / 1000.0, start = target * *rc::gen::inRange(1, 1000) / 1000.0;
      const double t = *rc::gen::inRange(0, 1000) / 100.0, h = 1e-4;
      const double s = linear_net_mode(t, start, target);
      const double slope = (linear_net_mode(t + h, start, target) - linear_net_mode(t - h, start, target)) / (2 * h);
      // The third derivative of the logistic is below (2 s*)³ s*.
      RC_ASSERT(test::near(slope, 2 * s * (target - s), 1e-9, h * h * std::pow(2 * target, 3) * target + 1e-10));
      RC_ASSERT(test::near(linear_net_mode(0, start, target), start, 1e-12));
      RC_ASSERT(test::near(linear_net_mode(1e6, start, target), target, 1e-12));
    }));
    CHECK_THROWS_AS(linear_net_mode(1, 0.5, 0.4), ContractError);
  }

  TEST_CASE("linear net: Gauss-Newton trace and spectrum are those of the explicit Jacobian [2 to 4 wide, any time]") {
    CHECK(rc::check([] {
      LinearNet net;
      net.d_in = *rc::gen::inRange(2, 5), net.d_out = *rc::gen::inRange(2, 5);
      const Index modes = *rc::gen::inRange(Index(1), std::min(net.d_in, net.d_out) + 1);
      net.target = Vector<double>::LinSpaced(modes, 1.0, 0.4);
      const double t = *rc::gen::inRange(0, 1000) / 100.0;
      const Vector<double> s = net.modes(t);
      // Balanced: W1 = diag(√s) in the first inputs, W2 the same in the first outputs.
      Matrix<double> w1 = Matrix<double>::Zero(modes, net.d_in), w2 = Matrix<double>::Zero(net.d_out, modes);
      w1.leftCols(modes).diagonal() = w2.topRows(modes).diagonal() = s.cwiseSqrt();
      const Matrix<double> jacobian = jacobian_of(w1, w2), gram = jacobian * jacobian.transpose();
      RC_ASSERT(test::near(gram.trace(), net.gn_trace(t), 1e-12));
      Vector<double> formula = net.gn_spectrum(t);
      std::sort(formula.data(), formula.data() + formula.size());
      const Vector<double> exact = Eigen::SelfAdjointEigenSolver<Matrix<double>>(gram).eigenvalues();
      RC_ASSERT((formula - exact).cwiseAbs().maxCoeff() <= 1e-12);
      RC_ASSERT(test::near(formula.maxCoeff(), 2 * s.maxCoeff(), 1e-12));
    }));
  }

  TEST_CASE("linear net: sharpness saturates with the first mode, the trace goes on") {
    const LinearNet net = power_net(2.0 / 3, 60);
    CHECK_NEAR(net.gn_spectrum(0).maxCoeff(), 2e-4, 1e-12, 0);
    CHECK_NEAR(net.gn_spectrum(12).maxCoeff(), 2, 1e-5, 0);
    CHECK(net.gn_trace(120) > 3 * net.gn_trace(12));
  }

  TEST_CASE("linear net: local exponents of the trace at t = 1e3 to 1e4 come down on 1/alpha - 1 as tabulated") {
    const double table[][3] = {{2.0 / 3, .51, .53}, {.75, .36, .37}, {.9, .19, .24}};
    for (const auto& [alpha, low, high] : table) {
      const LinearNet net = power_net(alpha, 1000000);
      const auto trace = [&](double t) { return net.gn_trace(t); };
      const double gamma = linear_net_exponents(alpha).gamma, first = local_exponent(trace, 1e3),
                   last = local_exponent(trace, 1e4);
      CAPTURE(alpha);
      CAPTURE(first);
      CAPTURE(last);
      CHECK(first > last);
      CHECK(last > gamma);
      CHECK_NEAR(last, low, 0, 0.02);
      CHECK_NEAR(first, high, 0, 0.02);
    }
  }

  TEST_CASE("linear net: the loss falls with 2 - 1/alpha where the modes cut off are added") {
    for (const double alpha : {2.0 / 3, 0.75}) {
      constexpr Index modes = 200000;
      const LinearNet net = power_net(alpha, modes);
      const double tail = 0.5 * std::pow(modes, 1 - 2 * alpha) / (2 * alpha - 1);
      const auto loss = [&](double t) { return net.loss(t) + tail; };
      CHECK_NEAR(local_exponent(loss, 3e3), -linear_net_exponents(alpha).beta, 0, 0.15);
    }
  }

  TEST_CASE("linear net: above alpha = 1 the trace saturates") {
    const LinearNet net = power_net(1.5, 20000);
    const auto trace = [&](double t) { return net.gn_trace(t); };
    CHECK(local_exponent(trace, 1e4) < 0.03);
  }

  TEST_CASE("linear_net_exponents: gamma + beta = 1, absmax doubles gamma; (.5, .5) at 2/3, near Kumar et al.'s sum") {
    CHECK(rc::check([] {
      const double alpha = 0.5 + 0.5 * *rc::gen::inRange(1, 1000) / 1000.0;
      const LinearNetExponents e = linear_net_exponents(alpha);
      RC_ASSERT(test::near(e.gamma + e.beta, 1, 1e-12));
      RC_ASSERT(e.absmax_damage == 2 * e.gamma);
    }));
    CHECK_NEAR(linear_net_exponents(2.0 / 3).gamma, 0.5, 1e-12, 0);
    CHECK_NEAR(linear_net_exponents(2.0 / 3).beta, 0.5, 1e-12, 0);
    CHECK_NEAR(0.5068 + 0.4965, 1, 0.004, 0);
    CHECK_THROWS_AS(linear_net_exponents(1.0), ContractError);
    CHECK_THROWS_AS(linear_net_exponents(0.5), ContractError);
  }

  TEST_CASE(
      "linear_net_damage: the mean over 5000 draws of noise on either matrix and on both [3 in, 5 hidden, 2 out]") {
    const Matrix<double> w1 = test::normals(15, 1).reshaped<Eigen::RowMajor>(5, 3);
    const Matrix<double> w2 = test::normals(10, 2).reshaped<Eigen::RowMajor>(2, 5);
    const double mse1 = 0.2, mse2 = 0.3;
    const LinearNetDamage theory = linear_net_damage(w1.squaredNorm(), w2.squaredNorm(), 5,
                                                     mse1 * 15 / w1.squaredNorm(), mse2 * 10 / w2.squaredNorm());
    constexpr int draws = 5000;
    double sums[3] = {}, squares[3] = {};
    for (std::uint32_t d = 0; d < draws; ++d) {
      const Vector<double> z = test::normals(25, 100 + d);
      const Matrix<double> e1 = std::sqrt(mse1) * z.head(15).reshaped<Eigen::RowMajor>(5, 3);
      const Matrix<double> e2 = std::sqrt(mse2) * z.tail(10).reshaped<Eigen::RowMajor>(2, 5);
      const double rises[] = {0.5 * (w2 * e1).squaredNorm(), 0.5 * (e2 * w1).squaredNorm(),
                              0.5 * ((w2 + e2) * (w1 + e1) - w2 * w1).squaredNorm()};
      for (int i = 0; i < 3; ++i) sums[i] += rises[i], squares[i] += rises[i] * rises[i];
    }
    const double wanted[] = {theory.first, theory.second, theory.joint};
    for (int i = 0; i < 3; ++i) {
      const double mean = sums[i] / draws, error = std::sqrt((squares[i] / draws - mean * mean) / draws);
      CHECK_NEAR(mean, wanted[i], 0, 5 * error);
    }
  }

  TEST_CASE("linear_net_damage: joint exceeds the sum by 3 % at 3 bits and 0.6 % at 4, and falls as 1/h [64 inputs]") {
    const auto excess = [](int bits) {
      const double nu = rtn_relative_mse(bits, 64);
      const LinearNetDamage d = linear_net_damage(1, 1, 64, nu, nu);
      return d.joint / (d.first + d.second) - 1;
    };
    CHECK_NEAR(rtn_relative_mse(3, 64), 0.065, 0, 2e-3);
    CHECK_NEAR(rtn_relative_mse(4, 64), 0.011, 0, 1e-3);
    CHECK_NEAR(excess(3), 0.03, 0, 5e-3);
    CHECK_NEAR(excess(4), 0.006, 0, 5e-4);
    CHECK_NEAR(linear_net_damage(1, 1, 64, 0.1, 0.1).joint, 4 * linear_net_damage(1, 1, 256, 0.1, 0.1).joint, 1e-12, 0);
  }

  TEST_CASE("chain_sharpness: the squared gradient of the product by equal weights [depth 1 to 6]") {
    CHECK(rc::check([] {
      const int depth = *rc::gen::inRange(1, 7);
      const double weight = *rc::gen::inRange(100, 2000) / 1000.0, product = std::pow(weight, depth);
      const double slope = std::pow(weight, depth - 1);
      RC_ASSERT(test::near(chain_sharpness(depth, product), depth * slope * slope, 1e-12));
    }));
  }
}
