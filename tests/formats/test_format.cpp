// Properties that every number format must have, under every rounding.
#include "sim/formats/format.hpp"
#include "sim/formats/range_choice.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sim/formats/quantizer.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

constexpr Rounding all_roundings[] = {Rounding::nearest_even, Rounding::half_away, Rounding::stochastic};

std::vector<Format> all_formats() {
  std::vector<Format> out{Format::ternary, Format::mxint8, Format::nf4, Format::bnb_fp4};
  for (int e = 2; e <= 5; ++e)
    for (int m = 0; m <= 6; ++m) out.push_back(minifloat(e, m));
  return out;
}

/// The grid of a format with a step of its own choosing.
StepRange with_step(Format format, double step) {
  StepRange range = range_of_extremes<double>(-1, 1, {.format = format});
  range.step = step;
  return range;
}

TEST_CASE("format: levels are ascending, contain 0 and are symmetric but for nf4; the largest is max_value") {
  for (const Format format : all_formats()) {
    CAPTURE(name_of(format));
    const std::vector<double> all = levels(format);
    CHECK(std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()) == all.end());
    CHECK(std::count(all.begin(), all.end(), 0.0) == 1);
    CHECK(all.back() == max_value(format));
    for (size_t i = 0; i < all.size() && !codes_are_places(format); ++i) CHECK(all[i] == -all[all.size() - 1 - i]);
  }
  CHECK(max_value(Format::e4m3) == 448);
  CHECK(max_value(Format::e5m2) == 57344);
  CHECK(max_value(Format::e3m2) == 28);
  CHECK(max_value(minifloat(3, 4)) == 31);
  CHECK(max_value(minifloat(5, 10)) == 65504);
  CHECK(levels(minifloat(2, 0)) == std::vector<double>{-4, -2, -1, 0, 1, 2, 4});
}

TEST_CASE("format: every level is a fixed point and its own code, under every rounding") {
  for (const Format format : all_formats()) {
    CAPTURE(name_of(format));
    const StepRange range = with_step(format, 0.25);
    const std::vector<double> all = levels(format);
    const double first = range.code_min;
    size_t moved = 0, miscoded = 0;
    for (const Rounding rounding : all_roundings)
      for (size_t i = 0; i < all.size(); ++i) {
        moved += !(quantize_value(0.25 * all[i], range, rounding, 0.3) == 0.25 * all[i]);
        miscoded += !(code(0.25 * all[i], range, rounding, 0.3) == first + static_cast<double>(i));
      }
    CHECK(moved == 0);
    CHECK(miscoded == 0);
  }
}

TEST_CASE("format: a value goes to a nearest level, stochastically to a neighbour, beyond the last to the last") {
  CHECK(rc::check([] {
    const Format format = *rc::gen::elementOf(all_formats());
    const std::vector<double> all = levels(format);
    const double reach = *rc::gen::element(0.02, 0.3, 1.0, 1.3);
    const double x = reach * max_value(format) * *rc::gen::inRange(-2000, 2001) / 2000.0;
    const StepRange range = with_step(format, 1);
    double nearest = INFINITY;
    for (const double level : all) nearest = std::min(nearest, std::abs(x - level));
    for (const Rounding rounding : {Rounding::nearest_even, Rounding::half_away})
      RC_ASSERT(std::abs(quantize_value(x, range, rounding, 0.5) - x) <= nearest * (1 + 1e-14));
    const double inside = std::clamp(x, all.front(), all.back());
    const auto above = std::lower_bound(all.begin(), all.end(), inside);
    const double high = *above, low = *above == inside ? inside : *(above - 1);
    const double chance = high > low ? (inside - low) / (high - low) : 0;
    const double u = *rc::gen::inRange(0, 1000) / 1000.0 + 0.0001;
    const double drawn = quantize_value(x, range, Rounding::stochastic, u);
    if (std::abs(u - chance) > 1e-9) RC_ASSERT(drawn == (u < chance ? high : low));
  }));
}

TEST_CASE("format: rounding never decreases with x, and is odd except on nf4 and stochastically") {
  CHECK(rc::check([] {
    const Format format = *rc::gen::elementOf(all_formats());
    const Rounding rounding =
        *rc::gen::elementOf(std::vector<Rounding>{all_roundings[0], all_roundings[1], all_roundings[2]});
    const StepRange range = with_step(format, 0.5);
    double previous = -INFINITY;
    for (int i = -150; i <= 150; ++i) {
      const double x = max_value(format) * i / 200.0, y = quantize_value(x, range, rounding, 0.4);
      RC_ASSERT(y >= previous);
      previous = y;
      if (!codes_are_places(format) && rounding != Rounding::stochastic)
        RC_ASSERT(quantize_value(-x, range, rounding, 0.4) == -y);
    }
  }));
}

TEST_CASE("format: exact midpoints go to the even mantissa, on lists as bitsandbytes compares, or away from 0") {
  const auto at = [](double x, Format format, Rounding rounding) {
    return quantize_value(x, with_step(format, 1), rounding, 0.5);
  };
  const double e2m1[][3] = {{0.25, 0, 0.5}, {0.75, 1, 1}, {1.25, 1, 1.5}, {1.75, 2, 2},
                            {2.5, 2, 3},    {3.5, 4, 4},  {5, 4, 6}};
  for (const auto& [x, even, away] : e2m1)
    for (const double sign : {1.0, -1.0}) {
      CHECK(at(sign * x, Format::e2m1, Rounding::nearest_even) == sign * even);
      CHECK(at(sign * x, Format::e2m1, Rounding::half_away) == sign * away);
    }
  CHECK(at(3, minifloat(2, 0), Rounding::nearest_even) == 4);  // no even mantissa: the larger magnitude
  const std::vector<double> nf4 = levels(Format::nf4), fp4 = levels(Format::bnb_fp4);
  for (size_t i = 0; i + 1 < nf4.size(); ++i) {
    const double middle = (nf4[i] + nf4[i + 1]) / 2;
    CHECK(at(middle, Format::nf4, Rounding::nearest_even) == nf4[i]);
    CHECK(at(middle, Format::nf4, Rounding::half_away) == (middle > 0 ? nf4[i + 1] : nf4[i]));
  }
  for (size_t i = 0; i + 1 < fp4.size(); ++i) {
    const double middle = (fp4[i] + fp4[i + 1]) / 2;
    CHECK(at(middle, Format::bnb_fp4, Rounding::nearest_even) == (middle > 0 ? fp4[i] : fp4[i + 1]));
  }
}

TEST_CASE("format: scaling the values by a power of two scales the result exactly [every scale that can follow]") {
  Matrix<double> w(4, 96);
  for (Index i = 0; i < w.size(); ++i) w.data()[i] = normal({5, Domain::test, 0}, static_cast<std::uint64_t>(i));
  for (const Format format : all_formats())
    for (const ScaleKind scale : {ScaleKind::real, ScaleKind::e8m0, ScaleKind::e8m0_ceil, ScaleKind::e4m3_two_level}) {
      if (format == Format::ternary && scale != ScaleKind::real) continue;
      CAPTURE(name_of(format));
      CAPTURE(name_of(scale));
      const Quantizer q{.granularity = Granularity::group, .group = 20, .format = format, .scale = scale};
      CHECK_NOTHROW(q.validate("w"));
      Matrix<double> plain = w, scaled = 0x1p-9 * w;
      fake_quantize<double>(plain, q, 4);
      fake_quantize<double>(scaled, q, 4);
      CHECK(scaled == 0x1p-9 * plain);
    }
}

TEST_CASE("format: the float loop equals quantize_value bit for bit, draws and columns included") {
  for (const Format format :
       {Format::ternary, Format::mxint8, Format::nf4, Format::bnb_fp4, Format::e2m1, Format::e5m2})
    for (const Rounding rounding : all_roundings)
      for (const Granularity granularity : {Granularity::row, Granularity::column}) {
        CAPTURE(name_of(format));
        const Quantizer q{
            .granularity = granularity, .rounding = rounding, .seed = 3, .substream = 8, .format = format};
        Matrix<float> w(9, 77);
        for (Index i = 0; i < w.size(); ++i)
          w.data()[i] = static_cast<float>(normal({6, Domain::test, 0}, static_cast<std::uint64_t>(i)));
        Matrix<float> loop = w, single(9, 77);
        fake_quantize<float>(loop, q, 9);
        const std::vector<StepRange> ranges = step_ranges<float>(w, q, 9);
        for (Index r = 0; r < 9; ++r)
          for (Index c = 0; c < 77; ++c) {
            const double u = uniform({3, Domain::rounding, 8}, static_cast<std::uint64_t>(r * 77 + c));
            const auto number = static_cast<size_t>(granularity == Granularity::row ? r : c);
            single(r, c) = quantize_value(w(r, c), ranges[number], rounding, u);
          }
        CHECK(std::memcmp(loop.data(), single.data(), sizeof(float) * static_cast<size_t>(w.size())) == 0);
      }
}

TEST_CASE("format: ternary has the codes -1, 0, 1 on the mean of |w|, and keeps them under a fixed step only") {
  Matrix<double> w(1, 5);
  w << -3, 1, 0.25, -0.25, 0.5;  // mean 1
  const Quantizer q{.granularity = Granularity::tensor, .format = Format::ternary};
  Matrix<double> once = w;
  std::vector<double> steps;
  fake_quantize<double>(once, q, 1, &steps);
  CHECK(steps == std::vector<double>{1.0});
  CHECK(once == (Matrix<double>(1, 5) << -1, 1, 0, 0, 0).finished());  // 0.5 is a tie, 3 saturates
  Matrix<double> twice = once;
  fake_quantize<double>(twice, q, 1);
  CHECK((twice - once).norm() > 0.5);  // the mean of a ternary row is step·density
  fake_quantize_static<double>(once, with_step(Format::ternary, 1), Rounding::nearest_even);
  CHECK(once == (Matrix<double>(1, 5) << -1, 1, 0, 0, 0).finished());
  Matrix<double> zeros = Matrix<double>::Zero(2, 3);
  fake_quantize<double>(zeros, q, 2, &steps);
  CHECK(zeros.isZero(0));
  CHECK(steps == std::vector<double>{1e-5});
}

TEST_CASE("format: names go both ways, and unknown ones are answered") {
  for (const Format format : all_formats()) CHECK(format_from_name(name_of(format)) == format);
  CHECK(format_from_name("integer") == Format::integer);
  CHECK(format_from_name("e3m4") == minifloat(3, 4));
  CHECK(format_from_name("e5m10") == minifloat(5, 10));
  CHECK(name_of(minifloat(4, 3)) == "e4m3");
  CHECK(minifloat(4, 3) == Format::e4m3);
  for (const char* wrong : {"e1m2", "e9m1", "e4m11", "e4m03", "e4m", "nf5", "fp4", "", "e4mx", "e44m1"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(format_from_name(wrong), OptionError);
  }
  CHECK_THROWS_WITH_AS(format_from_name("nf5"), doctest::Contains("did you mean 'nf4'"), OptionError);
  CHECK_THROWS_AS(minifloat(1, 3), ContractError);
}

}  // namespace
}  // namespace hone::test
