// Nested codes and precision schedules in decoding.
#include <doctest/doctest.h>

#include "sim/formats/range_choice.hpp"
#include "sim/quantize/long_context.hpp"
#include "sim/quantize/progressive.hpp"
#include "sim/quantize/weights.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

constexpr Index positions = 20, prompt = 6, generated = positions - prompt;

struct Setup {
  Setup() : model(options()), theta(random_parameters(model.layout(), 4)), windows(random_tokens(options(), 3, 4)) {}

  static TransformerOptions options() {
    TransformerOptions o = tiny_llama();
    o.positions = positions;
    return o;
  }
  NestedWeights<double> nested(int bits, Grid grid, NestedValues values = NestedValues::midpoint) const {
    return {theta.data(), model.layout(), {.bits = bits, .grid = grid}, values};
  }
  Matrix<double> losses(const NestedWeights<double>& weights, const PrecisionSchedule& schedule,
                        int prompt_bits) const {
    return scheduled_losses(model, weights, schedule, prompt_bits, windows, prompt, {});
  }

  Transformer<double> model;
  Vector<double> theta;
  TokenBatch windows;
};

PrecisionSchedule constant(int bits) { return {std::vector<int>(size_t(generated), bits)}; }

double squared_error(const AlignedVector<double>& a, const Vector<double>& b) {
  return (ConstVecView<double>(a.data(), b.size()) - b).squaredNorm();
}

TEST_SUITE_BEGIN("progressive");

TEST_CASE("nested weights: all bits give round-to-nearest of the parent, bit for bit [grids, groups, float]") {
  const Setup s;
  for (const Grid grid :
       {Grid::full, Grid::midrise, Grid::no_clip, Grid::signed_absmax, Grid::asymmetric, Grid::float_min})
    for (const int bits : {2, 4, 8})
      for (const NestedValues values : {NestedValues::midpoint, NestedValues::least_squares}) {
        const Quantizer row{.bits = bits, .grid = grid};
        CHECK(s.nested(bits, grid, values).decode(bits) ==
              quantize_weights<double>(s.theta.data(), s.model.layout(), row).theta);
        const Quantizer groups{.bits = bits, .grid = grid, .granularity = Granularity::group, .group = 5};
        const Vector<float> single = s.theta.cast<float>();
        const NestedWeights<float> nested(single.data(), s.model.layout(), groups, values);
        CHECK(nested.decode(bits) == quantize_weights<float>(single.data(), s.model.layout(), groups).theta);
      }
}

TEST_CASE("nested weights: lower widths read the leading bits alone, at the middle of the merged grid points") {
  const Setup s;
  const NestedWeights<double> nested = s.nested(4, Grid::midrise);
  for (const int bits : {1, 2, 3}) {
    const AlignedVector<double> theta = nested.decode(bits);
    size_t number = 0;
    for (const ParamBlock& block : s.model.layout().blocks()) {
      if (!block.is_quantizable()) continue;
      for (Index r = 0; r < block.rows; ++r) {
        const double* row = s.theta.data() + block.offset + r * block.cols;
        const double step = step_range<double>(row, 1, block.cols, block.cols, {.bits = 4, .grid = Grid::midrise}).step;
        for (Index c = 0; c < block.cols; ++c, ++number) {
          const int merged = 1 << (4 - bits), prefix = nested.codes()[number] >> (4 - bits);
          double mean = 0;
          for (int i = 0; i < merged; ++i) mean += (prefix * merged + i - 8) * step / merged;
          CHECK_NEAR(theta[size_t(block.offset + r * block.cols + c)], mean, 1e-14, 1e-15);
        }
      }
    }
    CHECK(number == nested.codes().size());
  }
}

TEST_CASE("nested weights: other parameters stay as they are at every width") {
  const Setup s;
  for (const int bits : {1, 2, 4}) {
    const AlignedVector<double> theta = s.nested(4, Grid::asymmetric).decode(bits);
    for (const ParamBlock& block : s.model.layout().blocks())
      if (!block.is_quantizable())
        CHECK(std::equal(theta.begin() + block.offset, theta.begin() + block.offset + block.size(),
                         s.theta.data() + block.offset));
  }
}

TEST_CASE("nested weights: the error falls with every bit, and least squares never lies above the midpoints") {
  const Setup s;
  for (const Grid grid : {Grid::midrise, Grid::asymmetric}) {
    double last = INFINITY;
    for (int bits = 1; bits <= 6; ++bits) {
      const double middle = squared_error(s.nested(6, grid).decode(bits), s.theta);
      const double fitted = squared_error(s.nested(6, grid, NestedValues::least_squares).decode(bits), s.theta);
      CHECK(fitted <= middle);
      if (bits <= 3) CHECK(fitted < 0.95 * middle);
      CHECK(middle < last);
      last = middle;
    }
  }
}

TEST_CASE("nested weights: a row of zeros stays zero at every width") {
  Setup s;
  const ParamBlock& block = s.model.layout().at("layers.0.wq");
  s.theta.segment(block.offset, block.cols).setZero();
  for (const Grid grid : {Grid::midrise, Grid::asymmetric, Grid::float_min})
    for (const NestedValues values : {NestedValues::midpoint, NestedValues::least_squares})
      for (const int bits : {1, 3, 4}) {
        const AlignedVector<double> theta = s.nested(4, grid, values).decode(bits);
        CHECK(ConstVecView<double>(theta.data() + block.offset, block.cols).isZero(0));
      }
}

TEST_CASE("nested weights: a parent without nested codes is refused with the fix") {
  const Setup s;
  CHECK_THROWS_WITH_AS(s.nested(4, Grid::restricted), doctest::Contains("nested.grid = 'restricted'"), OptionError);
  CHECK_THROWS_WITH_AS(s.nested(9, Grid::midrise), doctest::Contains("nested.bits = 9"), OptionError);
  CHECK_THROWS_AS(s.nested(16, Grid::midrise), OptionError);
  CHECK_THROWS_AS(s.nested(4, Grid::midrise).decode(5), ContractError);
}

TEST_CASE("schedules: averages, order and the reversed control") {
  const PrecisionSchedule down = step_down({4, 3, 2}, {3, 5}, 10);
  CHECK(down.bits == std::vector<int>{4, 4, 4, 3, 3, 2, 2, 2, 2, 2});
  CHECK(down.average_bits() == 2.8);
  CHECK(reversed(down).bits == std::vector<int>{2, 2, 2, 2, 2, 3, 3, 4, 4, 4});
  CHECK(reversed(down).average_bits() == down.average_bits());
  CHECK(step_down({4, 2}, {0}, 3).bits == std::vector<int>(3, 2));
  CHECK(step_down({4, 2}, {3}, 3).bits == std::vector<int>(3, 4));
  CHECK_THROWS_AS(step_down({2, 4}, {3}, 6), OptionError);
  CHECK_THROWS_AS(step_down({4, 2}, {7}, 6), OptionError);
  CHECK_THROWS_AS(step_down({4, 2}, {}, 6), OptionError);
}

TEST_CASE("schedules: alternation meets a fractional average in every stretch to one token [2.8, 3, 2.5 bits]") {
  for (const double average : {2.8, 3.0, 2.5}) {
    const PrecisionSchedule even = alternating(average, 40);
    CHECK_NEAR(even.average_bits(), average, 1e-12, 0);
    int sum = 0;
    for (int t = 0; t < 40; ++t) {
      sum += even.bits[size_t(t)];
      CHECK(std::abs(sum - average * (t + 1)) < 1);
    }
  }
}

TEST_CASE("schedules: a line falls by two bits, keeps the average and stays within half a token of its integral") {
  CHECK(gradual(4, 8).bits == std::vector<int>{5, 5, 4, 4, 4, 4, 3, 3});
  for (const double average : {4.0, 2.5, 3.2, 1.5}) {
    const PrecisionSchedule line = gradual(average, 40);
    CHECK_NEAR(line.average_bits(), average, 1e-12, 0);
    const double reach = std::min(1.0, average - 1);
    double sum = 0, wanted = 0;
    for (int t = 0; t < 40; ++t) {
      sum += line.bits[size_t(t)], wanted += average + reach * (1 - (2 * t + 1) / 40.0);
      CHECK(std::abs(sum - wanted) <= 0.5 + 1e-9);
      CHECK(line.bits[size_t(t)] >= 1);
    }
  }
}

TEST_CASE("schedules: the higher width goes to the largest scores, the earlier among equals") {
  CHECK(ranked({1, 3, 2, 3, 0}, 5, 3, 2).bits == std::vector<int>{3, 5, 3, 5, 3});
  CHECK(ranked({1, 1, 1}, 4, 2, 1).bits == std::vector<int>{4, 2, 2});
  CHECK(ranked({1, 2}, 4, 2, 0).bits == std::vector<int>{2, 2});
  CHECK_THROWS_AS(ranked({1, 2}, 4, 2, 3), ContractError);
}

TEST_CASE("progressive: a constant schedule is the plain nested model, bit for bit, at every width") {
  const Setup s;
  const NestedWeights<double> nested = s.nested(4, Grid::asymmetric);
  for (int bits = 1; bits <= 4; ++bits) {
    const AlignedVector<double> theta = nested.decode(bits);
    const DecodingVariant<double> plain{std::make_shared<DecoderWeights<double>>(s.model, theta.data()), {}};
    const Matrix<double> all = decoded_losses(plain, s.windows);
    CHECK(s.losses(nested, constant(bits), bits) == all.rightCols(generated));
  }
}

TEST_CASE("progressive: before the switch the losses are the high-precision ones, after it high keys and values stay") {
  const Setup s;
  const NestedWeights<double> nested = s.nested(4, Grid::asymmetric);
  const Matrix<double> high = s.losses(nested, constant(4), 4), low = s.losses(nested, constant(2), 2);
  const Matrix<double> stepped = s.losses(nested, step_down({4, 2}, {5}, generated), 4);
  CHECK(stepped.leftCols(5) == high.leftCols(5));
  for (Index t = 5; t < generated; ++t) {
    CHECK(stepped.col(t) != high.col(t));
    CHECK(stepped.col(t) != low.col(t));
  }
  const Matrix<double> late = s.losses(nested, constant(2), 4);  // the prompt alone was read at 4 bits
  for (Index t = 0; t < generated; ++t) CHECK(late.col(t) != low.col(t));
  CHECK(s.losses(nested, reversed(step_down({4, 2}, {7}, generated)), 4).rightCols(7) != high.rightCols(7));
}

TEST_CASE("compare_schedules: equal losses differ by 0, and the mean is that of the positions") {
  const Setup s;
  const NestedWeights<double> nested = s.nested(4, Grid::midrise, NestedValues::least_squares);
  const Matrix<double> high = s.losses(nested, constant(4), 4), low = s.losses(nested, constant(2), 4);
  CHECK(compare_schedules(high, high).mean.mean == 0);
  const ScheduleComparison c = compare_schedules(low, high);
  REQUIRE(Index(c.by_position.size()) == generated);
  double mean = 0;
  for (Index t = 0; t < generated; ++t) {
    CHECK_NEAR(c.by_position[size_t(t)].mean, (low - high).col(t).mean(), 1e-12, 1e-15);
    mean += c.by_position[size_t(t)].mean / double(generated);
  }
  CHECK_NEAR(c.mean.mean, mean, 1e-12, 1e-15);
  CHECK(c.mean.standard_error > 0);
}

TEST_CASE("progressive: a schedule that does not fit windows or weights is refused") {
  const Setup s;
  const NestedWeights<double> nested = s.nested(3, Grid::midrise);
  CHECK_THROWS_AS(s.losses(nested, constant(4), 3), ContractError);
  CHECK_THROWS_AS(s.losses(nested, alternating(2, generated - 1), 3), ContractError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
