// How steps are chosen: the rules, the kinds of scale, the newer grids and granularities, and what they cost.
#include "sim/formats/range_choice.hpp"
#include "sim/formats/scale_rule.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

#include "sim/formats/quantizer.hpp"
#include "sim/formats/range_observer.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

Matrix<double> quantized(Matrix<double> m, const Quantizer& q, std::vector<double>* steps = nullptr) {
  fake_quantize<double>(m, q, m.rows(), steps);
  return m;
}

double step_of(const Matrix<double>& m, const Quantizer& q) { return step_ranges<double>(m, q, m.rows())[0].step; }

TEST_CASE("scale rule: the best uniform steps for a normal are Max's (1960)") {
  const std::pair<int, double> expected[] = {{1, 1.5957691216}, {2, 0.9957}, {3, 0.5860}, {4, 0.3352}};
  for (const auto& [bits, step] : expected) {
    std::vector<double> all;
    for (int i = 0; i < 1 << bits; ++i) all.push_back(i + 0.5 - (1 << bits) / 2.0);
    CHECK_NEAR(gaussian_step(all), step, 0, 5e-5);
  }
  CHECK_NEAR(gaussian_error({-0.5, 0.5}, 2 * std::sqrt(2 / M_PI)), 1 - 2 / M_PI, 1e-12, 0);
  CHECK_NEAR(gaussian_step({-1, 0, 1}), 1.2240, 0, 5e-5);
}

TEST_CASE("scale rule: the gaussian rule beats absmax and every other step on normal rows, on each grid and format") {
  const Matrix<double> w = gaussian(1, 20000, 3);
  std::vector<Quantizer> quantizers{{.format = Format::ternary}, {.format = Format::nf4}, {.format = Format::e2m1}};
  for (const Grid grid : {Grid::restricted, Grid::full, Grid::midrise, Grid::no_clip, Grid::signed_absmax,
                          Grid::asymmetric, Grid::float_min})
    quantizers.push_back({.bits = 3, .grid = grid});
  for (Quantizer q : quantizers) {
    CAPTURE(name_of(q.format));
    CAPTURE(name_of(q.grid));
    const double plain = (quantized(w, q) - w).squaredNorm();
    q.rule = ScaleRule::gaussian;
    CHECK_NOTHROW(q.validate("w"));
    const double chosen = (quantized(w, q) - w).squaredNorm();
    CHECK(chosen <= plain * 1.02);
    if (q.grid == Grid::asymmetric) continue;  // its integer zero point moves with the step
    for (const double factor : {0.9, 1.1}) {
      StepRange range = step_ranges<double>(w, q, 1)[0];
      if (q.grid == Grid::float_min) range.offset *= factor;
      range.step *= factor;
      Matrix<double> other = w;
      fake_quantize_static<double>(other, range, Rounding::nearest_even);
      CHECK((other - w).squaredNorm() > 0.98 * chosen);  // the sample is not quite normal
    }
  }
}

TEST_CASE("scale rule: clip and percentile shrink the range as they say") {
  Matrix<double> w(1, 10);
  w << 1, -2, 3, -4, 5, -6, 7, -8, 9, -10;
  CHECK(step_of(w, {.bits = 4, .rule = ScaleRule::clip}) == 9.0 / 7);
  CHECK(step_of(w, {.bits = 4, .rule = ScaleRule::clip, .rule_value = 0.5}) == 5.0 / 7);
  CHECK(step_of(w, {.bits = 4, .rule = ScaleRule::percentile, .rule_value = 80}) == 8.0 / 7);
  CHECK(step_of(w, {.bits = 4, .rule = ScaleRule::percentile}) == 10.0 / 7);
  CHECK(step_of(w, {.bits = 4, .rule = ScaleRule::percentile, .rule_value = 1}) == 1.0 / 7);
  CHECK(quantized(w, {.bits = 4, .rule = ScaleRule::clip}).cwiseAbs().maxCoeff() == 9);
}

TEST_CASE("scale rule: the mse search has the least error among its candidates") {
  for (const double exponent : {2.0, 2.4}) {
    const Matrix<double> w = gaussian(1, 256, 9);
    const auto error = [&](const Quantizer& q) { return (quantized(w, q) - w).array().abs().pow(exponent).sum(); };
    for (const Quantizer& base :
         {Quantizer{.bits = 3}, Quantizer{.bits = 3, .grid = Grid::asymmetric}, Quantizer{.format = Format::nf4}}) {
      Quantizer searched = base;
      searched.rule = ScaleRule::mse, searched.rule_value = exponent;
      const double least = error(searched);
      double best = INFINITY;
      for (int i = 0; i < 80; ++i) {
        Quantizer candidate = base;
        candidate.rule = ScaleRule::clip, candidate.rule_value = 1 - i / 100.0;
        best = std::min(best, error(candidate));
      }
      CHECK_NEAR(least, best, 1e-12, 0);
      CHECK((base.format == Format::integer ? least < error(base) : least <= error(base)));
    }
  }
  const Matrix<double> ends = (Matrix<double>(1, 3) << -1, 0, 1).finished();
  CHECK(step_of(ends, {.bits = 2, .rule = ScaleRule::mse}) == 1);
}

TEST_CASE("scale kind: e8m0 steps are powers of two; floor may saturate the absmax, ceil never") {
  CHECK(rc::check([] {
    const double absmax = *rc::gen::inRange(1, 100000) / 1024.0;
    const Format format = *rc::gen::element(Format::e2m1, Format::e4m3, Format::e3m2, Format::mxint8);
    Quantizer q{.format = format, .scale = ScaleKind::e8m0};
    const double floor_step = range_of_extremes<double>(-absmax, 0, q).step;
    q.scale = ScaleKind::e8m0_ceil;
    const double ceil_step = range_of_extremes<double>(0, absmax, q).step;
    RC_ASSERT(std::exp2(std::ilogb(floor_step)) == floor_step);
    RC_ASSERT(absmax / floor_step < 2 * std::exp2(std::ilogb(max_value(format))));
    RC_ASSERT(absmax / ceil_step <= max_value(format));
    RC_ASSERT(2 * absmax / ceil_step > max_value(format));
  }));
  const Matrix<double> w = (Matrix<double>(1, 2) << 957, 1).finished();
  CHECK(quantized(w, {.format = Format::e4m3, .scale = ScaleKind::e8m0})(0, 0) == 896);
}

TEST_CASE("grid: float_min reproduces both ends, has no level at 0, and maps a constant to itself") {
  Matrix<double> w(1, 4);
  w << 5, 5.1, 5.7, 6;
  const Matrix<double> out = quantized(w, {.bits = 2, .grid = Grid::float_min});
  CHECK(out(0, 0) == 5);
  CHECK_NEAR(out(0, 3), 6, 1e-15, 0);
  CHECK((out - w).cwiseAbs().maxCoeff() <= 1.0 / 6 + 1e-12);
  const Matrix<double> constant = Matrix<double>::Constant(2, 5, -3.25);
  std::vector<double> steps;
  CHECK(quantized(constant, {.bits = 3, .grid = Grid::float_min}, &steps) == constant);
  CHECK(steps == std::vector<double>{0, 0});
  const Matrix<double> g = gaussian(4, 64, 2), once = quantized(g, {.bits = 3, .grid = Grid::float_min});
  CHECK(relative_error(quantized(once, {.bits = 3, .grid = Grid::float_min}), once) <= 1e-14);
}

TEST_CASE("granularity: columns, and blocks with ragged edges, take the steps of their windows within one tensor") {
  const Matrix<double> w = gaussian(10, 7, 6);
  const auto absmax_step = [&](Index row, Index col, Index rows, Index cols) {
    return w.block(row, col, rows, cols).cwiseAbs().maxCoeff() / 7;
  };
  std::vector<double> steps, expected;
  Matrix<double> m = w;
  fake_quantize<double>(m, {.bits = 4, .granularity = Granularity::column}, 5, &steps);
  for (const Index row : {0, 5})
    for (Index col = 0; col < 7; ++col) expected.push_back(absmax_step(row, col, 5, 1));
  CHECK(steps == expected);
  Matrix<double> turned = w.topRows(5).transpose();
  fake_quantize<double>(turned, {.bits = 4}, 7);
  CHECK(m.topRows(5) == turned.transpose());
  expected.clear();
  const Quantizer blocks{.bits = 4, .granularity = Granularity::block, .block_rows = 3, .block_cols = 4};
  CHECK_NOTHROW(blocks.validate("w"));
  m = w;
  fake_quantize<double>(m, blocks, 5, &steps);
  for (const Index first : {0, 5})
    for (const auto& [row, rows] : {std::pair<Index, Index>{0, 3}, {3, 2}})
      for (const auto& [col, cols] : {std::pair<Index, Index>{0, 4}, {4, 3}})
        expected.push_back(absmax_step(first + row, col, rows, cols));
  CHECK(steps == expected);
  CHECK(quantized(w, {.bits = 4, .granularity = Granularity::group, .group = 1}).isApprox(w, 1e-14));
  CHECK(quantized(w, {.bits = 4, .granularity = Granularity::group, .group = 100}) == quantized(w, {.bits = 4}));
}

TEST_CASE("bits per weight: the published figures") {
  const auto bpw = [](Quantizer q, int scale_bits = 16) { return bits_per_weight(q, 1024, 1024, scale_bits); };
  const auto grouped = [](Format format, Index group, ScaleKind scale = ScaleKind::real) {
    return Quantizer{.granularity = Granularity::group, .group = group, .format = format, .scale = scale};
  };
  CHECK(bpw({.bits = 4, .grid = Grid::asymmetric, .granularity = Granularity::group, .group = 128}) == 4.15625);
  CHECK(bpw({.bits = 2, .grid = Grid::float_min, .granularity = Granularity::group, .group = 32}) == 3);
  CHECK(bpw(grouped(Format::nf4, 64), 32) == 4.5);
  CHECK_NEAR(double_quantized_bits_per_weight(grouped(Format::nf4, 64), 1024, 1024), 4.127, 0, 5e-4);
  CHECK(bpw(grouped(Format::e2m1, 32, ScaleKind::e8m0)) == 4.25);
  CHECK(bpw(grouped(Format::e2m1, 16, ScaleKind::e4m3_two_level)) == 4.5 + 32 / 1048576.0);
  CHECK_NEAR(bpw({.granularity = Granularity::tensor, .format = Format::ternary}), 1.585, 0, 1e-3);
}

TEST_CASE("validate: contradictions between format, scale, rule and granularity are named with their fix") {
  const std::pair<Quantizer, const char*> wrong[] = {
      {{.bits = 4, .format = Format::nf4}, "w.bits = 4 is not read with format 'nf4'"},
      {{.grid = Grid::full, .format = Format::e4m3}, "w.grid = 'full' is not read"},
      {{.bits = 4, .grid = Grid::full, .scale = ScaleKind::e8m0}, "w.scale = 'e8m0' needs a symmetric grid"},
      {{.format = Format::ternary, .scale = ScaleKind::e8m0}, "w.scale = 'e8m0' with format 'ternary'"},
      {{.format = Format::ternary, .rule = ScaleRule::clip}, "w.rule = 'clip' with format 'ternary'"},
      {{.bits = 4, .grid = Grid::llm_qat, .rule = ScaleRule::mse}, "w.rule = 'mse' with grid 'llm_qat'"},
      {{.format = minifloat(8, 7), .rule = ScaleRule::gaussian}, "w.rule = 'gaussian' with format 'e8m7'"},
      {{.bits = 4, .rule = ScaleRule::clip, .rule_value = 1.5}, "w.rule_value = 1.5 with rule 'clip'"},
      {{.bits = 4, .rule_value = 2}, "w.rule_value = 2 with rule 'absmax'"},
      {{.bits = 4, .block_rows = 2}, "w.block_rows = 2 is not read"},
      {{.bits = 4, .granularity = Granularity::block, .block_rows = 2}, "w.block_cols = 0"},
      {{.bits = 4, .granularity = Granularity::tensor, .outlier_threshold = 6}, "w.outlier_threshold = 6"},
      {{.bits = 4, .outlier_threshold = -1}, "w.outlier_threshold = -1"},
      {{.bits = 4, .grid = Grid::float_min, .outlier_threshold = 6}, "has no level at 0"}};
  for (const auto& [q, part] : wrong) CHECK_THROWS_WITH_AS(q.validate("w"), doctest::Contains(part), OptionError);
  CHECK_NOTHROW((Quantizer{.bits = 1, .grid = Grid::float_min}.validate("w")));
  CHECK_NOTHROW((Quantizer{.bits = 16, .grid = Grid::full, .scale = ScaleKind::e8m0}.validate("w")));
  CHECK(scale_kind_from_name("e8m0") == ScaleKind::e8m0);
  CHECK_THROWS_WITH_AS(scale_kind_from_name("fp17"), doctest::Contains("did you mean"), OptionError);
}

TEST_CASE("scales: zeros, denormals and the largest floats are defined under every scale, NaN refused") {
  const float tiny = std::numeric_limits<float>::denorm_min(), huge = std::numeric_limits<float>::max();
  for (const ScaleKind scale : {ScaleKind::real, ScaleKind::e8m0, ScaleKind::e8m0_ceil, ScaleKind::e4m3_two_level})
    for (const Format format : {Format::e2m1, Format::nf4, Format::mxint8, Format::e4m3})
      for (const float value : {0.0f, tiny, huge}) {
        CAPTURE(name_of(scale));
        CAPTURE(value);
        Matrix<float> x(2, 16);
        x.setZero(), x(1, 3) = value, x(1, 4) = -value;
        try {
          fake_quantize<float>(x, {.format = format, .scale = scale}, 2);
          CHECK(x.allFinite());
          CHECK(x.row(0).isZero(0));
          if (value == huge) CHECK(x(1, 3) >= 0.4f * huge);
        } catch (const ContractError& refusal) {  // where the rounded-up step takes the largest level beyond float
          CHECK(value == huge);
          CHECK(std::string(refusal.what()).find("overflows") != std::string::npos);
        }
        x(0, 1) = NAN;
        CHECK_THROWS_AS(fake_quantize<float>(x, {.format = format, .scale = scale}, 2), ContractError);
      }
}

TEST_CASE("range observer: extremes of all batches, or mean percentiles, fix the static grid") {
  RangeObserver extremes, percentiles(90);
  CHECK_THROWS_AS(extremes.low(), ContractError);
  for (const double top : {10.0, 20.0}) {
    Matrix<double> batch(1, 20);
    for (Index i = 0; i < 20; ++i) batch(0, i) = top * static_cast<double>(i * 7 % 20) / 19 - 1;
    extremes.observe<double>(batch);
    percentiles.observe<double>(batch);
  }
  CHECK(extremes.batches() == 2);
  CHECK(extremes.low() == -1);
  CHECK(extremes.high() == 19);
  CHECK_NEAR(percentiles.low(), 15 * 2.0 / 19 - 1, 1e-12, 0);
  CHECK_NEAR(percentiles.high(), 15 * 17.0 / 19 - 1, 1e-12, 0);
  const StepRange range = extremes.range<double>({.bits = 4});
  CHECK(range.step == 19.0 / 7);
  Matrix<double> x(1, 2);
  x << 1000, 3;
  fake_quantize_static<double>(x, range, Rounding::nearest_even);
  CHECK_NEAR(x(0, 0), 19, 1e-14, 0);  // a static range clips what calibration did not see
  CHECK_NEAR(x(0, 1), 19.0 / 7, 1e-14, 0);
}

}  // namespace
}  // namespace hone::test
