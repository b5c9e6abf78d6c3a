#include <fmt/format.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "tests/theory/planted/laws.hpp"
#include "theory/fits/joint.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Rows of the exponential law for two models that share slopes but not the constant.
std::vector<Observation> two_models(double noise, std::uint64_t seed) {
  std::vector<Observation> rows;
  for (const std::int64_t model : {1, 2})
    for (Observation o :
         planted_rows(LawKind::ptq_exponential, {-3.0 - double(model), 0.5, 0.35, 1.6}, noise, seed + 10 * model)) {
      o.point.model = model;
      rows.push_back(o);
    }
  return rows;
}

const GroupOf by_model = [](const Observation& o) { return o.point.model; };

}  // namespace

TEST_SUITE("joint fit") {
  TEST_CASE("fit_joint: one law alone gives the bits of fit_nonlinear") {
    const auto rows = planted_rows(LawKind::sharpness_saturating, {1, 0.3, std::log(300.0), 0.8}, 0.05, 1);
    const Solution joint = fit_joint(one_law(LawKind::sharpness_saturating, rows), {});
    const FitSummary alone = fit_nonlinear(LawKind::sharpness_saturating, rows, {});
    CHECK(joint.parameters == alone.parameters);
    CHECK(joint.standard_errors == alone.standard_errors);
  }

  TEST_CASE("fit_joint: nothing shared gives the separate fits, all shared gives the pooled fit") {
    const auto rows = two_models(0.05, 3);
    const FitOptions square{.huber_scale = 1e6};
    const JointProblem apart = by_group(LawKind::ptq_exponential, rows, by_model, {});
    REQUIRE(apart.parameters.size() == 8);
    const Solution both = fit_joint(apart, square);
    for (const std::int64_t model : {1, 2}) {
      std::vector<Observation> own;
      for (const Observation& o : rows)
        if (o.point.model == model) own.push_back(o);
      const FitSummary alone = fit_linear(LawKind::ptq_exponential, own, square);
      for (std::size_t j = 0; j < 4; ++j)
        CHECK_NEAR(both.parameters[4 * static_cast<std::size_t>(model - 1) + j], alone.parameters[j], 1e-6, 1e-7);
    }
    const Solution pooled = fit_joint(
        by_group(LawKind::ptq_exponential, rows, by_model, {"ln C", "gamma_D", "gamma_N", "1/gamma_post"}), square);
    const FitSummary whole = fit_linear(LawKind::ptq_exponential, rows, square);
    for (std::size_t j = 0; j < 4; ++j) CHECK_NEAR(pooled.parameters[j], whole.parameters[j], 1e-6, 1e-7);
  }

  TEST_CASE("fit_joint: shared slopes come back with one constant per model, and tighter than from one model") {
    const auto rows = two_models(0.05, 5);
    const JointProblem problem =
        by_group(LawKind::ptq_exponential, rows, by_model, {"gamma_D", "gamma_N", "1/gamma_post"});
    REQUIRE(problem.parameters.size() == 5);
    const Solution s = fit_joint(problem, {});
    const std::pair<const char*, double> planted[] = {
        {"ln C[1]", -4}, {"ln C[2]", -5}, {"gamma_D", 0.5}, {"gamma_N", 0.35}, {"1/gamma_post", 1.6}};
    for (const auto& [name, value] : planted) {
      const std::size_t g = place_of(problem, name);
      CHECK_MESSAGE(std::abs(s.parameters[g] - value) < 3 * s.standard_errors[g], name);
    }
    const Solution one = fit_joint(by_group(LawKind::ptq_exponential, rows, by_model, {}), {});
    CHECK(s.standard_errors[place_of(problem, "gamma_D")] < 0.85 * one.standard_errors[1]);
  }

  TEST_CASE("fit_joint: one line per precision in total bits gives each precision its own slope and constant") {
    std::vector<Observation> rows;
    for (const Observation& o : planted_rows(LawKind::total_bits, {3, 0.15}, 0.01, 1)) {
      rows.push_back(o);
      const double slope = 0.05 * o.point.P,
                   noise = o.log_y - std::log(predict(LawKind::total_bits, {3, 0.15}, o.point));
      rows.back().log_y = std::log(predict(LawKind::total_bits, {o.point.P, slope}, o.point)) + noise;
    }
    const JointProblem problem =
        by_group(LawKind::total_bits, rows, [](const Observation& o) { return std::llround(o.point.P); }, {});
    const Solution s = fit_joint(problem, {});
    for (const int bits : {3, 4, 5, 6}) {
      const std::size_t c = place_of(problem, fmt::format("c[{}]", bits)),
                        a = place_of(problem, fmt::format("a[{}]", bits));
      CHECK(std::abs(s.parameters[c] - bits) < 3 * s.standard_errors[c]);
      CHECK(std::abs(s.parameters[a] - 0.05 * bits) < 3 * s.standard_errors[a]);
    }
    CHECK_THROWS_AS(by_group(LawKind::total_bits, rows, by_model, {"gamma_D"}), ContractError);
    CHECK_THROWS_AS(place_of(problem, "a[7]"), ContractError);
  }

  TEST_CASE("fit_joint: two laws share the scales of N_eff; damage rows add to what losses say") {
    const auto losses =
        planted_rows(LawKind::train_exponential, planted_parameters(LawKind::train_exponential), 1e-3, 2);
    const auto damage = planted_rows(LawKind::ptq_robust, planted_parameters(LawKind::ptq_robust), 0.02, 3);
    JointProblem problem = one_law(LawKind::train_exponential, losses);
    JointPart part{LawKind::ptq_robust, damage, {}};
    std::vector<double> start = planted_parameters(LawKind::train_exponential);
    for (std::size_t j = 0; j < law(LawKind::ptq_robust).parameters.size(); ++j) {
      const Parameter& p = law(LawKind::ptq_robust).parameters[j];
      if (j >= 7) {
        part.place.push_back(place_of(problem, p.name));
        continue;
      }
      part.place.push_back(problem.parameters.size());
      problem.parameters.push_back(p);
      start.push_back(planted_parameters(LawKind::ptq_robust)[j]);
    }
    problem.parts.push_back(part);
    for (double& v : start) v *= 1.03;
    const Solution s = fit_joint(problem, {.start = start});
    REQUIRE(s.is_usable());
    const std::size_t g = place_of(problem, "gamma_w");
    CHECK(std::abs(s.parameters[g] - 2.67) < 3 * s.standard_errors[g]);
    CHECK(std::abs(s.parameters[place_of(problem, "gamma_D")] - 0.5) <
          3 * s.standard_errors[place_of(problem, "gamma_D")]);
    const Solution alone = fit_joint(one_law(LawKind::train_exponential, losses),
                                     {.start = planted_parameters(LawKind::train_exponential)});
    CHECK(s.standard_errors[g] < alone.standard_errors[5]);
  }

  TEST_CASE("tied: equal exponents become one parameter, known to within its error") {
    const auto rows = planted_rows(LawKind::chinchilla, kumar_chinchilla_parameters(), 1e-3, 4);
    const JointProblem problem = tied(one_law(LawKind::chinchilla, rows), "alpha", "beta");
    REQUIRE(problem.parameters.size() == 4);
    const Solution s = fit_joint(problem, {});
    CHECK(std::abs(s.parameters[1] - 0.4965) < 3 * s.standard_errors[1]);
    CHECK(tied(one_law(LawKind::chinchilla, rows), "beta", "alpha").parts[0].place ==
          std::vector<std::size_t>{0, 2, 1, 2, 3});
    CHECK_THROWS_AS(tied(problem, "alpha", "beta"), ContractError);
    CHECK_THROWS_AS(tied(problem, "alpha", "alpha"), ContractError);
  }

  TEST_CASE("held: offsets held at 0 stay there, take no error, and nest the printed form") {
    auto p = planted_parameters(LawKind::train_exponential);
    for (std::size_t j = 6; j < 11; j += 2) p[j] = 0;
    const auto rows = planted_rows(LawKind::train_exponential, p, 1e-3, 1);
    std::vector<double> held(11, NAN);
    for (std::size_t j = 6; j < 11; j += 2) held[j] = 0;
    auto start = p;
    for (double& v : start) v = 1.02 * v + 0.01;
    const FitSummary plain = fit(LawKind::train_exponential, rows, {.start = start, .held = held});
    const FitSummary offset = fit(LawKind::train_exponential, rows, {.start = start});
    REQUIRE(plain.is_usable());
    CHECK(plain.free_count() == 8);
    for (std::size_t j = 6; j < 11; j += 2) {
      CHECK(plain.parameters[j] == 0);
      CHECK(plain.is_held[j]);
      CHECK(std::isnan(plain.standard_errors[j]));
    }
    CHECK(offset.cost <= plain.cost);
    CHECK(plain.standard_errors[5] < offset.standard_errors[5]);
    CHECK(std::abs(plain.parameters[5] - p[5]) < 3 * plain.standard_errors[5]);
  }

  TEST_CASE("held: a log-linear law with its exponent held is the fit of the rest") {
    const auto rows = planted_rows(LawKind::sharpness_power, {1, 0.5, 0.3}, 0.05, 1);
    const FitSummary s = fit(LawKind::sharpness_power, rows, {.huber_scale = 1e6, .held = {NAN, 0.5, NAN}});
    auto shifted = rows;
    for (Observation& o : shifted) o.log_y -= 0.5 * std::log(o.point.D), o.point.D = 1e6;
    const FitSummary rest = fit_linear(LawKind::sharpness_power, shifted, {});
    CHECK(s.parameters[1] == 0.5);
    CHECK_NEAR(s.parameters[2], rest.parameters[2], 1e-6, 0);
    CHECK_THROWS_AS(fit(LawKind::sharpness_power, rows, {.held = {NAN, 0.5}}), ContractError);
  }

  TEST_CASE("identifiability: without quantized activations their scale is not identified, that of weights is") {
    auto rows = planted_rows(LawKind::train_exponential, planted_parameters(LawKind::train_exponential), 1e-3, 1);
    std::erase_if(rows, [](const Observation& o) { return std::isfinite(o.point.P_a) || std::isfinite(o.point.P_kv); });
    const FitSummary s =
        fit(LawKind::train_exponential, rows, {.start = planted_parameters(LawKind::train_exponential)});
    for (std::size_t j = 7; j < 11; ++j) {
      CHECK(s.not_identified[j]);
      CHECK(std::isnan(s.standard_errors[j]));
    }
    CHECK_FALSE(s.not_identified[5]);
    CHECK(std::isfinite(s.standard_errors[5]));
  }

  TEST_CASE("raw scale: a damage of zero or below is a value to fit, for a law of logs it is not") {
    auto rows = planted_rows(LawKind::ptq_robust, planted_parameters(LawKind::ptq_robust), 0.02, 1);
    rows.push_back(raw_observation(rows[0].point, -1e-3, 1, 99, 0));
    const FitSummary s = fit(LawKind::ptq_robust, rows, {.start = planted_parameters(LawKind::ptq_robust)});
    CHECK(s.is_usable());
    CHECK(fit(LawKind::ptq_exponential, rows, {}).stop == Stop::failed);
    const Observation o = raw_observation({1, 1, 4}, 2, 0.1, 0, 0);
    CHECK_NEAR(o.log_sigma, 0.05, 1e-15, 0);
    CHECK(target_of(Scale::raw, o).sigma == 0.1);
    CHECK(target_of(Scale::raw, Observation{{1, 1, 4}, 0, 0.3, 0, 0}).sigma == 0.3);
  }
}
