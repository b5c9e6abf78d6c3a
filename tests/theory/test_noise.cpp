#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"
#include "theory/noise.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("noise") {
  TEST_CASE("absmax_moments: known table of E M and E M^2 [16 to 4096 normals]") {
    const double table[][3] = {{16, 2.077, 4.55},   {64, 2.596, 6.91},    {128, 2.828, 8.15},  {256, 3.044, 9.40},
                               {512, 3.248, 10.68}, {1024, 3.442, 11.96}, {4096, 3.802, 14.55}};
    for (const auto& [n, mean, square] : table) {
      CHECK_NEAR(absmax_moments(static_cast<int>(n)).mean, mean, 0, 6e-4);
      CHECK_NEAR(absmax_moments(static_cast<int>(n)).mean_square, square, 0, 6e-3);
    }
  }

  TEST_CASE("absmax_moments: one normal has E|x| = sqrt(2/pi) and E x^2 = 1") {
    CHECK_NEAR(absmax_moments(1).mean, std::sqrt(2 / M_PI), 1e-10, 0);
    CHECK_NEAR(absmax_moments(1).mean_square, 1, 1e-10, 0);
  }

  TEST_CASE("rtn_relative_mse: known values at 256 and 64 weights per channel") {
    CHECK_NEAR(rtn_relative_mse(3, 256), 0.0871, 0, 6e-5);
    CHECK_NEAR(rtn_relative_mse(4, 256), 0.0160, 0, 6e-5);
    CHECK_NEAR(rtn_relative_mse(5, 256), 3.48e-3, 0, 6e-6);
    CHECK_NEAR(rtn_relative_mse(6, 256), 8.2e-4, 0, 6e-6);
    CHECK_NEAR(rtn_relative_mse(8, 256), 4.9e-5, 0, 6e-7);
    CHECK_NEAR(rtn_relative_mse(3, 64), 0.0640, 0, 6e-5);
    CHECK_NEAR(rtn_relative_mse(4, 64), 0.01176, 0, 6e-6);
    CHECK_THROWS_AS(rtn_relative_mse(1, 64), ContractError);
  }

  TEST_CASE("uniform_noise: known ratio and shrinkage of a Gaussian [s/Delta from 0.25 to 0.75]") {
    const double table[][2] = {{.25, .648}, {.35, .892}, {.4, .948}, {.5, .9913}, {.6, .99900}, {.75, .99998}};
    const double digits[] = {6e-4, 6e-4, 6e-4, 6e-5, 6e-6, 6e-6};
    for (int i = 0; i < 6; ++i) CHECK_NEAR(uniform_noise(table[i][0]).mse_ratio, table[i][1], 0, digits[i]);
    const double shrinkage[] = {-.57, -.178, -.085, -.0144, -.0016};
    const double shrinkage_digits[] = {6e-3, 6e-4, 6e-4, 6e-5, 6e-5};
    for (int i = 0; i < 5; ++i) CHECK_NEAR(uniform_noise(table[i][0]).shrinkage, shrinkage[i], 0, shrinkage_digits[i]);
  }

  TEST_CASE("uniform_noise: agrees with a sum over rounding cells [s/Delta = 0.3]") {
    double square = 0, cross = 0;
    const double s = 0.3, h = 1e-4;
    for (double x = -3 + h / 2; x < 3; x += h) {
      const double density = std::exp(-x * x / (2 * s * s)) / (s * std::sqrt(2 * M_PI));
      const double e = std::round(x) - x;
      square += e * e * density * h;
      cross += x * e * density * h;
    }
    CHECK_NEAR(uniform_noise(s).mse_ratio, 12 * square, 1e-5, 0);
    CHECK_NEAR(uniform_noise(s).shrinkage, cross / (s * s), 1e-4, 0);
  }

  TEST_CASE("uniform_noise: everything rounds to zero far below a step") {
    CHECK_NEAR(uniform_noise(0.02).shrinkage, -1, 1e-9, 0);
    CHECK_NEAR(uniform_noise(0.02).mse_ratio, 12 * 0.02 * 0.02, 1e-9, 0);
  }

  TEST_CASE("step2_ratio: 9, 5.444, 4.592, 4.271 and a limit of 4") {
    CHECK_NEAR(step2_ratio(2), 9, 1e-12, 0);
    CHECK_NEAR(step2_ratio(3), 5.444, 0, 6e-4);
    CHECK_NEAR(step2_ratio(4), 4.592, 0, 6e-4);
    CHECK_NEAR(step2_ratio(5), 4.271, 0, 6e-4);
    CHECK_NEAR(step2_ratio(25), 4, 1e-6, 0);
  }

  TEST_CASE("equivalent_gamma_post: .590 for 3 to 4 bits, .621 to 5, .642 to 6, .668 to 8") {
    CHECK_NEAR(equivalent_gamma_post(3, 4), 0.590, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 5), 0.621, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 6), 0.642, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 8), 0.668, 0, 6e-4);
  }

  TEST_CASE("lloyd_max_mse: known table to 1e-5 relative [1 to 8 bits]") {
    const double table[] = {.363380, .117482, .034548, .0095010, .0025047, .00064424, .00016348, 4.1185e-5};
    const double digits[] = {6e-7, 6e-7, 6e-7, 6e-8, 6e-8, 6e-9, 6e-9, 6e-10};
    for (int b = 1; b <= 8; ++b) CHECK_NEAR(lloyd_max_mse(b), table[b - 1], 1e-5, digits[b - 1]);
    CHECK_NEAR(lloyd_max_mse(1), 1 - 2 / M_PI, 1e-12, 0);
  }

  TEST_CASE("stochastic_rounding_mse: mean over fractions is twice that of rounding to nearest") {
    double sum = 0;
    for (int i = 0; i < 1000; ++i) sum += stochastic_rounding_mse((i + 0.5) / 1000);
    CHECK_NEAR(sum / 1000, stochastic_rounding_mse_mean, 1e-5, 0);
    CHECK_NEAR(stochastic_rounding_mse_mean * 12, 2, 1e-12, 0);
    CHECK_NEAR(stochastic_rounding_mse(0.5), 0.25, 1e-12, 0);
  }

  TEST_CASE("second_order_change: mean and variance agree with 200000 draws [3 parameters]") {
    Vector<double> g(3), mu(3), s2(3);
    g << 0.3, -0.2, 0.5;
    mu << 0.1, 0.05, -0.2;
    s2 << 0.04, 0.09, 0.01;
    Matrix<double> h(3, 3);
    h << 2, 0.5, -0.3, 0.5, 1, 0.2, -0.3, 0.2, 3;
    const LossChange theory = second_order_change(g, h, mu, s2);
    double sum = 0, squares = 0;
    constexpr int draws = 200000;
    for (int i = 0; i < draws; ++i) {
      Vector<double> e(3);
      for (int j = 0; j < 3; ++j)
        e(j) = mu(j) + std::sqrt(s2(j)) * normal(Stream{8, Domain::test}, static_cast<std::uint64_t>(3 * i + j));
      const double change = g.dot(e) + 0.5 * e.dot(h * e);
      sum += change;
      squares += change * change;
    }
    const double mean = sum / draws;
    CHECK_NEAR(mean, theory.mean, 0, 5 * std::sqrt(theory.variance / draws));
    CHECK_NEAR(squares / draws - mean * mean, theory.variance, 0.03, 0);
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
}
