// Quantized weights: which blocks change, what the reports say, and that the squared steps they
// hand to the trace predict the damage of a quadratic loss.
#include "sim/quantize/weights.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/near.hpp"

namespace hone::test {
namespace {

/// Embedding, two matrices of different width, a norm between them and a head.
ParamLayout small_layout() {
  ParamLayout layout;
  layout.add("embed", -1, Role::embedding, 10, 32);
  layout.add("layer0.wq", 0, Role::matrix, 48, 32);
  layout.add("layer0.norm", 0, Role::norm, 1, 32);
  layout.add("layer0.up", 0, Role::matrix, 32, 100);
  layout.add("head", -1, Role::head, 10, 32);
  return layout;
}

template <class S>
AlignedVector<S> gaussian_theta(Index size, std::uint64_t seed) {
  AlignedVector<S> theta(static_cast<size_t>(size));
  for (size_t i = 0; i < theta.size(); ++i) theta[i] = static_cast<S>(normal({seed, Domain::test, 0}, i));
  return theta;
}

template <class S>
bool same_bits(const S* a, const S* b, Index count) {
  return std::memcmp(a, b, sizeof(S) * static_cast<size_t>(count)) == 0;
}

TEST_CASE_TEMPLATE("weights: matrices equal fake_quantize bit for bit and all other blocks are kept", S, float,
                   double) {
  const ParamLayout layout = small_layout();
  const auto theta = gaussian_theta<S>(layout.size(), 1);
  for (const Rounding rounding : {Rounding::nearest_even, Rounding::half_away, Rounding::stochastic}) {
    Quantizer q{.bits = 3, .granularity = Granularity::group, .group = 24, .rounding = rounding, .seed = 4};
    const QuantizedWeights<S> result = quantize_weights(theta.data(), layout, q);
    for (size_t number = 0; number < layout.blocks().size(); ++number) {
      const ParamBlock& block = layout.blocks()[number];
      CAPTURE(block.name);
      Matrix<S> expected = view(theta.data(), block);
      q.substream = static_cast<std::uint32_t>(number);
      if (block.is_quantizable()) fake_quantize<S>(expected, q, block.rows);
      CHECK(same_bits(result.theta.data() + block.offset, expected.data(), block.size()));
      CHECK(same_bits(expected.data(), theta.data() + block.offset, block.size()) == !block.is_quantizable());
    }
  }
}

TEST_CASE("weights: stochastic rounding gives equal blocks different draws") {
  ParamLayout layout;
  layout.add("a", 0, Role::matrix, 8, 64);
  layout.add("b", 1, Role::matrix, 8, 64);
  auto theta = gaussian_theta<double>(layout.size(), 2);
  std::copy(theta.begin(), theta.begin() + 512, theta.begin() + 512);
  const auto nearest = quantize_weights(theta.data(), layout, {.bits = 4});
  CHECK(same_bits(nearest.theta.data(), nearest.theta.data() + 512, 512));
  const auto drawn = quantize_weights(theta.data(), layout, {.bits = 4, .rounding = Rounding::stochastic});
  CHECK_FALSE(same_bits(drawn.theta.data(), drawn.theta.data() + 512, 512));
}

TEST_CASE(
    "weights: reports hold the error, the squared step, the signal ratio and the bits of each "
    "matrix") {
  const ParamLayout layout = small_layout();
  const auto theta = gaussian_theta<double>(layout.size(), 3);
  const Quantizer q{.bits = 5, .grid = Grid::asymmetric, .granularity = Granularity::group, .group = 40};
  const auto result = quantize_weights(theta.data(), layout, q);
  REQUIRE(result.blocks.size() == 2);
  const auto step2 = step2_per_parameter(theta.data(), layout, q);
  double all_bits = 0;
  for (const BlockReport& report : result.blocks) {
    CAPTURE(report.name);
    const ParamBlock& block = layout.at(report.name);
    CHECK(report.count == block.size());
    const auto before = view(theta.data(), block), after = view(result.theta.data(), block);
    const double mse = (after - before).squaredNorm() / static_cast<double>(block.size());
    CHECK_NEAR(report.mse, mse, 1e-12, 0);
    CHECK_NEAR(report.mean_step2, view(step2.data(), block).mean(), 1e-12, 0);
    CHECK_NEAR(report.mse, report.mean_step2 / 12, 0.1, 0);
    CHECK_NEAR(report.sqnr_db, 10 * std::log10(before.squaredNorm() / (after - before).squaredNorm()), 1e-12, 0);
    CHECK_NEAR(report.bits_per_weight, bits_per_weight(q, block.rows, block.cols), 1e-15, 0);
    all_bits += report.bits_per_weight * static_cast<double>(report.count);
  }
  CHECK_NEAR(result.bits_per_weight, all_bits / static_cast<double>(layout.quantizable_size()), 1e-15, 0);
}

TEST_CASE("weights: the clip fraction counts the codes that the grid lacks") {
  ParamLayout layout;
  layout.add("w", 0, Role::matrix, 1, 8);
  // Midrise at 4 bits with extreme 7.5: the step is 1 and +7.5 rounds to the missing code 8, -7.5
  // to -8.
  const double theta[] = {7.5, -7.5, 7.4, 1, 2, 0, -3, 0.2};
  CHECK(quantize_weights(theta, layout, {.bits = 4, .grid = Grid::midrise}).blocks[0].clip_fraction == 1.0 / 8);
  CHECK(quantize_weights(theta, layout, {.bits = 4}).blocks[0].clip_fraction == 0);
  // Extreme -7.5 gives step 7.5/8: 7.5 and 7.4 lie nearest to code 8, one above the last.
  CHECK(quantize_weights(theta, layout, {.bits = 4, .grid = Grid::signed_absmax}).blocks[0].clip_fraction == 2.0 / 8);
  // Here both ends of the asymmetric range lie on ties: the zero point 7.5 becomes 8 and 7.5 falls
  // on code 16.
  const Quantizer asymmetric{.bits = 4, .grid = Grid::asymmetric};
  CHECK(quantize_weights(theta, layout, asymmetric).blocks[0].clip_fraction == 1.0 / 8);
  const double skewed[] = {7, -7.5, 6.4, 1, 2, 0, -3, 0.2};
  CHECK(quantize_weights(skewed, layout, asymmetric).blocks[0].clip_fraction == 0);
}

TEST_CASE("weights: sixteen bits change nothing and are reported as 16 bits without error") {
  const ParamLayout layout = small_layout();
  const auto theta = gaussian_theta<float>(layout.size(), 4);
  const auto result = quantize_weights(theta.data(), layout, {});
  CHECK(result.theta == theta);
  CHECK(result.bits_per_weight == 16);
  for (const BlockReport& report : result.blocks) {
    CHECK(report.mse == 0);
    CHECK(report.mean_step2 == 0);
    CHECK(report.sqnr_db == INFINITY);
    CHECK(report.bits_per_weight == 16);
  }
}

TEST_CASE("weights: a wrong quantizer is refused before any work") {
  const ParamLayout layout = small_layout();
  const auto theta = gaussian_theta<double>(layout.size(), 5);
  CHECK_THROWS_AS(quantize_weights(theta.data(), layout, {.bits = 1}), OptionError);
  CHECK_THROWS_AS(step2_per_parameter(theta.data(), layout, {.bits = 40}), OptionError);
}

TEST_CASE("weights: squared steps are those of each parameter's group, and 0 outside the matrices") {
  const ParamLayout layout = small_layout();
  const auto theta = gaussian_theta<double>(layout.size(), 6);
  for (const Granularity granularity : {Granularity::tensor, Granularity::row, Granularity::group}) {
    const Index group = granularity == Granularity::group ? 24 : 0;
    const auto step2 =
        step2_per_parameter(theta.data(), layout, {.bits = 4, .granularity = granularity, .group = group});
    REQUIRE(static_cast<Index>(step2.size()) == layout.size());
    for (const ParamBlock& block : layout.blocks()) {
      const auto w = view(theta.data(), block);
      Index wrong = 0;
      for (Index r = 0; r < block.rows; ++r)
        for (Index c = 0; c < block.cols; ++c) {
          const Index first = group > 0 ? c / group * group : 0;
          const Index width = group > 0 ? std::min(group, block.cols - first) : block.cols;
          const double absmax = granularity == Granularity::tensor
                                    ? w.cwiseAbs().maxCoeff()
                                    : w.row(r).segment(first, width).cwiseAbs().maxCoeff();
          const double step = block.is_quantizable() ? absmax / 7 : 0;
          wrong += !(step2[static_cast<size_t>(block.offset + r * block.cols + c)] == step * step);
        }
      CHECK(wrong == 0);
    }
  }
  const auto off = step2_per_parameter(theta.data(), layout, {});
  CHECK(std::count(off.begin(), off.end(), 0.0) == layout.size());
}

/// Mean of ½ d'Hd over weights drawn anew, against 1/24 Σ step² H_ii, for H = diag(h) + Σ_k v_k
/// v_k'.
void check_damage_of_quadratic(Rounding rounding, double factor) {
  ParamLayout layout;
  layout.add("w", 0, Role::matrix, 32, 128);
  const Index n = layout.size();
  Vector<double> h(n);
  Matrix<double> v(4, n);
  for (Index i = 0; i < n; ++i) h(i) = std::exp(normal({7, Domain::test, 1}, static_cast<std::uint64_t>(i)));
  for (Index i = 0; i < v.size(); ++i) v.data()[i] = 0.5 * normal({7, Domain::test, 2}, static_cast<std::uint64_t>(i));
  const Vector<double> diagonal = h + v.colwise().squaredNorm().transpose();
  double damage = 0, predicted = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const auto theta = gaussian_theta<double>(n, 100 + seed);
    const Quantizer q{.bits = 6, .rounding = rounding, .seed = seed};
    const auto result = quantize_weights(theta.data(), layout, q);
    const auto step2 = step2_per_parameter(theta.data(), layout, q);
    const Vector<double> d = ConstVecView<double>(result.theta.data(), n) - ConstVecView<double>(theta.data(), n);
    damage += 0.5 * (d.dot(h.cwiseProduct(d)) + (v * d).squaredNorm());
    predicted += ConstVecView<double>(step2.data(), n).dot(diagonal) / 24;
  }
  // Off-diagonal terms average out; four directions and 100 draws leave about 2 % of scatter in
  // their share.
  CHECK_NEAR(damage, factor * predicted, 0.04, 0);
}

TEST_CASE(
    "weights: a quadratic loses 1/24 Σ step² H_ii to nearest rounding and twice that to "
    "stochastic") {
  check_damage_of_quadratic(Rounding::nearest_even, 1);
  check_damage_of_quadratic(Rounding::stochastic, 2);
}

TEST_CASE("weights: the error per variance of a Gaussian row follows E[max²]/(12 (2^(b-1)-1)²)") {
  ParamLayout layout;
  layout.add("w", 0, Role::matrix, 1600, 256);
  const auto theta = gaussian_theta<double>(layout.size(), 8);
  // E[max²] = 9.40 of 256 standard normals. At 2 bits the law fails: the weights shrink.
  for (const int bits : {3, 4, 5, 8}) {
    const double top = std::ldexp(1.0, bits - 1) - 1;
    CHECK_NEAR(quantize_weights(theta.data(), layout, {.bits = bits}).blocks[0].mse, 9.40 / (12 * top * top), 0.03, 0);
  }
}

}  // namespace
}  // namespace hone::test
