#include "theory/solvable.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "theory/fit.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

LinearNet power_net(double alpha, Index modes) {
  LinearNet net;
  net.target.resize(modes);
  for (Index k = 0; k < modes; ++k) net.target(k) = std::pow(k + 1.0, -alpha);
  net.start = 1e-6;
  net.d_in = net.d_out = static_cast<double>(modes);
  return net;
}

/// d ln f / d ln t at t by a central difference over a factor of e.
template <class F>
double local_exponent(F&& f, double t) {
  return std::log(f(t * std::exp(0.5)) / f(t * std::exp(-0.5)));
}

double gamma_of(const std::vector<PtqRow>& rows) {
  std::vector<Observation> o;
  for (const PtqRow& r : rows) o.push_back({{r.N, r.D, r.P}, std::log(r.delta), 0.1, 0, 0});
  return fit_linear(LawKind::ptq_exponential, o, {}).parameters[1];
}

}  // namespace

TEST_SUITE("solvable") {
  TEST_CASE("linear_net_mode: solves ds/dt = 2 s (s* - s) from its start to its target") {
    const double start = 1e-3, target = 0.7;
    for (const double t : {0.5, 2.0, 5.0, 9.0}) {
      const double h = 1e-5, s = linear_net_mode(t, start, target);
      const double slope = (linear_net_mode(t + h, start, target) - linear_net_mode(t - h, start, target)) / (2 * h);
      CHECK_NEAR(slope, 2 * s * (target - s), 1e-6, 0);
    }
    CHECK_NEAR(linear_net_mode(0, start, target), start, 1e-12, 0);
    CHECK_NEAR(linear_net_mode(1e3, start, target), target, 1e-12, 0);
  }

  TEST_CASE("linear_net_mode: equals gradient descent with a small rate on the two weights of one mode") {
    const double start = 0.01, target = 0.7, rate = 1e-4;
    double a = std::sqrt(start), b = a;
    for (int step = 0; step < 40000; ++step) {
      const double error = target - a * b, move = rate * error;
      const double a_next = a + move * b;
      b += move * a;
      a = a_next;
    }
    CHECK_NEAR(a * b, linear_net_mode(4, start, target), 1e-3, 0);
  }

  TEST_CASE("linear net: Gauss-Newton trace and spectrum equal those of the explicit Jacobian [3x3]") {
    LinearNet net;
    net.target.resize(3);
    net.target << 1.0, 0.6, 0.3;
    net.d_in = net.d_out = 3;
    const double t = 6;
    const Vector<double> s = net.modes(t);
    const Matrix<double> w = s.cwiseSqrt().asDiagonal();  // W1 = W2 = diag(sqrt s)
    Matrix<double> jacobian = Matrix<double>::Zero(9, 18);
    for (Index i = 0; i < 3; ++i)
      for (Index j = 0; j < 3; ++j)
        for (Index k = 0; k < 3; ++k) {
          jacobian(3 * i + j, 3 * k + j) += w(i, k);      // d(W2 W1)_ij / d(W1)_kj
          jacobian(3 * i + j, 9 + 3 * i + k) += w(k, j);  // d(W2 W1)_ij / d(W2)_ik
        }
    const Matrix<double> gram = jacobian * jacobian.transpose();
    CHECK_NEAR(gram.trace(), net.gn_trace(t), 1e-12, 0);
    const Vector<double> formula = net.gn_spectrum(t);
    Matrix<double> power = gram;  // nine traces of powers determine nine eigenvalues
    for (int k = 1; k <= 9; ++k, power = (power * gram).eval()) {
      double sum = 0;
      for (const double value : formula) sum += std::pow(value, k);
      CHECK_NEAR(power.trace(), sum, 1e-10, 0);
    }
    CHECK_NEAR(formula.maxCoeff(), 2 * s.maxCoeff(), 1e-12, 0);
  }

  TEST_CASE("linear net: local exponents of trace and loss are near 1/alpha - 1 and 2 - 1/alpha") {
    for (const double alpha : {2.0 / 3, 0.75}) {
      constexpr Index modes = 200000;
      const LinearNet net = power_net(alpha, modes);
      const double tail = 0.5 * std::pow(modes, 1 - 2 * alpha) / (2 * alpha - 1);  // of the modes cut off
      const auto [gamma, beta] = linear_net_exponents(alpha);
      CHECK_NEAR(local_exponent([&](double t) { return net.gn_trace(t); }, 3e3), gamma, 0, 0.1);
      CHECK_NEAR(local_exponent([&](double t) { return net.loss(t) + tail; }, 3e3), -beta, 0, 0.15);
    }
  }

  TEST_CASE("linear net: fixed noise grows with exponent gamma, absmax steps with twice that") {
    const LinearNet net = power_net(0.75, 5000);
    const auto trace = [&](double t) { return net.gn_trace(t); };
    const auto stepped = [&](double t) { return net.gn_trace(t) * net.modes(t).sum(); };
    CHECK_NEAR(local_exponent(stepped, 200), 2 * local_exponent(trace, 200), 1e-9, 0);
  }

  TEST_CASE("linear_net_exponents: gamma + beta = 1, outside (1/2, 1) there is no power law") {
    for (const double alpha : {0.55, 2.0 / 3, 0.9}) {
      const auto [gamma, beta] = linear_net_exponents(alpha);
      CHECK_NEAR(gamma + beta, 1, 1e-12, 0);
    }
    CHECK_THROWS_AS(linear_net_exponents(1.0), ContractError);
  }

  TEST_CASE("quadratic_null: prediction does not depend on D and measured damage has no exponent") {
    const auto rows = quadratic_null({});
    for (const PtqRow& r : rows)
      if (r.P == rows[0].P) CHECK(r.predicted == rows[0].predicted);
    CHECK_NEAR(gamma_of(rows), 0, 0, 0.03);
    double ratio = 0;
    for (const PtqRow& r : rows) ratio += r.delta / r.predicted;
    CHECK_NEAR(ratio / static_cast<double>(rows.size()), 1, 0.05, 0);
  }

  TEST_CASE("planted_ptq: exponents of noiseless rows are the planted ones, other seeds other noise") {
    PlantedLaw planted;
    planted.run_noise = planted.row_noise = 0;
    CHECK_NEAR(gamma_of(planted_ptq({}, planted)), planted.gamma_d, 1e-9, 0);
    CHECK(planted_ptq({.seed = 1}, {})[0].delta != planted_ptq({.seed = 2}, {})[0].delta);
    CHECK(planted_ptq({.seed = 1}, {})[0].delta == planted_ptq({.seed = 1}, {})[0].delta);
  }
}
