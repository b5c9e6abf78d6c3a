// The quantizers against stored vectors of an independent implementation (tests/golden/quant), in
// double.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/formats/quantizer.hpp"
#include "sim/formats/range_choice.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

Quantizer quantizer_of(const json& example, Index cols) {
  const auto mode = example["mode"].get<std::string>();
  Quantizer q{.bits = example["bits"].get<int>()};
  q.grid = mode == "asym" ? Grid::asymmetric : mode == "noclip" ? Grid::no_clip : grid_from_name(mode);
  const json& granularity = example["granularity"];
  if (granularity.is_number())
    q.granularity = Granularity::group, q.group = granularity.get<Index>();
  else
    q.granularity = granularity == "tensor" ? Granularity::tensor : Granularity::row;
  REQUIRE(q.group <= cols);
  return q;
}

/// Steps, zero points, codes (where stored) and the mean squared error of one stored example.
void check_example(const json& example, const Matrix<double>& w) {
  const Quantizer q = quantizer_of(example, w.cols());
  CAPTURE(example["mode"].get<std::string>());
  CAPTURE(q.bits);
  CAPTURE(example["granularity"].dump());
  std::vector<double> want_steps, want_zeros, steps;
  flatten(example["scale"], want_steps);
  if (example.contains("zero")) flatten(example["zero"], want_zeros);
  Matrix<double> quantized = w;
  fake_quantize<double>(quantized, q, w.rows(), &steps);
  REQUIRE(steps.size() == want_steps.size());
  size_t group = 0;
  Index wrong_codes = 0;
  for_each_group(q, w.rows(), w.cols(), w.rows(), [&](const StepGroup& g) {
    const StepRange range = step_range(&w.coeffRef(g.row, g.col), g.rows, g.cols, w.cols(), q);
    CHECK_NEAR(steps[group], want_steps[group], 1e-14, 0);
    if (!want_zeros.empty()) CHECK(range.zero_point == want_zeros[group]);
    ++group;
    for (Index r = g.row; r < g.row + g.rows; ++r)
      for (Index c = g.col; c < g.col + g.cols; ++c) {
        CHECK(quantize_value(w(r, c), range, q.rounding, 0.5) == quantized(r, c));
        if (!example.contains("codes") || example["codes"].is_null()) continue;
        const double want = example["codes"][static_cast<size_t>(r)][static_cast<size_t>(c)].get<double>();
        wrong_codes += !(code(w(r, c), range, q.rounding, 0.5) == want);
      }
  });
  CHECK(wrong_codes == 0);
  CHECK_NEAR((quantized - w).squaredNorm() / static_cast<double>(w.size()), example["mse"].get<double>(), 1e-9, 0);
}

TEST_CASE("quantizer: steps, zero points, codes and errors equal the stored round-to-nearest vectors") {
  const Matrix<double> w = matrix_of(load_quant("inputs.json")["W"]);
  const json cases = load_quant("rtn_own.json")["cases"];
  REQUIRE(cases.size() == 48);
  for (const json& example : cases) check_example(example, w);
}

TEST_CASE("quantizer: no_clip and signed_absmax equal the stored vectors") {
  const Matrix<double> w = matrix_of(load_quant("inputs.json")["W"]);
  const json cases = load_quant("rtn_extra_lsq_alloc.json")["symmetric_extra"];
  REQUIRE(cases.size() == 16);
  for (const json& example : cases) check_example(example, w);
}

TEST_CASE("quantizer: ties follow the stored table") {
  const json ties = load_quant("rtn_own.json")["ties"];
  const StepRange wide{.step = 1, .code_min = -0x1p60, .code_max = 0x1p60};
  REQUIRE(ties["x"].size() == 23);
  for (size_t i = 0; i < ties["x"].size(); ++i) {
    const double x = ties["x"][i].get<double>();
    CAPTURE(x);
    CHECK(quantize_value(x, wide, Rounding::nearest_even, 0.5) == ties["rne"][i].get<double>());
    // The table was made by floor(|x| + 1/2), which is wrong where that sum rounds up to 1.
    const bool artefact = std::abs(x) == 0.49999999999999994;
    const double away = artefact ? 0.0 : ties["half_away"][i].get<double>();
    CHECK(quantize_value(x, wide, Rounding::half_away, 0.5) == away);
  }
}

TEST_CASE("quantizer: stochastic rounding of (x, u) follows the stored table") {
  const json table = load_quant("stochastic_rounding.json")["deterministic_given_u"];
  const StepRange wide{.step = 1, .code_min = -100, .code_max = 100};
  for (size_t i = 0; i < table["x"].size(); ++i) {
    const double u = table["u"][i].get<double>();
    CHECK(quantize_value(table["x"][i].get<double>(), wide, Rounding::stochastic, u) == table["out"][i].get<double>());
  }
}

TEST_CASE("quantizer: stochastic rounding has the stored mean and variance at every point") {
  const json moments = load_quant("stochastic_rounding.json")["moments"];
  constexpr int draws = 20000;
  for (size_t m = 0; m < moments.size(); ++m) {
    const double x = moments[m]["x"].get<double>(), step = moments[m]["step"].get<double>();
    const double mean = moments[m]["mean"].get<double>(), variance = moments[m]["var"].get<double>();
    CAPTURE(x);
    CAPTURE(step);
    const StepRange range{.step = step, .code_min = -100, .code_max = 100};
    const Stream stream{17, Domain::test, static_cast<std::uint32_t>(m)};
    double sum = 0, sum2 = 0;
    for (int i = 0; i < draws; ++i) {
      const double error =
          quantize_value(x, range, Rounding::stochastic, uniform(stream, static_cast<std::uint64_t>(i))) - mean;
      sum += error, sum2 += error * error;
    }
    CHECK_NEAR(sum / draws, 0, 0, 5 * std::sqrt(variance / draws) + 1e-12);
    // The squared error takes two values; its standard deviation is below step²/2.
    CHECK_NEAR(sum2 / draws, variance, 0, 5 * step * step / 2 / std::sqrt(draws) + 1e-12);
    CHECK_NEAR(quantize_value(x, range, Rounding::nearest_even, 0.5), moments[m]["rne"].get<double>(), 1e-15, 0);
  }
}

}  // namespace
}  // namespace hone::test
