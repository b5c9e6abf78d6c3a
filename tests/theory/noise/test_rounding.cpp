#include "theory/noise/rounding.hpp"

#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

constexpr Grid every_grid[] = {Grid::restricted, Grid::full,       Grid::no_clip,
                               Grid::midrise,    Grid::asymmetric, Grid::signed_absmax};

/// ∫ f(x) φ(x/s)/s dx by midpoints of cells that rounding does not split: error of order h².
template <class F>
auto gaussian_mean(F&& f, double s) {
  constexpr double h = 1.0 / 2000;
  decltype(f(0.0)) sum = f(0.0) * 0.0;
  for (double x = h / 2; x < 7 * s; x += h)
    sum += (f(x) + f(-x)) * (std::exp(-x * x / (2 * s * s)) / (s * std::sqrt(2 * M_PI)) * h);
  return sum;
}

/// A number in [low, high] that rapidcheck draws and shrinks.
double drawn(double low, double high) { return low + (high - low) * *rc::gen::inRange(0, 1001) / 1000.0; }

}  // namespace

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

  TEST_CASE("absmax_moments: two normals have E M = 2/sqrt(pi) and E M^2 = 1 + 2/pi") {
    CHECK_NEAR(absmax_moments(2).mean, 2 / std::sqrt(M_PI), 1e-10, 0);
    CHECK_NEAR(absmax_moments(2).mean_square, 1 + 2 / M_PI, 1e-10, 0);
  }

  TEST_CASE("absmax_moments: sqrt(2 ln 2n) is too large by 12 to 20 %, less for more weights; E M^2 grows like ln n") {
    double excess = 1, slope = 0;
    for (int n = 64; n <= 4096; n *= 2) {
      const double now = std::sqrt(2 * std::log(2.0 * n)) / absmax_moments(n).mean - 1;
      CHECK(now < excess);
      excess = now;
      CHECK(now > 0.115);
      CHECK(now < 0.205);
      const double growth = (absmax_moments(2 * n).mean_square - absmax_moments(n).mean_square) / std::log(2);
      CHECK(growth > slope);  // towards 2
      slope = growth;
    }
    CHECK_NEAR(slope, 2, 0.08, 0);
  }

  TEST_CASE("step_moments: one and two weights on every grid by hand [2 to 8 bits]") {
    for (int bits = 2; bits <= 8; ++bits) {
      const double top = std::exp2(bits - 1) - 1, bottom = top + 1, all = top + bottom;
      CAPTURE(bits);
      CHECK_NEAR(step_moments(Grid::restricted, bits, 1).mean_square, 1 / (top * top), 1e-10, 0);
      CHECK_NEAR(step_moments(Grid::full, bits, 2).mean_square, (1 + 2 / M_PI) / (top * top), 1e-10, 0);
      CHECK_NEAR(step_moments(Grid::midrise, bits, 1).mean_square, 4 / (all * all), 1e-10, 0);
      CHECK_NEAR(step_moments(Grid::signed_absmax, bits, 1).mean, std::sqrt(2 / M_PI) / bottom, 1e-10, 0);
      CHECK_NEAR(step_moments(Grid::no_clip, bits, 1).mean_square, 0.5 / (top * top) + 0.5 / (bottom * bottom), 1e-10,
                 0);
      // Two weights of one sign reach from 0 to the larger, of two signs from one to the other.
      CHECK_NEAR(step_moments(Grid::asymmetric, bits, 1).mean_square, 1 / (all * all), 1e-9, 0);
      CHECK_NEAR(step_moments(Grid::asymmetric, bits, 2).mean_square, (1.5 + 3 / M_PI) / (all * all), 1e-9, 0);
    }
    CHECK_THROWS_AS(step_moments(Grid::restricted, 1, 4), ContractError);
    CHECK_THROWS_AS(step_moments(Grid::restricted, 4, 0), ContractError);
  }

  TEST_CASE("step_moments: grids are ordered, and mean square exceeds the squared mean [2 to 8 bits, n to 2000]") {
    CHECK(rc::check([] {
      const int bits = *rc::gen::inRange(2, 9), n = *rc::gen::inRange(2, 2000);
      const auto step2 = [&](Grid grid) { return step_moments(grid, bits, n).mean_square; };
      RC_ASSERT(step2(Grid::signed_absmax) < step2(Grid::no_clip));
      RC_ASSERT(step2(Grid::no_clip) < step2(Grid::restricted));
      RC_ASSERT(step2(Grid::restricted) == step2(Grid::full));
      RC_ASSERT(step2(Grid::midrise) < step2(Grid::restricted));
    }));
    for (const int n : {2, 20, 2000})
      for (const Grid grid : every_grid) {
        const Moments m = step_moments(grid, 3, n);
        CHECK(m.mean * m.mean < m.mean_square);
        if (grid == Grid::asymmetric) CHECK(m.mean_square < step_moments(Grid::midrise, 3, n).mean_square);
      }
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

  TEST_CASE("step_moments: at 2 bits s/Delta is .33 to .39 for 64 to 256 weights, where uniform noise fails") {
    CHECK_NEAR(1 / step_moments(Grid::restricted, 2, 256).mean, 0.33, 0, 6e-3);
    CHECK_NEAR(1 / step_moments(Grid::restricted, 2, 64).mean, 0.39, 0, 6e-3);
    CHECK(uniform_noise(0.39).mse_ratio < 0.95);
    CHECK(uniform_noise(1 / step_moments(Grid::restricted, 3, 256).mean).mse_ratio > 0.999);
  }

  TEST_CASE("rtn_noise: mean error and shrinkage of 40000 rounded channels [8 weights, 2 to 4 bits]") {
    for (const int bits : {2, 3, 4}) {
      constexpr int channels = 40000, n = 8;
      const double top = std::exp2(bits - 1) - 1;
      double square = 0, square2 = 0, cross = 0, cross2 = 0;
      for (int c = 0; c < channels; ++c) {
        double x[n], largest = 0, one = 0, other = 0;
        for (int i = 0; i < n; ++i) {
          x[i] = normal({7, Domain::test, static_cast<std::uint32_t>(bits)}, static_cast<std::uint64_t>(n * c + i));
          largest = std::max(largest, std::abs(x[i]));
        }
        for (const double value : x) {
          const double e = largest / top * std::nearbyint(value * top / largest) - value;
          one += e * e / n, other += value * e / n;
        }
        square += one, square2 += one * one, cross += other, cross2 += other * other;
      }
      const auto error = [](double sum, double sum2) {
        return std::sqrt((sum2 / channels - std::pow(sum / channels, 2)) / channels);
      };
      CHECK_NEAR(square / channels, rtn_noise(bits, n).relative_mse, 0, 5 * error(square, square2));
      CHECK_NEAR(cross / channels, rtn_noise(bits, n).shrinkage, 0, 5 * error(cross, cross2));
    }
  }

  TEST_CASE("rtn_noise: from 4 bits on it is E Delta^2/12 of all weights but the largest, at 2 bits far less") {
    for (const int n : {16, 256})
      for (const int bits : {4, 6, 8})
        CHECK_NEAR(rtn_noise(bits, n).relative_mse, (1 - 1.0 / n) * rtn_relative_mse(bits, n), 0.01, 0);
    CHECK(rtn_noise(2, 256).relative_mse < 0.9 * rtn_relative_mse(2, 256));
    CHECK(rtn_noise(2, 256).shrinkage < -0.2);
    CHECK(std::abs(rtn_noise(4, 256).shrinkage) < 1e-3);
    CHECK_THROWS_AS(rtn_noise(13, 256), ContractError);
  }

  TEST_CASE("uniform_noise: known ratio and shrinkage of a Gaussian [s/Delta from 0.25 to 0.75]") {
    const double table[][2] = {{.25, .648}, {.35, .892}, {.4, .948}, {.5, .9913}, {.6, .99900}, {.75, .99998}};
    const double digits[] = {6e-4, 6e-4, 6e-4, 6e-5, 6e-6, 6e-6};
    for (int i = 0; i < 6; ++i) CHECK_NEAR(uniform_noise(table[i][0]).mse_ratio, table[i][1], 0, digits[i]);
    const double shrinkage[] = {-.57, -.178, -.085, -.0144, -.0016};
    const double shrinkage_digits[] = {6e-3, 6e-4, 6e-4, 6e-5, 6e-5};
    for (int i = 0; i < 5; ++i) CHECK_NEAR(uniform_noise(table[i][0]).shrinkage, shrinkage[i], 0, shrinkage_digits[i]);
  }

  TEST_CASE("rounding of a Gaussian: series of nearest and stochastic rounding equal their integrals to 6 digits") {
    CHECK(rc::check([] {
      const double s = drawn(0.15, 1);
      const Eigen::Array3d means = gaussian_mean(
          [](double x) {
            const double e = std::nearbyint(x) - x, fraction = x - std::floor(x);
            return Eigen::Array3d(e * e, x * e, fraction * (1 - fraction));
          },
          s);
      RC_ASSERT(test::near(uniform_noise(s).mse_ratio, 12 * means[0], 1e-6));
      RC_ASSERT(test::near(uniform_noise(s).shrinkage, means[1] / (s * s), 1e-6, 1e-6));
      RC_ASSERT(test::near(stochastic_rounding_gaussian_mse(s), means[2], 1e-6));
    }));
  }

  TEST_CASE("uniform_noise: everything rounds to zero far below a step") {
    CHECK_NEAR(uniform_noise(0.02).shrinkage, -1, 1e-9, 0);
    CHECK_NEAR(uniform_noise(0.02).mse_ratio, 12 * 0.02 * 0.02, 1e-9, 0);
  }

  TEST_CASE("stochastic_rounding_gaussian_mse: 1/6 for a wide input, Delta s sqrt(2/pi) - s^2 for a narrow one") {
    CHECK_NEAR(stochastic_rounding_gaussian_mse(2), 1.0 / 6, 1e-12, 0);
    CHECK_NEAR(stochastic_rounding_gaussian_mse(0.02), 0.02 * std::sqrt(2 / M_PI) - 0.02 * 0.02, 1e-9, 0);
  }

  TEST_CASE("step2_ratio: 9, 5.444, 4.592, 4.271 and a limit of 4; a 2^b - 1 grid is one bit ahead") {
    CHECK_NEAR(step2_ratio(2), 9, 1e-12, 0);
    CHECK_NEAR(step2_ratio(3), 5.444, 0, 6e-4);
    CHECK_NEAR(step2_ratio(4), 4.592, 0, 6e-4);
    CHECK_NEAR(step2_ratio(5), 4.271, 0, 6e-4);
    CHECK_NEAR(step2_ratio(25), 4, 1e-6, 0);
    for (int bits = 2; bits <= 12; ++bits) {
      CHECK_NEAR(step2_ratio(bits, Grid::midrise), step2_ratio(bits + 1), 1e-13, 0);
      CHECK_NEAR(step2_ratio(bits, Grid::asymmetric), step2_ratio(bits + 1), 1e-13, 0);
      CHECK_NEAR(step2_ratio(bits, Grid::signed_absmax), 4, 1e-13, 0);
    }
    CHECK_NEAR(std::exp(1 / 0.5907), step2_ratio(3), 2e-3, 0);  // Kumar et al.'s factor per bit, 5.435
  }

  TEST_CASE("equivalent_gamma_post: .590 .621 .642 .668 from 3 bits, .656 and .689 on a 2^b - 1 grid, limit .7213") {
    CHECK_NEAR(equivalent_gamma_post(3, 4), 0.590, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 5), 0.621, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 6), 0.642, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 8), 0.668, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 4, Grid::midrise), 0.656, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(4, 5, Grid::asymmetric), 0.689, 0, 6e-4);
    CHECK_NEAR(equivalent_gamma_post(3, 8, Grid::signed_absmax), 0.7213, 0, 6e-5);
  }

  TEST_CASE("rotated_step2: equals the row's own expectation for Gaussian rows, and scales with its length") {
    CHECK_NEAR(rotated_step2(64, 64, 4), 12 * rtn_relative_mse(4, 64), 1e-12, 0);
    CHECK_NEAR(rotated_step2(3 * 64, 64, 4, Grid::midrise), 36 * rtn_relative_mse(4, 64, Grid::midrise), 1e-12, 0);
  }
}
