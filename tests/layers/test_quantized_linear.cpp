// Layers whose quantization couples inputs and weights, or tokens of one batch: LLM.int8() and shared block scales.
#include <doctest/doctest.h>

#include <cmath>

#include "sim/formats/llm_int8.hpp"
#include "sim/formats/shared_scale.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

struct Layer {
  Matrix<double> w, x, y;
};

Layer stored_layer() {
  const json inputs = load_quant("inputs.json");
  Layer layer{.w = matrix_of(inputs["W"]), .x = matrix_of(inputs["X"]), .y = {}};
  layer.y = layer.x * layer.w.transpose();
  return layer;
}

double mean_square(const Matrix<double>& m) { return m.squaredNorm() / static_cast<double>(m.size()); }

Matrix<double> int8_output(const Layer& l, double threshold, OutlierWeights variant) {
  Matrix<double> y(l.x.rows(), l.w.rows());
  llm_int8_linear<double>(y, l.x, l.w, threshold, variant);
  return y;
}

TEST_CASE("llm_int8: threshold 0 is plain 8 bit, a tiny one the unquantized layer in the paper's variant") {
  const Layer l = stored_layer();
  Matrix<double> x = l.x, w = l.w;
  fake_quantize<double>(x, {.bits = 8}, 1);
  fake_quantize<double>(w, {.bits = 8}, 1);
  const Matrix<double> plain = x * w.transpose();
  for (const auto variant : {OutlierWeights::paper, OutlierWeights::library})
    CHECK(relative_error(int8_output(l, 0, variant), plain) <= 1e-14);
  CHECK(relative_error(int8_output(l, 1e-300, OutlierWeights::paper), l.y) <= 1e-14);
  const Matrix<double> weights_only = l.x * w.transpose();
  CHECK(relative_error(int8_output(l, 1e-300, OutlierWeights::library), weights_only) <= 1e-14);
}

TEST_CASE("llm_int8: with outlier columns the paper's error is below the library's, both below plain 8 bit") {
  const Layer l = stored_layer();
  const double paper = mean_square(int8_output(l, 6, OutlierWeights::paper) - l.y);
  const double library = mean_square(int8_output(l, 6, OutlierWeights::library) - l.y);
  const double plain = mean_square(int8_output(l, 0, OutlierWeights::paper) - l.y);
  CHECK(paper < 0.7 * library);
  CHECK(library < 0.5 * plain);
}

TEST_CASE("llm_int8: what is below the threshold in an outlier column counts in bitsandbytes and not in the paper") {
  Layer l{.w = Matrix<double>::Identity(2, 2), .x = Matrix<double>(2, 2), .y = {}};
  l.x << 7, 1, 5, 0.3;
  const auto output = [&](OutlierWeights variant, OutlierAbsmax absmax) {
    Matrix<double> y(2, 2);
    llm_int8_linear<double>(y, l.x, l.w, 6, variant, absmax);
    return y;
  };
  // Second row, second column: 0.3 in steps of 5/127 is code 8; without the 5 it is the row's largest value itself.
  CHECK_NEAR(int8_output(l, 6, OutlierWeights::library)(1, 1), 8 * 5 / 127.0, 1e-14, 0);
  CHECK_NEAR(int8_output(l, 6, OutlierWeights::paper)(1, 1), 0.3, 1e-14, 0);
  for (const auto variant : {OutlierWeights::paper, OutlierWeights::library}) {
    CHECK_NEAR(output(variant, OutlierAbsmax::elements)(1, 1), 8 * 5 / 127.0, 1e-14, 0);
    CHECK_NEAR(output(variant, OutlierAbsmax::columns)(1, 1), 0.3, 1e-14, 0);
    for (const auto absmax : {OutlierAbsmax::columns, OutlierAbsmax::elements}) {
      const Matrix<double> y = output(variant, absmax);
      CHECK_NEAR(y(0, 0), 7, 1e-14, 0);  // the column itself is exact, outliers or not
      CHECK_NEAR(y(1, 0), 5, 1e-14, 0);
      CHECK_NEAR(y(0, 1), 1, 1e-14, 0);
    }
  }
}

/// bitsandbytes' vector-wise quantization, value by value.
Matrix<double> bitsandbytes_output(const Matrix<double>& x, const Matrix<double>& w, double threshold) {
  const auto codes = [](double v, double absmax) { return absmax > 0 ? std::nearbyint(v * 127 / absmax) : 0.0; };
  Matrix<double> y = Matrix<double>::Zero(x.rows(), w.rows());
  for (Index o = 0; o < w.rows(); ++o) {
    const double w_absmax = w.row(o).cwiseAbs().maxCoeff();
    for (Index r = 0; r < x.rows(); ++r) {
      double x_absmax = 0, sum = 0, outliers = 0;
      for (Index c = 0; c < x.cols(); ++c)
        if (std::abs(x(r, c)) < threshold) x_absmax = std::max(x_absmax, std::abs(x(r, c)));
      for (Index c = 0; c < x.cols(); ++c) {
        const double w_code = codes(w(o, c), w_absmax);
        if ((x.col(c).cwiseAbs().array() >= threshold).any())
          outliers += x(r, c) * w_code * w_absmax / 127;
        else
          sum += codes(x(r, c), x_absmax) * w_code;
      }
      y(r, o) = sum * x_absmax * w_absmax / (127 * 127) + outliers;
    }
  }
  return y;
}

TEST_CASE("llm_int8: the library's variant is bitsandbytes' arithmetic on the stored layer at any threshold") {
  const Layer l = stored_layer();
  for (const double threshold : {0.5, 2.0, 6.0, 20.0, 1e9})
    CHECK(relative_error(int8_output(l, threshold, OutlierWeights::library),
                         bitsandbytes_output(l.x, l.w, threshold)) <= 1e-12);
}

TEST_CASE("llm_int8: a token's result depends on its batch, that of per-token quantizers does not") {
  Matrix<double> batch(2, 4);
  batch << 1, -2, 3.3, 0.7, 0.1, 0.2, -9, 0.4;
  for (const double threshold : {0.0, 6.0}) {
    const Quantizer q{.bits = 4, .outlier_threshold = threshold};
    CHECK_NOTHROW(q.validate("activation"));
    Matrix<double> together = batch, alone = batch.topRows(1);
    fake_quantize<double>(together, q, 1);
    fake_quantize<double>(alone, q, 1);
    CHECK((together.row(0) == alone.row(0)) == (threshold == 0));
    if (threshold > 0) {
      CHECK(together(0, 2) == 3.3);
      CHECK_NEAR(together(0, 1), -2, 1e-15, 0);  // now the row's largest
    }
  }
  batch(1, 2) = INFINITY;
  CHECK_THROWS_AS(fake_quantize<double>(batch, {.bits = 4, .outlier_threshold = 6}, 1), ContractError);
}

TEST_CASE("shared scales: steps, migrations and errors equal the stored cases") {
  const Layer l = stored_layer();
  const json cases = load_quant("shared_block.json")["cases"];
  REQUIRE(cases.size() == 18);
  for (const json& stored : cases) {
    const Balance balance = stored["balanced"].get<bool>() ? Balance::balanced : Balance::raw;
    const SharedScales scales =
        shared_scales<double>(l.x, l.w, stored["bits"].get<int>(), stored["group"].get<Index>(), balance);
    REQUIRE(scales.step.size() == stored["s"].size());
    for (size_t b = 0; b < scales.step.size(); ++b) {
      CHECK_NEAR(scales.step[b], stored["s"][b].get<double>(), 1e-12, 0);
      CHECK_NEAR(scales.migration[b], stored["t"][b].get<double>(), 1e-12, 0);
    }
    Matrix<double> x = l.x, w = l.w;
    quantize_shared_inputs<double>(x, scales);
    quantize_shared_weights<double>(w, scales);
    CHECK_NEAR(mean_square(x * w.transpose() - l.y), stored["mse_both"].get<double>(), 1e-9, 0);
    CHECK_NEAR(mean_square(l.x * w.transpose() - l.y), stored["mse_w_only"].get<double>(), 1e-9, 0);
    CHECK_NEAR(mean_square(x * l.w.transpose() - l.y), stored["mse_a_only"].get<double>(), 1e-9, 0);
  }
}

TEST_CASE("shared scales: zeros, a short last block and NaN are defined") {
  Layer l = stored_layer();
  l.w.leftCols(5).setZero();
  const SharedScales scales = shared_scales<double>(l.x, l.w, 4, 5, Balance::balanced);
  CHECK(scales.step.size() == 7);
  CHECK(scales.migration[0] == 1);
  quantize_shared_weights<double>(l.w, scales);
  CHECK(l.w.allFinite());
  CHECK(l.w.leftCols(5).isZero(0));
  l.x(3, 31) = NAN;
  CHECK_THROWS_AS(shared_scales<double>(l.x, l.w, 4, 5, Balance::raw), ContractError);
}

}  // namespace
}  // namespace hone::test
