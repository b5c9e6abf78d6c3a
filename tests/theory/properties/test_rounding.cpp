// The theory of rounding noise against the quantizers that the studies use.
#include <doctest/doctest.h>

#include <Eigen/QR>
#include <cmath>

#include "sim/base/mean.hpp"
#include "sim/formats/quantizer.hpp"
#include "sim/layers/hadamard.hpp"
#include "sim/quantize/gptq.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"
#include "theory/noise/feedback.hpp"
#include "theory/noise/quantizers.hpp"
#include "theory/noise/rounding.hpp"

TEST_SUITE_BEGIN("laws");

namespace hone::theory {
namespace {

using test::gaussian;

/// Laplace values: channels with the heavy tails that rotations are meant for.
Matrix<double> heavy_tailed(Index rows, Index cols, std::uint32_t number) {
  Matrix<double> w(rows, cols);
  const Stream stream{.seed = 6, .domain = Domain::test, .substream = number};
  for (Index i = 0; i < w.size(); ++i) {
    const double u = uniform(stream, std::uint64_t(i)) - 0.5;
    w.data()[i] = std::copysign(std::log1p(-2 * std::abs(u)), u);
  }
  return w;
}

Matrix<double> rounded(Matrix<double> w, const Quantizer& q) {
  fake_quantize<double>(w, q, w.rows());
  return w;
}

std::vector<double> squared_steps(const Matrix<double>& w, const Quantizer& q) {
  std::vector<double> result;
  for (const StepRange& range : step_ranges<double>(w, q, w.rows())) result.push_back(range.step * range.step);
  return result;
}

/// The measured mean meets its expectation within 5 standard errors, and these are small enough to say something.
void check_mean(const std::vector<double>& values, double expected, double resolution) {
  const MeanEstimate mean = mean_with_error(values);
  CHECK(mean.standard_error < resolution * std::abs(expected));
  CHECK_NEAR(mean.mean, expected, 0, 5 * mean.standard_error);
}

/// A step on an integer grid wide enough to clip nothing.
StepRange wide_grid(double step) { return {.step = step, .code_min = -1e6, .code_max = 1e6}; }

constexpr Grid every_grid[] = {Grid::restricted, Grid::full,       Grid::no_clip,
                               Grid::midrise,    Grid::asymmetric, Grid::signed_absmax};

}  // namespace

TEST_CASE("rounding: the mean squared step of Gaussian channels is its expectation [6 grids; 5, 64, 256 weights]") {
  for (const Index n : {5, 64, 256}) {
    const Matrix<double> w = gaussian(1500, n, 1);
    for (const Grid grid : every_grid)
      for (const int bits : {2, 4}) {
        CAPTURE(name_of(grid));
        CAPTURE(bits);
        CAPTURE(n);
        check_mean(squared_steps(w, {.bits = bits, .grid = grid}), step_moments(grid, bits, int(n)).mean_square, 0.03);
      }
  }
}

TEST_CASE("rounding: error and shrinkage of absmax channels are those of rtn_noise [256 weights, 2 to 6 bits]") {
  constexpr Index rows = 1500, n = 256;
  const Matrix<double> w = gaussian(rows, n, 2);
  for (const Grid grid : {Grid::restricted, Grid::full})
    for (const int bits : {2, 3, 4, 6}) {
      const Matrix<double> e = rounded(w, {.bits = bits, .grid = grid}) - w;
      std::vector<double> errors, products;
      for (Index r = 0; r < rows; ++r) {
        errors.push_back(e.row(r).squaredNorm() / n);
        products.push_back(e.row(r).dot(w.row(r)) / n);
      }
      CAPTURE(bits);
      const RtnNoise noise = rtn_noise(bits, n);
      check_mean(errors, noise.relative_mse, 0.01);
      const MeanEstimate cross = mean_with_error(products);
      CHECK_NEAR(cross.mean, noise.shrinkage, 0, 5 * cross.standard_error);
    }
}

TEST_CASE("rounding: stochastic rounding of a Gaussian has the series' error and no shrinkage [s/Delta 0.02 to 1]") {
  for (const double fineness : {0.02, 0.2, 0.5, 1.0}) {
    Matrix<double> w = gaussian(400, 256, 3);
    const Matrix<double> before = w;
    fake_quantize_static<double>(w, wide_grid(1 / fineness), Rounding::stochastic, {9, Domain::rounding, 1});
    const Matrix<double> e = w - before;
    std::vector<double> errors, products;
    for (Index r = 0; r < e.rows(); ++r) {
      errors.push_back(e.row(r).squaredNorm() / 256 * fineness * fineness);
      products.push_back(e.row(r).dot(before.row(r)) / 256);
    }
    CAPTURE(fineness);
    check_mean(errors, stochastic_rounding_gaussian_mse(fineness), 0.03);
    const MeanEstimate cross = mean_with_error(products);
    CHECK_NEAR(cross.mean, 0, 0, 5 * cross.standard_error);
  }
}

TEST_CASE("rounding: a product of two independently rounded factors is unbiased, nearest rounding is not [2 bits]") {
  const Matrix<double> w = gaussian(1, 32, 4), x = gaussian(1, 32, 5);
  const double exact = w.row(0).dot(x.row(0));
  std::vector<double> products;
  for (std::uint64_t draw = 0; draw < 20000; ++draw) {
    const auto drawn = [&](const Matrix<double>& values, std::uint32_t site) {
      return rounded(values, {.bits = 2, .rounding = Rounding::stochastic, .seed = draw, .substream = site});
    };
    products.push_back(drawn(w, 0).row(0).dot(drawn(x, 1).row(0)));
  }
  const MeanEstimate mean = mean_with_error(products);
  CHECK_NEAR(mean.mean, exact, 0, 5 * mean.standard_error);
  const double nearest = rounded(w, {.bits = 2}).row(0).dot(rounded(x, {.bits = 2}).row(0));
  CHECK(std::abs(nearest - exact) > 20 * mean.standard_error);
}

TEST_CASE("rounding: weights and inputs of a linear map compose as (1 + nu_w)(1 + nu_a) - 1 [3 bits, 30 draws]") {
  // Rows of attention queries and keys are the same product.
  std::vector<double> interactions, ratios;
  for (std::uint32_t draw = 0; draw < 30; ++draw) {
    const Matrix<double> w = gaussian(64, 256, 100 + draw), x = gaussian(64, 256, 200 + draw);
    const Matrix<double> qw = rounded(w, {.bits = 3}), qx = rounded(x, {.bits = 3}), out = w * x.transpose();
    const double scale = 1 / out.squaredNorm(), nu_w = (qw - w).squaredNorm() / w.squaredNorm(),
                 nu_x = (qx - x).squaredNorm() / x.squaredNorm();
    const auto noise = [&](const Matrix<double>& a, const Matrix<double>& b) {
      return (a * b.transpose() - out).squaredNorm() * scale;
    };
    const double joint = noise(qw, qx);
    ratios.push_back(joint / ((1 + nu_w) * (1 + nu_x) - 1));
    interactions.push_back((joint - noise(qw, x) - noise(w, qx)) / (nu_w * nu_x));
  }
  // Nearest rounding shrinks by |E[xe]| = 0.3 % of s² here, which the outputs see once per factor.
  CHECK_NEAR(mean_with_error(ratios).mean, 1, 0.02, 0);
  const MeanEstimate interaction = mean_with_error(interactions);
  CHECK(interaction.mean > 4 * interaction.standard_error);
  CHECK_NEAR(interaction.mean, 1, 0, 5 * interaction.standard_error);
}

TEST_CASE("rounding: GPTQ at a fixed step costs step^2/12 m tr D, rounding to nearest step^2/12 m tr H [48 columns]") {
  constexpr Index rows = 400, n = 48;
  const Matrix<double> mix = gaussian(n, n, 7), w = gaussian(rows, n, 8);
  const Matrix<double> h = mix * mix.transpose() / n + 0.2 * Matrix<double>::Identity(n, n);
  GptqOptions options{.quantizer = {.bits = 8, .granularity = Granularity::tensor}, .damping = 0};
  const GptqResult result = gptq(w, h, options);
  REQUIRE_FALSE(result.fell_back_to_rtn);
  const FeedbackProxy proxy = feedback_proxy(h, result.steps(0, 0), rows);
  const Matrix<double> nearest = rounded(w, options.quantizer);
  // Σ d_i e_i² has a relative spread of √(0.8 Σ d²/m)/Σ d for uniform e.
  CHECK_NEAR(gram_error(result.q - w, h), proxy.feedback, 0.03, 0);
  CHECK_NEAR(gram_error(nearest - w, h), proxy.nearest, 0.03, 0);
  CHECK(proxy.feedback < 0.8 * proxy.nearest);  // an isotropic Σ over-predicts feedback by this
}

TEST_CASE("rotation: the step after a random rotation follows from the length of the row alone [Laplace rows]") {
  constexpr Index n = 64;
  std::vector<double> after, before;
  for (std::uint32_t draw = 0; draw < 40; ++draw) {
    const Matrix<double> w = heavy_tailed(30, n, draw);
    const Matrix<double> q = Eigen::HouseholderQR<Matrix<double>>(gaussian(n, n, 300 + draw)).householderQ();
    const Matrix<double> turned = w * q;
    CHECK_NEAR(turned.squaredNorm(), w.squaredNorm(), 1e-12, 0);
    double old_steps = 0, new_steps = 0, expected = 0;
    for (Index r = 0; r < w.rows(); ++r) {
      old_steps += squared_steps(w.row(r), {.bits = 4})[0];
      new_steps += squared_steps(turned.row(r), {.bits = 4})[0];
      expected += rotated_step2(w.row(r).squaredNorm(), n, 4);
    }
    after.push_back(new_steps / expected), before.push_back(old_steps / expected);
  }
  check_mean(after, 1, 0.01);
  CHECK(mean_with_error(before).mean > 1.5);
}

TEST_CASE("rotation: damage at one spectrum of H falls as the predicted step does, by Hadamard too [4 bits]") {
  constexpr Index n = 64, rows = 400;
  const Matrix<double> w = heavy_tailed(rows, n, 500), mix = gaussian(n, n, 501);
  const Matrix<double> h = mix * mix.transpose() / n;
  const Matrix<double> q = random_sign_hadamard(n, {3, Domain::rotation, 0}), turned_h = q.transpose() * h * q;
  CHECK_NEAR(turned_h.trace(), h.trace(), 1e-12, 0);
  double expected = 0;
  for (Index r = 0; r < rows; ++r) expected += rotated_step2(w.row(r).squaredNorm(), n, 4) / 24 * h.trace();
  const auto damage = [](const Matrix<double>& weights, const Matrix<double>& curvature) {
    return gram_error(rounded(weights, {.bits = 4}) - weights, curvature) / 2;
  };
  CHECK_NEAR(damage(w * q, turned_h), expected, 0.06, 0);
  CHECK(damage(w, h) > 1.4 * expected);
}

TEST_CASE("rounding: the gaussian rule of the quantizers takes the best step of the theory [2 to 6 bits]") {
  const std::pair<UniformLevels, double> kinds[] = {
      {UniformLevels::half_integers, 0.5}, {UniformLevels::symmetric_integers, 1}, {UniformLevels::integers, 0}};
  for (const auto& [kind, shift] : kinds)
    for (int bits = 2; bits <= 6; ++bits) {
      std::vector<double> levels;
      const int half = 1 << (bits - 1), count = kind == UniformLevels::symmetric_integers ? 2 * half - 1 : 2 * half;
      for (int i = 0; i < count; ++i) levels.push_back(i + shift - half);
      const double step = gaussian_step(levels);
      CHECK_NEAR(step, best_uniform(kind, bits).step, 1e-5, 0);
      CHECK_NEAR(gaussian_error(levels, step), best_uniform(kind, bits).mse, 1e-9, 0);
    }
}

}  // namespace hone::theory

TEST_SUITE_END();
