// Properties that every grid, rounding and granularity must have, each in the strength that it
// really has.
#include "sim/formats/quantizer.hpp"
#include "sim/formats/range_choice.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

constexpr Grid all_grids[] = {Grid::restricted, Grid::full,          Grid::midrise,
                              Grid::no_clip,    Grid::signed_absmax, Grid::asymmetric};

template <class S = double>
Matrix<S> gaussian(Index rows, Index cols, std::uint64_t seed) {
  Matrix<S> m(rows, cols);
  for (Index i = 0; i < m.size(); ++i)
    m.data()[i] = static_cast<S>(normal({seed, Domain::test, 0}, static_cast<std::uint64_t>(i)));
  return m;
}

StepRange range_of(const Matrix<double>& m, const Quantizer& q) {
  return step_range(m.data(), m.rows(), m.cols(), m.cols(), q);
}

Matrix<double> quantized(Matrix<double> m, const Quantizer& q, std::vector<double>* steps = nullptr) {
  fake_quantize<double>(m, q, m.rows(), steps);
  return m;
}

/// A quantizer with two or more bits and a short vector with ties, zeros and outliers among its
/// values.
struct Example {
  Quantizer q;
  Matrix<double> values;
};

Example arbitrary_example() {
  Example example;
  example.q.bits = *rc::gen::inRange(2, 9);
  example.q.grid = *rc::gen::elementOf(std::vector<Grid>(std::begin(all_grids), std::end(all_grids)));
  example.q.granularity = Granularity::tensor;
  const auto halves = *rc::gen::container<std::vector<int>>(8, rc::gen::inRange(-40, 41));
  const double unit = *rc::gen::element(0.5, 1e-3, 7.3e5);
  example.values.resize(1, 8);
  for (Index i = 0; i < 8; ++i) example.values(0, i) = unit * halves[static_cast<size_t>(i)];
  return example;
}

TEST_CASE("quantizer: codes are integers inside the grid and never decrease with x/step") {
  CHECK(rc::check([] {
    const Example e = arbitrary_example();
    const StepRange range = range_of(e.values, e.q);
    const Rounding rounding = *rc::gen::element(Rounding::nearest_even, Rounding::half_away, Rounding::stochastic);
    const double u = *rc::gen::inRange(0, 1000) / 1000.0;
    const double direction = range.step < 0 ? -1 : 1;
    double previous = -INFINITY;
    for (int i = -60; i <= 60; ++i) {
      const double x = direction * i * e.values.cwiseAbs().maxCoeff() / 40;
      const double c = code(x, range, rounding, u);
      RC_ASSERT(c >= range.code_min && c <= range.code_max && c == std::nearbyint(c));
      RC_ASSERT(c >= previous);
      previous = c;
      RC_ASSERT(near(quantize_value(x, range, rounding, u), range.step * (c - range.zero_point), 1e-15));
    }
  }));
}

TEST_CASE("quantizer: the error is at most half a step where the grid reaches, and on midrise") {
  CHECK(rc::check([] {
    const Example e = arbitrary_example();
    const StepRange range = range_of(e.values, e.q);
    const double bound = std::abs(range.step) / 2;
    for (const double x : e.values.reshaped()) {
      const bool clipped = e.q.grid == Grid::signed_absmax && x / range.step > range.code_max;
      const double error = std::abs(quantize_value(x, range, Rounding::nearest_even, 0.5) - x);
      // The outermost code can be a whole step away only where the grid lacks the opposite extreme.
      RC_ASSERT(error <= (clipped ? 2 * bound : bound) + 1e-12 * std::abs(x));
    }
  }));
}

TEST_CASE("quantizer: a second pass changes nothing on a fixed step, whatever the grid") {
  CHECK(rc::check([] {
    const Example e = arbitrary_example();
    const StepRange range = range_of(e.values, e.q);
    for (const double x : e.values.reshaped()) {
      const double once = quantize_value(x, range, Rounding::nearest_even, 0.5);
      RC_ASSERT(quantize_value(once, range, Rounding::nearest_even, 0.5) == once);
    }
  }));
}

TEST_CASE("quantizer: a second pass with its own step changes nothing, except on midrise") {
  for (const Grid grid : all_grids)
    for (const int bits : {2, 3, 4, 8})
      for (std::uint64_t seed = 0; seed < 50; ++seed) {
        CAPTURE(name_of(grid));
        CAPTURE(bits);
        const Quantizer q{.bits = bits, .grid = grid};
        const Matrix<double> once = quantized(gaussian(1, 64, seed), q), twice = quantized(once, q);
        const double change = (twice - once).norm() / once.norm();
        if (grid == Grid::midrise && bits == 4)
          CHECK(change > 1e-3);
        else if (grid != Grid::midrise)
          CHECK(change <= 1e-14);
      }
}

TEST_CASE("quantizer: restricted is odd, and full takes the same codes when the step is its own") {
  CHECK(rc::check([] {
    Example e = arbitrary_example();
    e.q.grid = Grid::restricted;
    const Matrix<double> restricted = quantized(e.values, e.q);
    RC_ASSERT(quantized(-e.values, e.q) == -restricted);
    e.q.grid = Grid::full;
    RC_ASSERT(quantized(e.values, e.q) == restricted);
  }));
}

TEST_CASE("quantizer: scaling the values by a power of two scales the result exactly") {
  CHECK(rc::check([] {
    const Example e = arbitrary_example();
    const double scale = std::ldexp(1.0, *rc::gen::inRange(-20, 20));
    RC_ASSERT(quantized(scale * e.values, e.q) == scale * quantized(e.values, e.q));
  }));
}

TEST_CASE("quantizer: 2 bits give 3 levels on restricted and full, 4 else [negative extreme]") {
  Matrix<double> w = gaussian(1, 4096, 3);
  w(0, 0) = -8;
  w(0, 1) = 5;
  for (const Grid grid : all_grids) {
    CAPTURE(name_of(grid));
    const Matrix<double> out = quantized(w, {.bits = 2, .grid = grid});
    std::vector<double> levels(out.data(), out.data() + out.size());
    std::sort(levels.begin(), levels.end());
    const auto count = std::unique(levels.begin(), levels.end()) - levels.begin();
    CHECK(count == (grid == Grid::restricted || grid == Grid::full ? 3 : 4));
  }
}

TEST_CASE("quantizer: one bit on the asymmetric grid gives the two ends of the range") {
  Matrix<double> w(1, 4);
  w << -1, -0.2, 0.9, 1;
  const Quantizer q{.bits = 1, .grid = Grid::asymmetric};
  CHECK_NOTHROW(q.validate("weights"));
  const Matrix<double> out = quantized(w.cwiseAbs(), q);
  CHECK(out == (Matrix<double>(1, 4) << 1, 0, 1, 1).finished());
}

TEST_CASE("quantizer: zeros stay zero, with step 0") {
  for (const Grid grid : all_grids) {
    std::vector<double> steps;
    const Quantizer q{.bits = 4, .grid = grid};
    CHECK(quantized(Matrix<double>::Zero(2, 5), q, &steps) == Matrix<double>::Zero(2, 5));
    CHECK(steps == std::vector<double>{0, 0});
    const StepRange range = range_of(Matrix<double>::Zero(1, 3), q);
    CHECK(code(1.0, range, Rounding::nearest_even, 0.5) == 0);
    CHECK(quantize_value(1.0, range, Rounding::nearest_even, 0.5) == 0);
  }
}

TEST_CASE("quantizer: a constant row is reproduced on every grid but midrise") {
  for (const Grid grid : all_grids)
    for (const double value : {-3.7, 2.9}) {
      const Matrix<double> w = Matrix<double>::Constant(1, 6, value);
      const double error = (quantized(w, {.bits = 4, .grid = grid}) - w).cwiseAbs().maxCoeff();
      // Midrise puts the extreme half a step outside its last code.
      CHECK(error <= (grid == Grid::midrise ? std::abs(value) / 15 * (1 + 1e-12) : 1e-14));
    }
}

TEST_CASE("quantizer: NaN and infinity are refused by place and value, an overflowing step as well") {
  for (const double bad : {double(NAN), double(INFINITY), -double(INFINITY)}) {
    Matrix<double> w = gaussian(5, 33, 1);
    w(3, 31) = bad;
    const auto message =
        message_of<ContractError>([&] { quantized(w, {.bits = 4, .granularity = Granularity::tensor}); });
    CHECK(mentions(message, "row 3, column 31"));
    CHECK(mentions(message, fmt::format(" {};", bad)));
  }
  const float huge = std::numeric_limits<float>::max();
  const float ends[] = {-huge, huge};
  CHECK_THROWS_AS(step_range(ends, 1, 2, 2, {.bits = 1, .grid = Grid::asymmetric}), ContractError);
}

TEST_CASE("quantizer: sixteen bits leave every value alone, NaN included") {
  Matrix<float> w = gaussian<float>(3, 7, 2);
  w(1, 1) = NAN;
  Matrix<float> same = w;
  std::vector<double> steps{1, 2};
  fake_quantize<float>(same, {}, 3, &steps);
  CHECK(std::memcmp(same.data(), w.data(), sizeof(float) * static_cast<size_t>(w.size())) == 0);
  CHECK(steps.empty());
}

TEST_CASE("quantizer: one step serves a tensor block, a row or a group, the last group being shorter") {
  const Matrix<double> w = gaussian(6, 10, 4);
  const auto absmax_step = [&](Index row, Index col, Index rows, Index cols) {
    return w.block(row, col, rows, cols).cwiseAbs().maxCoeff() / 7;
  };
  std::vector<double> steps;
  Matrix<double> m = w;
  fake_quantize<double>(m, {.bits = 4, .granularity = Granularity::tensor}, 3, &steps);
  CHECK(steps == std::vector<double>{absmax_step(0, 0, 3, 10), absmax_step(3, 0, 3, 10)});
  quantized(w, {.bits = 4, .granularity = Granularity::row}, &steps);
  REQUIRE(steps.size() == 6);
  for (Index r = 0; r < 6; ++r) CHECK(steps[static_cast<size_t>(r)] == absmax_step(r, 0, 1, 10));
  quantized(w, {.bits = 4, .granularity = Granularity::group, .group = 4}, &steps);
  REQUIRE(steps.size() == 18);
  for (Index r = 0; r < 6; ++r)
    for (Index g = 0; g < 3; ++g)
      CHECK(steps[static_cast<size_t>(3 * r + g)] == absmax_step(r, 4 * g, 1, g == 2 ? 2 : 4));
  CHECK_THROWS_AS(fake_quantize<double>(m, {.bits = 4, .granularity = Granularity::tensor}, 4), ContractError);
}

TEST_CASE("quantizer: finer groups never have a larger step, and have a smaller mean error") {
  double row_error = 0, group_error = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Matrix<double> w = gaussian(8, 128, seed);
    std::vector<double> row_steps, group_steps;
    row_error += (quantized(w, {.bits = 4}, &row_steps) - w).squaredNorm();
    const Quantizer grouped{.bits = 4, .granularity = Granularity::group, .group = 32};
    group_error += (quantized(w, grouped, &group_steps) - w).squaredNorm();
    for (size_t g = 0; g < group_steps.size(); ++g) CHECK(group_steps[g] <= row_steps[g / 4]);
  }
  CHECK(group_error < 0.85 * row_error);
}

TEST_CASE("quantizer: a window of a wider matrix is quantized as its copy, its surroundings kept") {
  for (const Granularity granularity : {Granularity::tensor, Granularity::row, Granularity::group})
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::half_away, Rounding::stochastic}) {
      const Quantizer q{.bits = 3,
                        .granularity = granularity,
                        .group = granularity == Granularity::group ? 5 : 0,
                        .rounding = rounding,
                        .seed = 9};
      const Matrix<float> whole = gaussian<float>(7, 41, 5);
      Matrix<float> windowed = whole, copy = whole.block(0, 3, 7, 18);
      fake_quantize<float>(windowed.block(0, 3, 7, 18), q, 7);
      fake_quantize<float>(copy, q, 7);
      CHECK(windowed.block(0, 3, 7, 18) == copy);
      windowed.block(0, 3, 7, 18) = whole.block(0, 3, 7, 18);
      CHECK(windowed == whole);
    }
}

TEST_CASE("quantizer: the vectorized float loop equals quantize_value bit for bit, draws included") {
  for (const Grid grid : all_grids)
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::half_away, Rounding::stochastic}) {
      const Quantizer q{.bits = 4, .grid = grid, .rounding = rounding, .seed = 21, .substream = 6};
      const Matrix<float> w = gaussian<float>(9, 77, 8);
      Matrix<float> loop = w, single(9, 77);
      fake_quantize<float>(loop, q, 9);
      for (Index r = 0; r < 9; ++r) {
        const StepRange range = step_range(&w.coeffRef(r, 0), 1, 77, 77, q);
        for (Index c = 0; c < 77; ++c) {
          const double u = uniform({21, Domain::rounding, 6}, static_cast<std::uint64_t>(r * 77 + c));
          single(r, c) = quantize_value(w(r, c), range, rounding, u);
        }
      }
      CHECK(std::memcmp(loop.data(), single.data(), sizeof(float) * static_cast<size_t>(w.size())) == 0);
    }
}

TEST_CASE("quantizer: stochastic rounding repeats with its seed and differs with seed or substream") {
  const Matrix<double> w = gaussian(16, 64, 6);
  const Quantizer q{.bits = 4, .rounding = Rounding::stochastic, .seed = 1};
  Quantizer other_seed = q, other_substream = q;
  other_seed.seed = 2;
  other_substream.substream = 1;
  CHECK(quantized(w, q) == quantized(w, q));
  CHECK_FALSE(quantized(w, q) == quantized(w, other_seed));
  CHECK_FALSE(quantized(w, q) == quantized(w, other_substream));
}

TEST_CASE("quantizer: the mean squared error is step²/12 to nearest and step²/6 stochastically") {
  for (const bool is_uniform : {false, true}) {
    Matrix<double> w = gaussian(1, 200000, 10);
    if (is_uniform)
      for (Index i = 0; i < w.size(); ++i)
        w(0, i) = 2 * uniform({11, Domain::test, 0}, static_cast<std::uint64_t>(i)) - 1;
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::half_away, Rounding::stochastic}) {
      std::vector<double> steps;
      const Quantizer q{.bits = 6, .rounding = rounding};
      const double mse = (quantized(w, q, &steps) - w).squaredNorm() / static_cast<double>(w.size());
      CHECK_NEAR(mse, steps[0] * steps[0] / (rounding == Rounding::stochastic ? 6 : 12), 0.01, 0);
    }
  }
}

TEST_CASE("quantizer: bits per weight count scales and zero points of every group") {
  const Quantizer grouped{.bits = 4, .grid = Grid::asymmetric, .granularity = Granularity::group, .group = 128};
  CHECK_NEAR(bits_per_weight(grouped, 64, 1024), 4 + 20.0 / 128, 1e-15, 0);
  CHECK_NEAR(bits_per_weight(grouped, 64, 1024, 16, 16), 4.25, 1e-15, 0);
  CHECK_NEAR(bits_per_weight(grouped, 1, 130), 4 + 40.0 / 130, 1e-15, 0);
  CHECK_NEAR(bits_per_weight({.bits = 3}, 64, 256, 32), 3.125, 1e-15, 0);
  CHECK_NEAR(bits_per_weight({.bits = 3}, 64, 256, 16, 16), 3.0625, 1e-15, 0);
  CHECK_NEAR(bits_per_weight({.bits = 8, .granularity = Granularity::tensor}, 4, 4), 9, 1e-15, 0);
  CHECK(bits_per_weight({}, 64, 256) == 16);
}

TEST_CASE("quantizer: names are spelled as in records, and an unknown one finds its nearest") {
  const std::pair<Grid, std::string_view> grids[] = {{Grid::restricted, "restricted"},
                                                     {Grid::full, "full"},
                                                     {Grid::midrise, "midrise"},
                                                     {Grid::no_clip, "no_clip"},
                                                     {Grid::signed_absmax, "signed_absmax"},
                                                     {Grid::asymmetric, "asymmetric"}};
  const std::pair<Rounding, std::string_view> roundings[] = {{Rounding::nearest_even, "nearest_even"},
                                                             {Rounding::half_away, "half_away"},
                                                             {Rounding::stochastic, "stochastic"}};
  const std::pair<Granularity, std::string_view> granularities[] = {
      {Granularity::tensor, "tensor"}, {Granularity::row, "row"}, {Granularity::group, "group"}};
  for (const auto& [grid, name] : grids) CHECK((name_of(grid) == name && grid_from_name(name) == grid));
  for (const auto& [r, name] : roundings) CHECK(name_of(r) == name);
  for (const auto& [g, name] : granularities) CHECK((name_of(g) == name && granularity_from_name(name) == g));
  CHECK(mentions(message_of<OptionError>([] { grid_from_name("mid-rise"); }), "did you mean 'midrise'"));
  CHECK(mentions(message_of<OptionError>([] { granularity_from_name("rows"); }), "did you mean 'row'"));
}

TEST_CASE("quantizer: validate names every wrong field with its value, and accepts the right ones") {
  const Quantizer wrong{.bits = 17, .granularity = Granularity::group, .group = 0};
  const auto message = message_of<OptionError>([&] { wrong.validate("precision.weights"); });
  CHECK(mentions(message, "precision.weights.bits = 17"));
  CHECK(mentions(message, "precision.weights.group = 0"));
  CHECK(mentions(message_of<OptionError>([] { Quantizer{.bits = 0}.validate("w"); }), "w.bits = 0"));
  CHECK(mentions(message_of<OptionError>([] { Quantizer{.bits = 4, .group = 32}.validate("w"); }), "w.group = 32"));
  for (const Grid grid : all_grids) {
    CHECK_NOTHROW((Quantizer{.bits = 2, .grid = grid}.validate("w")));
    if (grid != Grid::asymmetric)
      CHECK(mentions(message_of<OptionError>([&] { Quantizer{.bits = 1, .grid = grid}.validate("w"); }), "w.bits = 1"));
  }
  CHECK_NOTHROW(Quantizer{}.validate("w"));
}

}  // namespace
}  // namespace hone::test
