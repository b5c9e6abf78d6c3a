// Static activation ranges: what calibration saw is covered, what it did not see is clipped, and nothing else moves.
#include "sim/quantize/static_ranges.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

struct Setting {
  Transformer<double> model{tiny_llama()};
  Vector<double> theta = random_parameters(model.layout(), 1);
  TokenBatch calibration = random_tokens(model.options(), 12, 2);
  Quantizer q{.bits = 4, .grid = Grid::asymmetric};

  std::vector<StepRange> ranges(double percentile = 100, ChunkOptions chunks = {10, 1}) const {
    return static_ranges<double>(model, theta.data(), calibration, q, percentile, chunks);
  }
  TransformerActs<double> forward(const Precision& precision) const {
    auto x = model.make_acts(calibration.sequences);
    model.forward(theta.data(), calibration, 0, x, precision);
    return x;
  }
};

TEST_CASE("static_ranges: the first input is rounded on one grid that covers every value of the calibration set") {
  const Setting s;
  Precision precision;
  precision.activation = s.q;
  precision.activation_ranges = s.ranges();
  REQUIRE(precision.activation_ranges.size() == 8);
  const auto full = s.forward({}), fixed = s.forward(precision);
  const StepRange& grid = precision.activation_ranges[0];
  const auto before = full.layers[0].norm1.view(), after = fixed.layers[0].norm1.view();
  for (Index i = 0; i < before.size(); ++i) {
    CHECK(after.data()[i] == quantize_value(before.data()[i], grid, Rounding::nearest_even, 0.5));
    CHECK(std::abs(after.data()[i] - before.data()[i]) <= 0.5 * grid.step * (1 + 1e-12) + grid.step * 1e-12);
  }
  CHECK((after - before).cwiseAbs().maxCoeff() > 0.3 * grid.step);
}

TEST_CASE("static_ranges: every site has its own grid, taken at full precision") {
  const Setting s;
  const auto full = s.forward({});
  const auto ranges = s.ranges();
  for (size_t l = 0; l < 2; ++l) {
    const auto& a = full.layers[l];
    const Block<double> inputs[] = {a.norm1, a.o, a.norm2, a.act};
    for (size_t site = 0; site < 4; ++site) {
      const double low = std::min(0.0, inputs[site].view().minCoeff()), high = inputs[site].view().maxCoeff();
      CHECK_NEAR(ranges[4 * l + site].step, (high - low) / 15, 1e-13, 0);
    }
  }
}

TEST_CASE("static_ranges: many bits change next to nothing, few bits much") {
  Setting s;
  const double full = Objective<Transformer<double>>(s.model, {10, 1}).value(s.theta.data(), s.calibration);
  const auto loss_at = [&](int bits) {
    s.q.bits = bits;
    Precision precision;
    precision.activation = s.q;
    precision.activation_ranges = s.ranges();
    return Objective<Transformer<double>>(s.model, {10, 1}).value(s.theta.data(), s.calibration, precision);
  };
  CHECK(std::abs(loss_at(15) - full) < 1e-4);
  CHECK(std::abs(loss_at(2) - full) > 1e-2);
}

TEST_CASE("static_ranges: a lower percentile gives a finer grid that clips") {
  const Setting s;
  const auto whole = s.ranges(), cut = s.ranges(90);
  for (size_t i = 0; i < whole.size(); ++i) CHECK(cut[i].step < whole[i].step);
}

TEST_CASE("static_ranges: bits do not depend on the threads, and a percentile of 100 not on the chunks") {
  const Setting s;
  const auto same = [](const std::vector<StepRange>& a, const std::vector<StepRange>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const StepRange& x, const StepRange& y) {
      return x.step == y.step && x.zero_point == y.zero_point;
    });
  };
  CHECK(same(s.ranges(95), s.ranges(95, {10, 3})));
  CHECK(same(s.ranges(), s.ranges(100, {35, 1})));
  CHECK(!same(s.ranges(), s.ranges(95)));
}

TEST_CASE("static_ranges: ranges of another depth are refused") {
  const Setting s;
  Precision precision;
  precision.activation = s.q;
  precision.activation_ranges = s.ranges();
  precision.activation_ranges.pop_back();
  CHECK_THROWS_AS(s.forward(precision), ContractError);
}

}  // namespace
}  // namespace hone::test
