// Number formats and block scales against stored vectors of an independent implementation (tests/golden/quant), in
// double.
#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>

#include "sim/base/atomic_file.hpp"
#include "sim/formats/quantizer.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

/// The stored formats; the file spells infinities as Python does, which JSON does not know.
json load_formats() {
  std::string text = read_text(HONE_GOLDEN "/quant/mx_formats.json");
  const std::string word = "Infinity";
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
    const size_t begin = at > 0 && text[at - 1] == '-' ? at - 1 : at;
    const std::string quoted = begin < at ? "\"-inf\"" : "\"inf\"";
    text.replace(begin, at + word.size() - begin, quoted);
    at = begin + quoted.size();
  }
  return json::parse(text);
}

/// Number that may be written as "nan" or "inf".
double number_of(const json& value) {
  return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
}

/// A quantizer for one of the stored MX formats, without scale; int4 and int2 are integer codes.
Quantizer mx_quantizer(const std::string& name, const std::string& rounding) {
  Quantizer q{.rounding = rounding == "even" ? Rounding::nearest_even : Rounding::half_away};
  if (name == "int8")
    q.format = Format::mxint8;
  else if (name.starts_with("int"))
    q.bits = std::stoi(name.substr(3));
  else
    q.format = format_from_name(name.substr(4));
  return q;
}

/// The largest code of an integer format, so that its codes over 2^(bits-2) are the stored fixed point numbers.
double fixed_point_unit(const Quantizer& q) {
  return std::ldexp(1.0, q.format == Format::mxint8 ? -6 : q.format == Format::integer ? 2 - q.bits : 0);
}

StepRange unit_range(const Quantizer& q) {
  const bool is_minifloat_ = is_minifloat(q.format);
  const double top = is_minifloat_ ? 0 : q.format == Format::mxint8 ? 127 : std::ldexp(1.0, q.bits - 1) - 1;
  return {.step = fixed_point_unit(q),
          .code_min = -top,
          .code_max = top,
          .format = is_minifloat_ ? q.format : Format::integer};
}

TEST_CASE("format: the values of FP4, FP6 and FP8 are those of the stored bit patterns") {
  const json tables = load_formats()["decode_tables_by_code"];
  REQUIRE(tables.size() == 5);
  for (const auto& [name, stored] : tables.items()) {
    CAPTURE(name);
    std::set<double> finite;
    for (const json& value : stored)
      if (std::isfinite(number_of(value))) finite.insert(number_of(value));
    const std::vector<double> values = levels(format_from_name(name.substr(4, 4)));
    CHECK(values == std::vector<double>(finite.begin(), finite.end()));
  }
}

TEST_CASE("format: elements of every MX format round as stored, to even and half away") {
  const json data = load_formats();
  int checked = 0;
  for (const auto& [name, stored] : data["elementwise"].items()) {
    const auto slash = name.find('/');
    const std::string rounding = name.substr(slash + 1);
    if (rounding == "floor") continue;
    CAPTURE(name);
    const Quantizer q = mx_quantizer(name.substr(0, slash), rounding);
    size_t wrong = 0;
    for (size_t i = 0; i < stored.size(); ++i)
      wrong +=
          !(quantize_value(data["probe"][i].get<double>(), unit_range(q), q.rounding, 0.5) == stored[i].get<double>());
    CHECK(wrong == 0);
    ++checked;
  }
  CHECK(checked == 16);
}

TEST_CASE("format: bfloat of 16, 12 and 10 bits and half precision round as stored [inside the finite range]") {
  const json data = load_formats();
  int checked = 0;
  const auto check = [&](const json& stored, Format format) {
    const std::string rounding = stored["round"].get<std::string>();
    if (rounding == "floor") return;
    const StepRange range{.step = 1, .format = format};
    size_t wrong = 0;
    for (size_t i = 0; i < data["probe"].size(); ++i) {
      const double x = data["probe"][i].get<double>(), want = number_of(stored["probe_out"][i]);
      const Rounding to = rounding == "even" ? Rounding::nearest_even : Rounding::half_away;
      const double saturated = std::isinf(want) ? std::copysign(max_value(format), want) : want;
      wrong += !(quantize_value(x, range, to, 0.5) == saturated);
    }
    CHECK(wrong == 0);
    ++checked;
  };
  for (const json& stored : data["bfloat"]) check(stored, minifloat(8, stored["bits"].get<int>() - 9));
  for (const json& stored : data["fp16"]) check(stored, minifloat(5, 10));
  CHECK(checked == 7);
}

TEST_CASE("format: MX blocks of weights have the stored exponents and values") {
  const Matrix<double> w = matrix_of(load_quant("inputs.json")["W"]);
  int checked = 0;
  const json cases = load_formats()["mx_weights"];
  for (const json& stored : cases) {
    if (stored["round"] == "floor") continue;
    CAPTURE(stored["format"].get<std::string>());
    Quantizer q = mx_quantizer(stored["format"].get<std::string>(), stored["round"].get<std::string>());
    q.scale = ScaleKind::e8m0;
    q.granularity = Granularity::group, q.group = stored["block"].get<Index>();
    CHECK_NOTHROW(q.validate("w"));
    std::vector<double> exponents, steps;
    flatten(stored["shared_exp"], exponents);
    Matrix<double> quantized = w;
    fake_quantize<double>(quantized, q, w.rows(), &steps);
    REQUIRE(steps.size() == exponents.size());
    for (size_t g = 0; g < steps.size(); ++g)
      CHECK(steps[g] == std::ldexp(fixed_point_unit(q), static_cast<int>(exponents[g])));
    CHECK(quantized == matrix_of(stored["Q"]));
    ++checked;
  }
  CHECK(checked == 22);
}

TEST_CASE("format: MX blocks of activations have the stored values") {
  const Matrix<double> x = matrix_of(load_quant("inputs.json")["X"]);
  const json cases = load_formats()["mx_activations"];
  for (const json& stored : cases) {
    Quantizer q = mx_quantizer(stored["format"].get<std::string>(), stored["round"].get<std::string>());
    q.scale = ScaleKind::e8m0;
    q.granularity = Granularity::group, q.group = stored["block"].get<Index>();
    Matrix<double> quantized = x.topRows(stored["rows"].get<Index>());
    fake_quantize<double>(quantized, q, 1);
    CHECK(quantized == matrix_of(stored["Q"]));
  }
}

TEST_CASE("format: NVFP4 has the stored scales, codes and values") {
  const json stored = load_formats()["nvfp4_own_transcription"];
  const Matrix<double> w = matrix_of(load_quant("inputs.json")["W"]);
  const Quantizer q{
      .granularity = Granularity::group, .group = 16, .format = Format::e2m1, .scale = ScaleKind::e4m3_two_level};
  std::vector<double> steps, want;
  flatten(stored["effective_scale"], want);
  Matrix<double> quantized = w;
  fake_quantize<double>(quantized, q, w.rows(), &steps);
  REQUIRE(steps.size() == want.size());
  for (size_t g = 0; g < steps.size(); ++g) CHECK_NEAR(steps[g], want[g], 1e-9, 0);
  CHECK(relative_error(quantized, matrix_of(stored["Q"])) <= 1e-9);
  const std::vector<StepRange> ranges = step_ranges<double>(w, q, w.rows());
  const Matrix<double> codes = matrix_of(stored["codes_value"]);
  const std::vector<double> values = levels(Format::e2m1);
  size_t wrong = 0;
  for (Index r = 0; r < w.rows(); ++r)
    for (Index c = 0; c < w.cols(); ++c) {
      const double place = code(w(r, c), ranges[static_cast<size_t>(r * 2 + c / 16)], q.rounding, 0.5);
      wrong += !(values[static_cast<size_t>(place + top_code(Format::e2m1))] == codes(r, c));
    }
  CHECK(wrong == 0);
}

TEST_CASE("quantizer: the grids of LLM-QAT equal the stored vectors") {
  const json inputs = load_quant("inputs.json"), cases = load_quant("llm_qat.json")["cases"];
  REQUIRE(cases.size() == 17);
  for (const json& stored : cases) {
    const std::string kind = stored["quantizer"].get<std::string>();
    CAPTURE(kind);
    Quantizer q{.bits = kind.ends_with("=1") ? 1 : 2, .grid = Grid::llm_qat};
    if (stored.contains("bits")) q.bits = stored["bits"].get<int>();
    if (kind == "AsymQuantizer") q.grid = Grid::llm_qat_asymmetric;
    if (stored.contains("layerwise") && stored["layerwise"].get<bool>()) q.granularity = Granularity::tensor;
    CHECK_NOTHROW(q.validate("w"));
    Matrix<double> x = matrix_of(inputs[stored["tensor"] == "X rows 0..3" ? "X" : "W"]);
    if (stored["tensor"] == "X rows 0..3") x = Matrix<double>(x.topRows(4));
    Matrix<double> quantized = x;
    fake_quantize<double>(quantized, q, x.rows());
    if (stored.contains("Q") && !stored["Q"].is_null())
      CHECK(relative_error(quantized, matrix_of(stored["Q"])) <= 1e-9);
    if (stored.contains("mse"))
      CHECK_NEAR((quantized - x).squaredNorm() / static_cast<double>(x.size()), stored["mse"].get<double>(), 1e-9, 0);
  }
}

}  // namespace
}  // namespace hone::test
