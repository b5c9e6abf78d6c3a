// Gradients through quantizers: the masks, the learned step, and the layer of BitNet b1.58 with both factors
// quantized.
#include "sim/formats/straight_through.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/layers/linear.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

TEST_CASE("straight through: the llm_qat mask equals the stored gradients") {
  const Matrix<double> x = matrix_of(load_quant("inputs.json")["X"]).topRows(4);
  const json cases = load_quant("llm_qat.json")["cases"];
  int checked = 0;
  for (const json& stored : cases) {
    if (!stored.contains("grad")) continue;
    Matrix<double> gradient = Matrix<double>::Ones(4, x.cols());
    apply_ste_mask<double>(gradient, x, {.bits = 4, .grid = Grid::llm_qat}, SteKind::llm_qat, 4);
    CHECK(gradient == matrix_of(stored["grad"]));
    ++checked;
  }
  CHECK(checked == 3);
}

TEST_CASE("straight through: masks at their borders") {
  const StepRange range{.step = 0.5, .zero_point = 3, .code_min = 0, .code_max = 7};  // values -1.5 … 2
  CHECK(ste_mask(2.25, range, SteKind::clipped) == 1);
  CHECK(ste_mask(2.26, range, SteKind::clipped) == 0);
  CHECK(ste_mask(-1.75, range, SteKind::clipped) == 1);
  CHECK(ste_mask(-1.76, range, SteKind::clipped) == 0);
  CHECK(ste_mask(100.0, range, SteKind::identity) == 1);
  CHECK(ste_mask(std::nextafter(2.0, 0.0), range, SteKind::llm_qat) == 1);
  CHECK(ste_mask(2.0, range, SteKind::llm_qat) == 0);
  CHECK(ste_mask(-2.0, range, SteKind::llm_qat) == 0);
  const StepRange e2m1{.step = 1, .format = Format::e2m1};
  CHECK(ste_mask(7.0, e2m1, SteKind::clipped) == 1);
  CHECK(ste_mask(-7.01, e2m1, SteKind::clipped) == 0);
  CHECK(ste_mask(5.0, StepRange{}, SteKind::clipped) == 1);
}

TEST_CASE("straight through: the clipped mask is 1 everywhere on an absmax grid, 0 at the extremes of a clipped one") {
  const Matrix<double> x = normals(512, 4).reshaped<Eigen::RowMajor>(4, 128);
  for (const Grid grid :
       {Grid::restricted, Grid::full, Grid::midrise, Grid::no_clip, Grid::asymmetric, Grid::float_min})
    for (const ScaleRule rule : {ScaleRule::absmax, ScaleRule::clip}) {
      CAPTURE(name_of(grid));
      Matrix<double> gradient = Matrix<double>::Ones(4, 128);
      apply_ste_mask<double>(gradient, x, {.bits = 6, .grid = grid, .rule = rule}, SteKind::clipped, 4);
      if (rule == ScaleRule::absmax) CHECK(gradient.sum() == 512);
      if (rule == ScaleRule::clip) {
        for (Index r = 0; r < 4; ++r) {
          Index extreme = 0;
          x.row(r).cwiseAbs().maxCoeff(&extreme);
          CHECK(gradient(r, extreme) == 0);
        }
        CHECK(gradient.sum() > 480);
      }
    }
}

TEST_CASE("straight through: the learned step starts and moves as stored") {
  const json stored = load_quant("rtn_extra_lsq_alloc.json")["lsq"];
  const Matrix<double> w = matrix_of(load_quant("inputs.json")["W"]), gout = matrix_of(stored["gout"]);
  for (const json& example : stored["cases"]) {
    const int bits = example["bits"].get<int>();
    CAPTURE(bits);
    const double step = initial_learned_step<double>(w, bits);
    CHECK_NEAR(step, example["s"].get<double>(), 1e-12, 0);
    Matrix<double> dw = gout;
    CHECK_NEAR(learned_step_backward<double>(dw, w, step, bits), example["ds"].get<double>(), 1e-9, 0);
    CHECK((dw.array() == 0).count() == example["dx_zero_count"].get<Index>());
    CHECK_NEAR(dw.sum(), example["dx_sum"].get<double>(), 1e-9, 0);
  }
  CHECK_THROWS_AS(learned_range(0, 4), ContractError);
  CHECK_THROWS_AS(learned_range(0.1, 1), ContractError);
}

TEST_CASE("straight through: the layer of BitNet b1.58 has the stored codes, outputs and gradients") {
  const json stored = load_quant("bitnet_b158.json"), inputs = load_quant("inputs.json");
  const Matrix<double> w = matrix_of(inputs["W"]), x = matrix_of(inputs["X"]).topRows(8);
  const Quantizer ternary{.granularity = Granularity::tensor, .format = Format::ternary};
  const StepRange range = step_ranges<double>(w, ternary, w.rows())[0];
  CHECK_NEAR(range.step, stored["gamma_absmean"].get<double>(), 1e-12, 0);
  Matrix<double> codes(w.rows(), w.cols()), w_hat = w, x_hat = x;
  for (Index i = 0; i < w.size(); ++i) codes.data()[i] = code(w.data()[i], range, Rounding::nearest_even, 0.5);
  CHECK(codes == matrix_of(stored["ternary_codes"]));
  fake_quantize<double>(w_hat, ternary, w.rows());
  fake_quantize<double>(x_hat, {.bits = 8, .grid = Grid::full}, 1);
  CHECK(relative_error(x_hat, matrix_of(stored["Qx_rows0_7"])) <= 1e-12);
  Matrix<double> y(8, 16);
  linear_forward<double>(y, x_hat, w_hat, nullptr);
  CHECK(relative_error(y, matrix_of(stored["y"])) <= 1e-9);
  const Matrix<double> residual = y - matrix_of(stored["T"]);
  CHECK_NEAR(residual.squaredNorm() / 16, stored["loss"].get<double>(), 1e-9, 0);  // half the error per token
  const Matrix<double> dy = residual / 8;
  Matrix<double> dx(8, 32), dw = Matrix<double>::Zero(16, 32);
  linear_backward<double>(dx, dw, nullptr, dy, x_hat, w_hat);
  CHECK(relative_error(dx, matrix_of(stored["grad_X_ste"])) <= 1e-9);
  CHECK(relative_error(dw, matrix_of(stored["grad_W_ste"])) <= 1e-9);
}

}  // namespace
}  // namespace hone::test
