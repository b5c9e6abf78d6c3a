#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "tests/theory/planted/laws.hpp"
#include "theory/fits/held_out.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

std::vector<Observation> rows_of(LawKind kind, double noise, std::uint64_t seed) {
  return planted_rows(kind, planted_parameters(kind), noise, seed);
}

}  // namespace

TEST_SUITE("model choice") {
  TEST_CASE("aicc: the law that made the rows has the least, and a nested one pays for each parameter it adds") {
    const auto rows = rows_of(LawKind::ptq_exponential, 0.05, 1);
    const auto of = [&](LawKind kind) { return aicc(fit(kind, rows, {}), rows); };
    CHECK(of(LawKind::ptq_exponential) < of(LawKind::ptq_bit_power) - 10);
    CHECK(of(LawKind::ptq_exponential) < of(LawKind::ptq_step) - 10);
    CHECK(of(LawKind::ptq_exponential) < of(LawKind::ptq_broken) + 2);
  }

  TEST_CASE("aicc: closed form on five rows of a constant, scaled by the units of y as a density is") {
    std::vector<Observation> rows;
    for (const double z : {-1.0, 0.0, 1.0, 2.0, -2.0}) {
      Observation o;
      o.point = {1e5, 1e6, 4}, o.log_y = z, o.log_sigma = 0.5;
      rows.push_back(o);
    }
    FitSummary s = fit(LawKind::ptq_calibration, rows, {});
    REQUIRE(s.free_count() == 1);
    const double k = 2, n = 5;
    CHECK_NEAR(aicc(s, rows),
               n * std::log(10 / 0.25 / n) + 2 * n * std::log(0.5) + 2 * k + 2 * k * (k + 1) / (n - k - 1), 1e-12, 0);
    auto scaled = rows;
    for (Observation& o : scaled) o.log_y += std::log(10.0);
    CHECK_NEAR(aicc(fit(LawKind::ptq_calibration, scaled, {}), scaled) - aicc(s, rows), 2 * n * std::log(10.0), 1e-9,
               0);
    rows.resize(2);
    CHECK(std::isnan(aicc(s, rows)));
  }

  TEST_CASE("splits: each row is fitted or predicted once, by the stated limit") {
    const auto rows = rows_of(LawKind::ptq_exponential, 0, 1);
    const Split by_bits = split_by_bits(rows, 4, 5), by_size = split_by_size(rows, 1e5),
                by_tokens = split_by_overtraining(rows, 100);
    for (const Split& s : {by_bits, by_size, by_tokens}) CHECK(s.fitted.size() + s.predicted.size() == rows.size());
    CHECK(by_bits.fitted.size() == rows.size() / 2);
    for (const Observation& o : by_size.predicted) CHECK(o.point.N == 3e5);
    for (const Observation& o : by_tokens.fitted) CHECK(o.point.D <= 100 * o.point.N);
    CHECK_FALSE(by_tokens.predicted.empty());
  }

  TEST_CASE("extrapolate: beyond the fitted bits the true law stays at the noise, the power of bits errs one way") {
    const auto rows = rows_of(LawKind::ptq_exponential, 0.03, 3);
    const Split split = split_by_bits(rows, 3, 4.5);
    const Extrapolation right = extrapolate(LawKind::ptq_exponential, split, {}, Scale::log);
    const Extrapolation wrong = extrapolate(LawKind::ptq_bit_power, split, {}, Scale::log);
    CHECK(right.n == static_cast<int>(rows.size() / 2));
    CHECK(right.rmse < 0.06);
    CHECK(wrong.rmse > 0.3);
    CHECK(wrong.bias < -0.3);  // a power of P predicts too much damage at many bits
  }

  TEST_CASE("extrapolate: a plateau fitted below it is missed by the power law at high D/N, downwards") {
    const auto rows = rows_of(LawKind::sharpness_saturating, 0.02, 3);
    const Split split = split_by_overtraining(rows, 300);
    const Extrapolation power = extrapolate(LawKind::sharpness_power, split, {}, Scale::log);
    CHECK(power.bias < -0.3);
    CHECK(extrapolate(LawKind::sharpness_saturating, split, {}, Scale::log).rmse < 0.5 * power.rmse);
    CHECK(std::isnan(extrapolate(LawKind::sharpness_power, {}, {}, Scale::log).rmse));
  }

  TEST_CASE("held_out_rows: their mean square is held_out_error, and laws of both scales share one scale") {
    const auto rows = rows_of(LawKind::ptq_exponential, 0.05, 4);
    const auto errors = held_out_rows(LawKind::ptq_exponential, rows, {}, Scale::log);
    double squares = 0;
    for (const double e : errors) squares += e * e;
    CHECK_NEAR(held_out_error(LawKind::ptq_exponential, rows, {}).rmse_log,
               std::sqrt(squares / static_cast<double>(rows.size())), 1e-12, 0);
    const auto raw = held_out_rows(LawKind::ptq_exponential, rows, {}, Scale::raw);
    for (std::size_t i = 0; i < rows.size(); ++i)
      CHECK_NEAR(raw[i], std::exp(rows[i].log_y) * (1 - std::exp(-errors[i])), 1e-9, 1e-15);
  }

  TEST_CASE("nested_choice: picks the law of the rows in every cell, its error is that of the law alone") {
    const auto rows = rows_of(LawKind::ptq_exponential, 0.05, 5);
    const std::vector<LawKind> laws{LawKind::ptq_bit_power, LawKind::ptq_exponential, LawKind::ptq_step};
    const NestedChoice choice = nested_choice(laws, rows, {}, Scale::log);
    CHECK(choice.cells == 18);
    CHECK(choice.failures == 0);
    CHECK(choice.chosen == std::vector<int>{0, 18, 0});
    CHECK_NEAR(choice.rmse, held_out_error(LawKind::ptq_exponential, rows, {}).rmse_log, 1e-12, 0);
    CHECK_THROWS_AS(nested_choice({}, rows, {}, Scale::log), ContractError);
  }

  TEST_CASE("nested_choice: between forms that the rows cannot tell apart the honest error is no less than the best") {
    const auto rows = rows_of(LawKind::ptq_step, 0.3, 6);
    const std::vector<LawKind> laws{LawKind::ptq_exponential, LawKind::ptq_bit_power, LawKind::ptq_step};
    const NestedChoice choice = nested_choice(laws, rows, {}, Scale::log);
    double best = INFINITY;
    for (const LawKind kind : laws) best = std::min(best, held_out_error(kind, rows, {}).rmse_log);
    CHECK(choice.rmse >= best * (1 - 1e-12));
  }

  TEST_CASE("contrast_forms: a wrong form is told apart from the right one, and the sign follows the order") {
    const auto rows = rows_of(LawKind::ptq_exponential, 0.05, 7);
    const FormContrast c = contrast_forms(LawKind::ptq_exponential, LawKind::ptq_bit_power, rows, {}, {}, Scale::log);
    CHECK_FALSE(c.is_equal);
    CHECK(c.difference.high < 0);
    CHECK(c.rows == static_cast<int>(rows.size()));
    const FormContrast back =
        contrast_forms(LawKind::ptq_bit_power, LawKind::ptq_exponential, rows, {}, {}, Scale::log);
    CHECK(back.difference.low > 0);
    CHECK_NEAR(back.difference.estimate, -c.difference.estimate, 1e-12, 0);
  }

  TEST_CASE("contrast_forms: with noise beyond their difference two forms are equal, a form equals itself exactly") {
    const auto rows = rows_of(LawKind::ptq_exponential, 1.5, 8);
    CHECK(contrast_forms(LawKind::ptq_exponential, LawKind::ptq_bit_power, rows, {}, {}, Scale::log).is_equal);
    const FormContrast same =
        contrast_forms(LawKind::ptq_exponential, LawKind::ptq_exponential, rows, {}, {}, Scale::log);
    CHECK(same.is_equal);
    CHECK(same.difference.estimate == 0);
    const FormContrast none = contrast_forms(LawKind::ptq_exponential, LawKind::ptq_bit_power,
                                             {rows.begin(), rows.begin() + 2}, {}, {}, Scale::log);
    CHECK(none.is_equal);
    CHECK(none.rows == 0);
  }
}
