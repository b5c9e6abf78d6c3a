// Scales that are stored in few bits: half precision, and QLoRA's double quantization; against numpy
// (tests/golden/quant/make_stored_scales.py) and by the relations that define them.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>

#include "sim/formats/double_quantization.hpp"
#include "sim/formats/quantizer.hpp"
#include "sim/formats/range_choice.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

/// The weights of make_stored_scales.py.
Matrix<double> weights(Index rows, Index cols) {
  Matrix<double> w(rows, cols);
  std::int64_t state = 12345;
  for (Index i = 0; i < w.size(); ++i) {
    state = (1103515245 * state + 12345) % (std::int64_t(1) << 31);
    w.data()[i] = (double(state) / double(1 << 30) - 1) * double(1 + i / 32 % 13) / 32;
  }
  return w;
}

Matrix<double> quantized(Matrix<double> w, const Quantizer& q) {
  q.validate("w");
  fake_quantize<double>(w, q, w.rows());
  return w;
}

Quantizer grouped(int bits, Grid grid, Index group, ScaleKind scale) {
  return {.bits = bits, .grid = grid, .granularity = Granularity::group, .group = group, .scale = scale};
}

bool is_half(double v) {
  int exponent = 0;
  const double fraction = std::frexp(v, &exponent);
  const int digits = exponent < -13 ? 11 - (-13 - exponent) : 11;  // subnormals have fewer
  return std::abs(v) <= 65504 && std::nearbyint(std::ldexp(fraction, digits)) == std::ldexp(fraction, digits);
}

const ScaleKind few_bits[] = {ScaleKind::fp16, ScaleKind::fp16_stored, ScaleKind::double_quantized};

}  // namespace

TEST_CASE("stored scales: half precision as in AWQ and ggml equals numpy") {
  const json stored = load_quant("stored_scales.json");
  const Matrix<double> w = weights(stored["small"][0], stored["small"][1]);
  for (size_t i = 0; i < 4; ++i) CHECK(w(0, Index(i)) == stored["sample"][i].get<double>());
  const std::map<std::string, Quantizer> cases = {
      {"awq 4 bits, groups of 32", grouped(4, Grid::asymmetric, 32, ScaleKind::fp16)},
      {"awq 3 bits, groups of 16", grouped(3, Grid::asymmetric, 16, ScaleKind::fp16)},
      {"restricted 4 bits, groups of 32, fp16", grouped(4, Grid::restricted, 32, ScaleKind::fp16)},
      {"restricted 4 bits, groups of 32, fp16_stored", grouped(4, Grid::restricted, 32, ScaleKind::fp16_stored)},
      {"q4_0", grouped(4, Grid::signed_absmax, 32, ScaleKind::fp16_stored)},
      {"q4_1", grouped(4, Grid::float_min, 32, ScaleKind::fp16_stored)}};
  REQUIRE(stored["cases"].size() == cases.size());
  for (const auto& [name, q] : cases) {
    CAPTURE(name);
    CHECK(relative_error(quantized(w, q), matrix_of(stored["cases"][name])) < 1e-15);
  }
}

TEST_CASE("stored scales: double quantization of NF4 and of integers equals numpy") {
  const json stored = load_quant("stored_scales.json");
  const Matrix<double> w = weights(stored["large"][0], stored["large"][1]);
  for (size_t i = 0; i < 256; ++i)
    CHECK_NEAR(dynamic_8bit_values()[i], stored["dynamic_map"][i].get<double>(), 1e-15, 0);
  Quantizer qlora{.granularity = Granularity::group, .group = 64, .format = Format::nf4};
  std::vector<double> absmax;
  for (const StepRange& range : step_ranges<double>(w, qlora, w.rows())) absmax.push_back(range.step);
  const std::vector<double> scales = double_quantized(absmax);
  REQUIRE(scales.size() == stored["scales"].size());
  for (size_t i = 0; i < scales.size(); ++i) CHECK_NEAR(scales[i], stored["scales"][i].get<double>(), 1e-13, 0);
  qlora.scale = ScaleKind::double_quantized;
  const std::pair<const char*, Quantizer> cases[] = {
      {"qlora", qlora},
      {"double-quantized 4 bits, groups of 16", grouped(4, Grid::restricted, 16, ScaleKind::double_quantized)}};
  for (const auto& [name, q] : cases) {
    CAPTURE(name);
    const Matrix<double> found = quantized(w, q);
    for (size_t i = 0; i < stored[name].size(); ++i)
      CHECK_NEAR(found.data()[29 * i], stored[name][i].get<double>(), 1e-13, 1e-18);
  }
}

TEST_CASE("stored scales: values are codes of the real scale times the stored one; fp16 takes both from the half") {
  const Matrix<double> w = weights(6, 96);
  for (const Grid grid : {Grid::restricted, Grid::full, Grid::midrise, Grid::no_clip}) {
    const Quantizer real = grouped(4, grid, 32, ScaleKind::real);
    const std::vector<StepRange> ranges = step_ranges<double>(w, real, w.rows());
    for (const ScaleKind kind : few_bits) {
      Quantizer q = real;
      q.scale = kind;
      const Matrix<double> found = quantized(w, q), codes = quantized(w, real);
      const std::vector<StepRange> stored = step_ranges<double>(w, q, w.rows());
      for (Index r = 0; r < w.rows(); ++r)
        for (Index c = 0; c < w.cols(); ++c) {
          const size_t g = size_t(r * 3 + c / 32);
          if (kind == ScaleKind::fp16) {
            CHECK(is_half(stored[g].step));
            CHECK(std::abs(stored[g].step / ranges[g].step - 1) <= 0x1p-11);
            CHECK(found(r, c) == quantize_value(w(r, c), stored[g], Rounding::nearest_even, 0.5));
          } else {
            CHECK(stored[g].step == ranges[g].step);
            CHECK_NEAR(found(r, c) / stored[g].stored_step(), codes(r, c) / ranges[g].step, 1e-14, 1e-14);
          }
          if (kind == ScaleKind::fp16_stored) CHECK(is_half(static_cast<float>(stored[g].stored_step())));
        }
    }
  }
}

TEST_CASE("stored scales: what has a stored scale is not changed by storing it again") {
  // Steps that are halves already, and steps that are all equal.
  Matrix<double> w = weights(6, 96);
  for (const ScaleKind kind : {ScaleKind::fp16, ScaleKind::fp16_stored}) {
    const Quantizer q = grouped(4, Grid::restricted, 32, kind);
    const Matrix<double> once = quantized(w, q);
    CHECK(quantized(once, q) == once);
  }
  for (Index r = 0; r < w.rows(); ++r)
    for (Index c = 0; c < w.cols(); c += 32) w.row(r).segment(c, 32) /= w.row(r).segment(c, 32).cwiseAbs().maxCoeff();
  CHECK(relative_error(quantized(w, grouped(4, Grid::restricted, 32, ScaleKind::double_quantized)),
                       quantized(w, grouped(4, Grid::restricted, 32, ScaleKind::real))) < 1e-14);
}

TEST_CASE("stored scales: the dynamic 8-bit values are 256, ascending, and half a step apart from their neighbours") {
  const auto& values = dynamic_8bit_values();
  CHECK(std::set<double>(values.begin(), values.end()).size() == 256);
  CHECK(std::is_sorted(values.begin(), values.end()));
  CHECK(values.back() == 1);
  CHECK(values.front() == doctest::Approx(-0.99296875));
  // An error of at most half the widest gap below 1, for whatever is stored.
  const std::vector<double> scales = [] {
    std::vector<double> list;
    for (int i = 0; i < 700; ++i) list.push_back(1 + std::sin(i * 0.7) * std::exp(-i / 200.0));
    return list;
  }();
  const std::vector<double> stored = double_quantized(scales);
  double mean = 0;
  for (double s : scales) mean += s / 700;
  for (size_t i = 0; i < 700; ++i) {
    double largest = 0;
    for (size_t k = i / 256 * 256; k < std::min<size_t>(700, i / 256 * 256 + 256); ++k)
      largest = std::max(largest, std::abs(scales[k] - mean));
    CHECK(std::abs(stored[i] - scales[i]) <= largest * 0.00708);
  }
  CHECK(double_quantized({}).empty());
  CHECK(double_quantized({3, 3, 3}) == std::vector<double>{3, 3, 3});
}

TEST_CASE("stored scales: groups of zeros, tiny steps, and steps beyond half precision") {
  Matrix<double> w = weights(2, 64);
  w.row(0).setZero();
  for (const ScaleKind kind : few_bits)
    CHECK(quantized(w, grouped(4, Grid::restricted, 32, kind)).row(0) == Matrix<double>::Zero(1, 64));
  const Matrix<double> tiny = 1e-12 * w;  // steps that are 0 in half precision
  for (const ScaleKind kind : {ScaleKind::fp16, ScaleKind::fp16_stored})
    CHECK(quantized(tiny, grouped(4, Grid::restricted, 32, kind)) == Matrix<double>::Zero(2, 64));
  for (const ScaleKind kind : {ScaleKind::fp16, ScaleKind::fp16_stored}) {
    const std::string said =
        message_of<ContractError>([&] { (void)quantized(1e7 * w, grouped(4, Grid::restricted, 32, kind)); });
    CHECK_MESSAGE(mentions(said, "beyond half precision"), said);
  }
}

TEST_CASE("stored scales: tensors of a batch do not mix, and float data get float results") {
  const Matrix<double> w = weights(8, 64);
  const Quantizer q = grouped(4, Grid::restricted, 16, ScaleKind::double_quantized);
  Matrix<double> together = w, first = w.topRows(4);
  fake_quantize<double>(together, q, 4);
  fake_quantize<double>(first, q, 4);
  CHECK(together.topRows(4) == first);
  Matrix<double> as_one = w;
  fake_quantize<double>(as_one, q, 8);
  CHECK(as_one.topRows(4) != first);
  for (const ScaleKind kind : few_bits) {
    Matrix<float> narrow = w.cast<float>();
    const Matrix<double> wide = narrow.cast<double>();
    const Quantizer k = grouped(4, Grid::restricted, 16, kind);
    fake_quantize<float>(narrow, k, 8);
    CHECK(relative_error(narrow.cast<double>(), quantized(wide, k)) < 1e-6);
  }
}

TEST_CASE("stored scales: bits per weight, and combinations that have no meaning") {
  const auto bpw = [](const Quantizer& q) { return bits_per_weight(q, 1024, 1024); };
  CHECK(bpw(grouped(4, Grid::restricted, 32, ScaleKind::fp16)) == 4.5);      // ggml's Q4_0
  CHECK(bpw(grouped(4, Grid::float_min, 32, ScaleKind::fp16_stored)) == 5);  // Q4_1
  CHECK_NEAR(bpw({.granularity = Granularity::group,
                  .group = 64,
                  .format = Format::nf4,
                  .scale = ScaleKind::double_quantized}),
             4 + (8 + 32.0 / 256) / 64 + 32 / 1048576.0, 1e-14, 0);
  const auto refusal = [](const Quantizer& q) { return message_of<OptionError>([&] { q.validate("w"); }); };
  for (const Grid grid : {Grid::asymmetric, Grid::float_min, Grid::signed_absmax})
    CHECK(
        mentions(refusal(grouped(4, grid, 32, ScaleKind::double_quantized)), "w.scale = 'double_quantized' with grid"));
  for (const ScaleKind kind : few_bits)
    CHECK(mentions(refusal({.bits = 4, .grid = Grid::llm_qat, .scale = kind}), "with grid 'llm_qat'"));
  const Matrix<double> w = weights(1, 32);
  CHECK_THROWS_AS((void)step_range(w.data(), 1, 32, 32, grouped(4, Grid::restricted, 32, ScaleKind::double_quantized)),
                  ContractError);
}

}  // namespace hone::test
