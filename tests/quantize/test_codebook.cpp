// Codebooks fitted to inputs: the objective never rises, the result is made of its codebook, and known cases.
#include "sim/quantize/codebook.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/formats/quantizer.hpp"
#include "sim/quantize/gptq.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

Matrix<double> correlated_gram(Index cols, Index tokens, std::uint32_t number) {
  const Matrix<double> x = gaussian(tokens, cols / 4, number) * gaussian(cols / 4, cols, number + 1) +
                           0.3 * gaussian(tokens, cols, number + 2);
  return 2 / double(tokens) * x.transpose() * x;
}

TEST_CASE("codebook: the objective never rises, from either start, also with fewer tokens than inputs") {
  for (const CodebookStart start : {CodebookStart::nearest, CodebookStart::kmeans})
    for (const int bits : {1, 2, 3, 4})
      for (const Index tokens : {Index(200), Index(10)}) {
        const Matrix<double> w = gaussian(12, 40, 1), h = correlated_gram(40, tokens, 2);
        const auto fit = fit_codebooks(w, h, {.bits = bits, .start = start, .rounds = 6});
        REQUIRE(fit.objectives.size() == 13);
        for (size_t i = 1; i < fit.objectives.size(); ++i)
          CHECK(fit.objectives[i] <= fit.objectives[i - 1] * (1 + 1e-12) + 1e-12);
        CHECK(fit.objectives.back() < 0.9 * fit.objectives.front());
        CHECK_NEAR(fit.objectives.back(), gram_error(fit.q - w, h), 1e-9, 1e-12);
      }
}

TEST_CASE("codebook: every weight is the value of its code, and the bits count the codebook") {
  const Matrix<double> w = gaussian(12, 40, 3), h = correlated_gram(40, 100, 4);
  const auto fit = fit_codebooks(w, h, {.bits = 3});
  REQUIRE(fit.codebook.cols() == 8);
  for (Index r = 0; r < w.rows(); ++r)
    for (Index c = 0; c < w.cols(); ++c) CHECK(fit.q(r, c) == fit.codebook(r, fit.codes(r, c)));
  CHECK(fit.bits_per_weight == 3 + 16.0 * 8 / 40);
}

TEST_CASE("codebook: the nearest start is rounding to the asymmetric grid and k-means starts below it") {
  const Matrix<double> w = gaussian(12, 40, 5), h = Matrix<double>::Identity(40, 40);
  Matrix<double> rounded = w;
  fake_quantize<double>(rounded, {.bits = 3, .grid = Grid::asymmetric}, 12);
  const auto even = fit_codebooks(w, h, {.bits = 3, .start = CodebookStart::nearest, .rounds = 0});
  CHECK_NEAR(even.objectives[0], (rounded - w).squaredNorm(), 1e-12, 0);
  const auto kmeans = fit_codebooks(w, h, {.bits = 3, .rounds = 0});
  CHECK(kmeans.objectives[0] < even.objectives[0]);
}

TEST_CASE("codebook: rows whose distinct weights start on values of their own are kept") {
  Matrix<double> w(3, 40);
  for (Index i = 0; i < w.size(); ++i) w.data()[i] = std::vector<double>{-1.5, 0.2, 1.25, 3}[size_t(i * 7 % 4)];
  const auto fit = fit_codebooks(w, correlated_gram(40, 100, 6), {.bits = 2});
  CHECK((fit.q - w).cwiseAbs().maxCoeff() <= 1e-6);
}

TEST_CASE("codebook: a fit to the inputs beats GPTQ on the same number of levels on average") {
  double codebook = 0, even = 0;
  for (std::uint32_t seed = 0; seed < 6; ++seed) {
    const Matrix<double> w = gaussian(16, 48, 20 + 4 * seed), h = correlated_gram(48, 200, 21 + 4 * seed);
    codebook += fit_codebooks(w, h, {.bits = 3}).objectives.back();
    even += gram_error(gptq(w, h, {.quantizer = {.bits = 3, .grid = Grid::asymmetric}}).q - w, h);
  }
  CHECK(codebook < even);
}

TEST_CASE("codebook: threads change no bit, zero inputs and rows are kept apart, bad options are refused") {
  Matrix<double> w = gaussian(12, 40, 7), h = correlated_gram(40, 100, 8);
  w.row(4).setZero();
  h.row(9).setZero(), h.col(9).setZero();
  const auto one = fit_codebooks(w, h, {.bits = 3}), three = fit_codebooks(w, h, {.bits = 3, .threads = 3});
  CHECK(one.q == three.q);
  CHECK(one.q.row(4).norm() == 0);
  CHECK(one.q.allFinite());
  CHECK(fit_codebooks(w, Matrix<double>::Zero(40, 40), {.bits = 3}).q.allFinite());
  CHECK_THROWS_AS(fit_codebooks(w, h, {.bits = 9}), OptionError);
  CHECK_THROWS_AS(fit_codebooks(w, h, {.bits = 3, .ridge = 0}), OptionError);
  h(1, 1) = NAN;
  CHECK_THROWS_AS(fit_codebooks(w, h, {.bits = 3}), ContractError);
}

}  // namespace
}  // namespace hone::test
