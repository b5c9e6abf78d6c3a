#include <rapidcheck.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"
#include "theory/fits/fit.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Rows of a law on a 3 x 6 grid with `bits` levels and normal noise of ln y.
std::vector<Observation> rows_of(LawKind kind, const std::vector<double>& p, double noise, std::uint64_t seed,
                                 const std::vector<double>& bits) {
  std::vector<Observation> rows;
  std::int64_t cell = 0;
  for (const double n : {3e4, 1e5, 3e5})
    for (const double d : {1e6, 3e6, 1e7, 3e7, 1e8, 3e8}) {
      for (const double b : bits) {
        const Point x{n, d, b};
        const double z = normal(Stream{seed, Domain::test}, rows.size());
        rows.push_back({x, std::log(predict(kind, p, x)) + noise * z, std::max(noise, 0.01), cell, 0});
      }
      ++cell;
    }
  return rows;
}

}  // namespace

TEST_SUITE("fit") {
  TEST_CASE("fit_linear: exact rows give back any planted parameters and R2 of 1") {
    CHECK(rc::check([] {
      const auto gd = *rc::gen::inRange(-100, 200), gn = *rc::gen::inRange(-100, 200), k = *rc::gen::inRange(50, 400);
      const std::vector<double> p{-3, gd / 100.0, gn / 100.0, k / 100.0};
      const auto s = fit_linear(LawKind::ptq_exponential, rows_of(LawKind::ptq_exponential, p, 0, 0, {3, 4, 5}), {});
      RC_ASSERT(s.stop == Stop::solved);
      for (std::size_t j = 0; j < 4; ++j) RC_ASSERT(test::near(s.parameters[j], p[j], 1e-9, 1e-9));
      RC_ASSERT(test::near(s.r2, 1, 1e-9));
    }));
  }

  TEST_CASE("fit_linear: standardized errors of the exponents have unit variance [400 noisy samples]") {
    const std::vector<double> p{-3, 0.5, 0.35, 1.6};
    double squares = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
      const auto s =
          fit_linear(LawKind::ptq_exponential, rows_of(LawKind::ptq_exponential, p, 0.2, seed, {3, 4, 5}), {});
      const double z = (s.parameters[1] - p[1]) / s.standard_errors[1];
      squares += z * z;
    }
    CHECK_NEAR(squares / 400, 1, 0.25, 0);
  }

  TEST_CASE("fit_linear: D proportional to N is rank_deficient, without numbers") {
    std::vector<Observation> rows;
    for (const double n : {1e4, 2e4, 5e4, 1e5, 3e5, 1e6})
      rows.push_back({{n, 20 * n, 4}, std::log(n), 0.1, static_cast<std::int64_t>(rows.size()), 0});
    const auto s = fit_linear(LawKind::sharpness_power, rows, {});
    CHECK(s.stop == Stop::rank_deficient);
    CHECK_FALSE(s.is_usable());
    CHECK(std::isnan(s.parameters[1]));
  }

  TEST_CASE("fit_linear: a token count that is not finite ends as failed") {
    auto rows = rows_of(LawKind::sharpness_power, {1, 0.5, 0.3}, 0, 0, {4});
    rows[0].point.D = NAN;
    CHECK(fit_linear(LawKind::sharpness_power, rows, {}).stop == Stop::failed);
  }

  TEST_CASE(
      "fit_linear: D nearly proportional to N raises the collinearity flag, a factorial grid does "
      "not") {
    std::vector<Observation> rows;
    for (const double n : {1e4, 2e4, 5e4, 1e5, 3e5, 1e6}) {
      const double wobble = rows.size() % 2 == 0 ? 1.02 : 0.98;
      rows.push_back({{n, 20 * n * wobble, 4}, std::log(n), 0.1, 0, 0});
    }
    const auto s = fit_linear(LawKind::sharpness_power, rows, {});
    CHECK(s.stop == Stop::solved);
    CHECK(s.collinear);
    CHECK(s.condition > 30);
    const auto grid =
        fit_linear(LawKind::sharpness_power, rows_of(LawKind::sharpness_power, {0, 0.5, 0.3}, 0.1, 0, {4}), {});
    CHECK_FALSE(grid.collinear);
    CHECK_NEAR(grid.condition, 1, 1e-6, 0);
  }

  TEST_CASE("fit_linear: a single model size leaves gamma_N not identified and gamma_D intact") {
    auto rows = rows_of(LawKind::sharpness_power, {1, 0.5, 0.3}, 0, 0, {4});
    std::erase_if(rows, [](const Observation& o) { return o.point.N != 1e5; });
    const auto s = fit_linear(LawKind::sharpness_power, rows, {});
    CHECK(s.stop == Stop::solved);
    CHECK(s.not_identified[2]);
    CHECK_FALSE(s.not_identified[1]);
    CHECK_NEAR(s.parameters[1], 0.5, 1e-9, 0);
    CHECK(std::isnan(s.standard_errors[2]));
  }

  TEST_CASE("fit: as many rows as parameters is too_few_rows, for both mechanisms") {
    auto rows = rows_of(LawKind::sharpness_power, {1, 0.5, 0.3}, 0, 0, {4});
    rows.resize(3);
    CHECK(fit(LawKind::sharpness_power, rows, {}).stop == Stop::too_few_rows);
    CHECK(fit(LawKind::sharpness_saturating, rows, {}).stop == Stop::too_few_rows);
  }

  TEST_CASE("fit_linear: a row of small log_sigma pulls the line to itself") {
    auto rows = rows_of(LawKind::sharpness_power, {1, 0.5, 0.3}, 0, 0, {4});
    rows[0].log_y += 1;
    const double loose = fit_linear(LawKind::sharpness_power, rows, {}).rmse_log;
    rows[0].log_sigma = 1e-6;
    const auto s = fit_linear(LawKind::sharpness_power, rows, {});
    const double error = rows[0].log_y - std::log(predict(LawKind::sharpness_power, s.parameters, rows[0].point));
    CHECK(std::abs(error) < 1e-6);
    CHECK(s.rmse_log > loose);
  }

  TEST_CASE("fit_nonlinear: exact rows of the saturating law give back its parameters") {
    const std::vector<double> p{-2, 0.35, std::log(300.0), 0.8, 1.6};
    const auto s = fit(LawKind::ptq_saturating, rows_of(LawKind::ptq_saturating, p, 0, 0, {3, 4, 5}), {});
    CHECK(s.stop == Stop::converged);
    for (std::size_t j = 0; j < p.size(); ++j) CHECK_NEAR(s.parameters[j], p[j], 1e-5, 0);
    for (const bool is_at_bound : s.at_bound) CHECK_FALSE(is_at_bound);
  }

  TEST_CASE("fit_nonlinear: exact rows of the Chinchilla law give back Kumar's constants") {
    const auto p = kumar_chinchilla_parameters();
    const auto s = fit(LawKind::chinchilla, rows_of(LawKind::chinchilla, p, 0, 0, {16}), {});
    CHECK(s.is_usable());
    CHECK(s.rmse_log < 1e-6);
    CHECK_NEAR(s.parameters[1], p[1], 1e-3, 0);
    CHECK_NEAR(s.parameters[3], p[3], 1e-3, 0);
  }

  TEST_CASE("fit_nonlinear: rows of a pure power put the plateau at its bound and say so") {
    const auto rows = rows_of(LawKind::sharpness_power, {0, 0.5, 0.5}, 0, 0, {4});
    const auto s = fit(LawKind::sharpness_saturating, rows, {});
    CHECK(s.is_usable());
    CHECK(s.rmse_log < 0.02);
    CHECK(s.at_bound[2]);
  }

  TEST_CASE("fit_nonlinear: the Huber loss keeps one wild row from moving the exponent") {
    const std::vector<double> p{1, 0.3, std::log(300.0), 0.8};
    auto rows = rows_of(LawKind::sharpness_saturating, p, 0.02, 3, {4});
    rows[4].log_y += 5;
    const auto robust = fit(LawKind::sharpness_saturating, rows, {});
    const auto square = fit(LawKind::sharpness_saturating, rows, {.huber_scale = 1e6});
    CHECK(std::abs(robust.parameters[3] - 0.8) < 0.02);
    CHECK(std::abs(square.parameters[3] - 0.8) > 0.05);
  }

  TEST_CASE("fit_nonlinear: one iteration is not enough, and the summary says so") {
    const std::vector<double> p{1, 0.3, std::log(300.0), 0.8};
    const auto rows = rows_of(LawKind::sharpness_saturating, p, 0.02, 3, {4});
    CHECK(fit(LawKind::sharpness_saturating, rows, {.iterations_max = 1}).stop == Stop::iterations_used_up);
  }

  TEST_CASE("fit_nonlinear: rows that are not finite end as failed") {
    auto rows = rows_of(LawKind::sharpness_power, {0, 0.5, 0.5}, 0, 0, {4});
    for (auto& o : rows) o.log_y = NAN;
    const auto s = fit(LawKind::sharpness_saturating, rows, {.starts = 1});
    CHECK(s.stop == Stop::failed);
    CHECK(std::isnan(s.parameters[0]));
  }

  TEST_CASE("fit_nonlinear: equal calls give equal bits, and a warm start reaches the same optimum") {
    const std::vector<double> p{1, 0.3, std::log(300.0), 0.8};
    const auto rows = rows_of(LawKind::sharpness_saturating, p, 0.1, 5, {4});
    const auto a = fit(LawKind::sharpness_saturating, rows, {});
    const auto b = fit(LawKind::sharpness_saturating, rows, {});
    CHECK(a.parameters == b.parameters);
    const auto warm = fit(LawKind::sharpness_saturating, rows, {.start = p});
    CHECK_NEAR(warm.cost, a.cost, 1e-8, 0);
  }

  TEST_CASE("fit_linear: a nonlinear law and a log_sigma of zero are contract errors") {
    auto rows = rows_of(LawKind::sharpness_power, {0, 0.5, 0.5}, 0, 0, {4});
    CHECK_THROWS_AS(fit_linear(LawKind::chinchilla, rows, {}), ContractError);
    rows[0].log_sigma = 0;
    CHECK_THROWS_AS(fit_linear(LawKind::sharpness_power, rows, {}), ContractError);
  }

  TEST_CASE(
      "held_out_error: the law that made the rows predicts left-out cells best, noise sets the "
      "floor") {
    const std::vector<double> bits{3, 4, 5, 6};
    const auto rows = rows_of(LawKind::ptq_exponential, {-3, 0.5, 0.35, 1.6}, 0.05, 11, bits);
    const HeldOut right = held_out_error(LawKind::ptq_exponential, rows, {});
    const HeldOut wrong = held_out_error(LawKind::ptq_bit_power, rows, {});
    CHECK(right.cells == 18);
    CHECK(right.failures == 0);
    CHECK(right.rmse_log > 0.035);
    CHECK(right.rmse_log < 0.07);
    CHECK(wrong.rmse_log > 1.5 * right.rmse_log);
  }

  TEST_CASE("held_out_error: rows of a plateau are predicted better by the saturating law") {
    const auto rows = rows_of(LawKind::sharpness_saturating, {1, 0.3, std::log(100.0), 0.8}, 0.03, 2, {4});
    CHECK(held_out_error(LawKind::sharpness_saturating, rows, {}).rmse_log <
          0.5 * held_out_error(LawKind::sharpness_power, rows, {}).rmse_log);
  }
}
