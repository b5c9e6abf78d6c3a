// The variance of rounding against what draws of it do: on each weight, and on a quadratic loss.
#include "sim/quantize/rounding_variance.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/mean.hpp"
#include "sim/quantize/weights.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

ParamLayout two_matrices() {
  ParamLayout layout;
  layout.add("embed", -1, Role::embedding, 3, 8);
  layout.add("layer0.wq", 0, Role::matrix, 6, 40);
  layout.add("layer0.up", 0, Role::matrix, 5, 24);
  return layout;
}

std::vector<double> gaussian(Index size, std::uint32_t substream) {
  std::vector<double> theta(static_cast<size_t>(size));
  for (size_t i = 0; i < theta.size(); ++i) theta[i] = normal({7, Domain::test, substream}, i);
  return theta;
}

std::vector<double> error_of_draw(const std::vector<double>& theta, const ParamLayout& layout, Quantizer q,
                                  std::uint64_t draw) {
  q.seed = draw;
  const auto rounded = quantize_weights(theta.data(), layout, q).theta;
  std::vector<double> error(theta.size());
  for (size_t i = 0; i < error.size(); ++i) error[i] = rounded[i] - theta[i];
  return error;
}

constexpr std::uint64_t draws = 4000;

const std::vector<Quantizer> stochastic_quantizers = {
    {.bits = 3, .rounding = Rounding::stochastic},
    {.bits = 4, .granularity = Granularity::group, .group = 16, .rounding = Rounding::stochastic},
    {.bits = 2, .grid = Grid::float_min, .granularity = Granularity::tensor, .rounding = Rounding::stochastic},
    {.rounding = Rounding::stochastic, .format = Format::e2m1}};

TEST_CASE("rounding variance: draws are unbiased and have this variance, weight by weight within 5 standard errors") {
  const ParamLayout layout = two_matrices();
  const std::vector<double> theta = gaussian(layout.size(), 1);
  for (const Quantizer& q : stochastic_quantizers) {
    CAPTURE(name_of(q.format));
    CAPTURE(q.bits);
    const std::vector<double> variance = rounding_variance(theta.data(), layout, q);
    std::vector<double> sum(theta.size()), squares(theta.size()), fourth(theta.size());
    for (std::uint64_t draw = 0; draw < draws; ++draw) {
      const std::vector<double> e = error_of_draw(theta, layout, q, draw);
      for (size_t i = 0; i < e.size(); ++i) sum[i] += e[i], squares[i] += e[i] * e[i], fourth[i] += std::pow(e[i], 4);
    }
    double worst_mean = 0, worst_square = 0;
    for (size_t i = 0; i < theta.size(); ++i) {
      const double mean = sum[i] / draws, square = squares[i] / draws;
      // A tail of fewer than 25 draws is no normal: those weights lie within a hair of a level.
      if (Index(i) < layout.blocks()[1].offset) CHECK(variance[i] == 0);
      if (variance[i] == 0) CHECK(square == 0);
      const double of_square = fourth[i] / draws - square * square;
      if (square * square * 160 < fourth[i] / draws || variance[i] == 0) continue;
      worst_mean = std::max(worst_mean, std::abs(mean) / std::sqrt(variance[i] / draws));
      worst_square =
          std::max(worst_square, std::abs(square - variance[i]) / (std::sqrt(of_square / draws) + 1e-12 * square));
    }
    CHECK(worst_mean > 1);
    CHECK(worst_mean < 5);
    CHECK(worst_square < 5);
  }
}

TEST_CASE("rounding variance: f(1-f) step² on an even grid, a third of it less to nearest on average") {
  const ParamLayout layout = two_matrices();
  const std::vector<double> theta = gaussian(layout.size(), 2);
  for (const Index group : {8, 24}) {
    Quantizer q{.bits = 6, .granularity = Granularity::group, .group = group, .rounding = Rounding::stochastic};
    const auto variance = rounding_variance(theta.data(), layout, q);
    const auto step2 = step2_per_parameter(theta.data(), layout, q);
    for (size_t i = 24; i < theta.size(); ++i) {
      const double v = std::abs(theta[i]) / std::sqrt(step2[i]), f = v - std::floor(v);
      CHECK_NEAR(variance[i], f * (1 - f) * step2[i], 1e-9, 1e-12 * step2[i]);
    }
    q.rounding = Rounding::nearest_even;
    const auto nearest = rounding_variance(theta.data(), layout, q);
    for (size_t i = 0; i < theta.size(); ++i) CHECK(nearest[i] == step2[i] / 12);
  }
}

TEST_CASE("rounding variance: beyond the grid it is the squared error, which no draw changes") {
  ParamLayout layout;
  layout.add("w", 0, Role::matrix, 1, 4);
  const std::vector<double> theta = {7.5, -7.5, 1.25, 0};  // midrise at 4 bits: step 1, the largest code is 7
  const Quantizer q{.bits = 4, .grid = Grid::midrise, .rounding = Rounding::stochastic};
  CHECK(rounding_variance(theta.data(), layout, q) == std::vector<double>{0.25, 0.25, 0.1875, 0});
}

TEST_CASE("rounding variance: half its trace with H is the damage of a quadratic loss in the mean over draws") {
  const ParamLayout layout = two_matrices();
  const std::vector<double> theta = gaussian(layout.size(), 3), slope = gaussian(layout.size(), 4);
  const Index n = layout.size();
  Matrix<double> root(n, n);
  for (Index i = 0; i < root.size(); ++i) root.data()[i] = normal({9, Domain::test, 5}, std::uint64_t(i));
  const Matrix<double> h = root * root.transpose() / double(n);
  for (const Quantizer& q : stochastic_quantizers) {
    CAPTURE(name_of(q.format));
    const std::vector<double> variance = rounding_variance(theta.data(), layout, q);
    double predicted = 0;
    for (Index i = 0; i < n; ++i) predicted += 0.5 * variance[size_t(i)] * h(i, i);
    std::vector<double> damage;
    for (std::uint64_t draw = 0; draw < draws; ++draw) {
      const std::vector<double> e = error_of_draw(theta, layout, q, draw);
      const ConstVecView<double> at(e.data(), n), g(slope.data(), n);
      damage.push_back(g.dot(at) + 0.5 * at.dot(h * at));
    }
    const MeanEstimate measured = mean_with_error(damage);
    CHECK(std::abs(measured.mean - predicted) < 5 * measured.standard_error);
    CHECK(measured.standard_error < 0.05 * predicted);
  }
}

}  // namespace
}  // namespace hone::test
