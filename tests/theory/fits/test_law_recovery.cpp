#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/support/near.hpp"
#include "tests/theory/planted/laws.hpp"
#include "theory/fits/joint.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Planted parameters moved by up to a fifth: a start near enough for laws with many parameters.
std::vector<double> moved_start(LawKind kind) {
  std::vector<double> p = planted_parameters(kind);
  for (std::size_t j = 0; j < p.size(); ++j) p[j] *= 1 + 0.1 * (uniform(Stream{9, Domain::test}, j) - 0.5);
  return p;
}

/// Median over seeds of |estimate - planted| / standard error, per parameter; NaN where one seed gave none.
std::vector<double> median_z(LawKind kind, double noise, const FitOptions& options, int seeds) {
  const std::vector<double> p = planted_parameters(kind);
  std::vector<std::vector<double>> z(p.size());
  for (std::uint64_t seed = 0; seed < static_cast<std::uint64_t>(seeds); ++seed) {
    const FitSummary s = fit(kind, planted_rows(kind, p, noise, seed), options);
    for (std::size_t j = 0; j < p.size(); ++j)
      z[j].push_back(s.is_usable() ? std::abs(s.parameters[j] - p[j]) / s.standard_errors[j] : NAN);
  }
  std::vector<double> result;
  for (const auto& list : z) {
    const bool is_clean = std::none_of(list.begin(), list.end(), [](double v) { return std::isnan(v); });
    result.push_back(is_clean ? median(list) : NAN);
  }
  return result;
}

void check_recovery(LawKind kind, double noise, const FitOptions& options = {}, int seeds = 5) {
  const std::vector<double> z = median_z(kind, noise, options, seeds);
  for (std::size_t j = 0; j < z.size(); ++j) {
    if (!options.held.empty() && !std::isnan(options.held[j])) continue;
    CHECK_MESSAGE(z[j] < 2.5, fmt::format("{}: {} is {:.3g} standard errors off", law(kind).name,
                                          law(kind).parameters[j].name, z[j]));
  }
}

}  // namespace

TEST_SUITE("law recovery") {
  TEST_CASE("fit: every law of damage gives back its parameters from noisy rows [median of 5 seeds]") {
    for (const LawKind kind :
         {LawKind::ptq_exponential, LawKind::ptq_bit_power, LawKind::ptq_step, LawKind::ptq_saturating,
          LawKind::sharpness_power, LawKind::sharpness_saturating, LawKind::ptq_saturating_tokens,
          LawKind::sharpness_saturating_tokens, LawKind::ptq_broken, LawKind::ptq_step_saturating,
          LawKind::ptq_step_broken, LawKind::ptq_rate, LawKind::ptq_bit_difference, LawKind::ptq_calibration,
          LawKind::qat_group, LawKind::total_bits})
      check_recovery(kind, 0.05);
  }

  TEST_CASE("fit: losses with and without formats give back their parameters [median of 5 seeds]") {
    check_recovery(LawKind::chinchilla, 1e-3, {});
    check_recovery(LawKind::capybara, 1e-3, {});
  }

  TEST_CASE("fit: each saturation of training bits gives back its scales and offsets [median of 3 seeds]") {
    for (const LawKind kind :
         {LawKind::train_exponential, LawKind::train_additive, LawKind::train_logistic, LawKind::train_tail})
      check_recovery(kind, 1e-3, {.starts = 8}, 3);
  }

  TEST_CASE("fit: the unified loss and the robustified damage give back their parameters from a near start") {
    check_recovery(LawKind::unified, 3e-4, {.start = moved_start(LawKind::unified)}, 3);
    check_recovery(LawKind::ptq_robust, 0.02, {.start = moved_start(LawKind::ptq_robust)}, 3);
  }

  TEST_CASE("fit: rows of the Shannon form are predicted, and its eight parameters are flagged collinear") {
    const auto p = planted_parameters(LawKind::shannon);
    const FitSummary s =
        fit(LawKind::shannon, planted_rows(LawKind::shannon, p, 1e-3, 1), {.start = moved_start(LawKind::shannon)});
    REQUIRE(s.is_usable());
    CHECK(s.rmse_log < 1.3e-3);
    CHECK(s.collinear);
  }
}
