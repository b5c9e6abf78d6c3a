#include "theory/planner/power.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "theory/planner/law_regression.hpp"
#include "theory/questions/rules.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Interval of the exponent of D of a log-linear law, as Q1 and Q2 take it.
template <class Row, class Value>
Interval exponent_interval(LawKind kind, const std::vector<Row>& rows, const Thresholds& thresholds, Value&& value) {
  if (rows.empty()) return {nan, nan, nan, 0};
  const std::vector<RowKey> keys = keys_of(rows);
  std::vector<Observation> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto [y, se, P] = value(rows[i]);
    all.push_back({point_of(rows[i].N, rows[i].D, P), std::log(y), combined_sigma({se / y}, thresholds.fit_scatter),
                   keys[i].cell, keys[i].seed});
  }
  const auto exponent = [&](const std::vector<std::size_t>& sample) {
    std::vector<Observation> drawn;
    for (const std::size_t i : sample) drawn.push_back(all[i]);
    const FitSummary s = fit_linear(kind, drawn, {});
    return std::vector<double>{s.is_usable() && !s.not_identified[1] ? s.parameters[1] : nan};
  };
  return jackknife(keys, exponent, interval_options(thresholds))[0];
}

/// What one world came to: the interval of the number that decides, without finite ends when it has none, and the outcome.
struct Judged {
  Interval interval{nan, nan, nan, 0};
  Outcome outcome = Outcome::inconclusive;
};

void simulate(Power& power, const std::function<Judged(std::uint64_t world)>& judge, const PowerOptions& options) {
  std::vector<double> widths;
  int counts[3] = {0, 0, 0};
  for (int world = 0; world < options.worlds; ++world) {
    if (options.progress) options.progress(fmt::format("{}: world {} of {}", power.id, world + 1, options.worlds));
    const Judged found = judge(static_cast<std::uint64_t>(world));
    const bool is_finite = std::isfinite(found.interval.low) && std::isfinite(found.interval.high);
    if (is_finite) widths.push_back((found.interval.high - found.interval.low) / 2);
    ++counts[static_cast<int>(is_finite ? found.outcome : Outcome::inconclusive)];
  }
  std::sort(widths.begin(), widths.end());
  power.worlds = options.worlds;
  power.half_width = widths.empty() ? nan : widths[widths.size() / 2];
  power.supported = counts[static_cast<int>(Outcome::supported)] / double(options.worlds);
  power.refuted = counts[static_cast<int>(Outcome::refuted)] / double(options.worlds);
  power.inconclusive = counts[static_cast<int>(Outcome::inconclusive)] / double(options.worlds);
}

/// Why a fit cannot speak for a study; empty when it can.
std::string problem_of(const GroupedFit& fit, std::size_t regressor) {
  if (!fit.is_usable()) return "the pilot has too few usable rows";
  if (fit.not_identified.size() > regressor && fit.not_identified[regressor]) return "the pilot has one token count";
  if (fit.scatter.run.freedom == 0) return "the pilot's runs do not repeat, so their scatter is unknown; add seeds";
  return "";
}

Power titled(const char* id, const char* number, std::string threshold, const GroupedFit& fit, std::size_t regressor,
             std::string problem) {
  Power p;
  p.id = id, p.number = number, p.threshold = std::move(threshold), p.problem = std::move(problem);
  p.truth = fit.is_usable() ? fit.coefficients[regressor] : nan;
  p.half_width = p.margin = nan;
  return p;
}

/// Q1 and Q2: in worlds drawn from a power law the exponent alone decides.
Power growth_power(Power p, const GrowthRule& rule, const Thresholds& thresholds,
                   const std::function<Interval(std::uint64_t)>& draw, const PowerOptions& options) {
  if (!p.problem.empty()) return p;
  p.margin = rule.margin(p.truth, thresholds);
  const auto judge = [&](std::uint64_t world) {
    const Interval i = draw(world);
    return Judged{i, rule({i}, thresholds)};
  };
  simulate(p, judge, options);
  return p;
}

Power interval_power(Power p, const IntervalRule& rule, const Thresholds& thresholds,
                     const std::function<Interval(std::uint64_t)>& draw, const PowerOptions& options) {
  if (!p.problem.empty()) return p;
  p.margin = rule.margin(p.truth, thresholds);
  const auto judge = [&](std::uint64_t world) {
    const Interval i = draw(world);
    return Judged{i, rule(i, thresholds)};
  };
  simulate(p, judge, options);
  return p;
}

/// The combinations that decide in one world, by the rule of Q6.
Judged judge_interactions(const std::vector<Interaction>& drawn, const Thresholds& thresholds) {
  CompositionEvidence evidence;
  for (const Combination& c : combinations_of({"WxA", {0, 1}}, drawn, thresholds))
    if (c.decides) evidence.combinations.push_back({c.damage, c.independent});
  if (evidence.combinations.empty()) return {};
  return {evidence.combinations[deciding(evidence, thresholds)].interaction, composition_rule()(evidence, thresholds)};
}

/// Q6, titled by the combination of the pilot that is farthest beyond its band, or nearest to it.
Power composition_power(const Pilot& pilot, const std::vector<PlannedRun>& runs, const Thresholds& thresholds,
                        const PowerOptions& options) {
  Power p;
  p.id = "Q6", p.number = "interaction of weights, activations", p.problem = problem_of(pilot.interaction, 0);
  p.truth = p.half_width = p.margin = nan;
  if (!p.problem.empty()) return p;
  CompositionEvidence truth;
  for (const Interaction& i : pilot.combinations)
    truth.combinations.push_back({{i.damage, i.damage, i.damage, 0, 1.0}, i.independent});
  const std::size_t first = deciding(truth, thresholds);
  const double band = band_of(truth.combinations[first], thresholds);
  p.truth = pilot.combinations[first].damage;
  p.number = "interaction in " + Sites{"WxA", {0, 1}}.label(pilot.combinations[first].bits);
  p.threshold = fmt::format("0 ± {:.2g}", band);
  p.margin = std::abs(band - std::abs(p.truth));
  const auto judge = [&](std::uint64_t world) {
    return judge_interactions(draw_interactions(pilot, runs, thresholds, world), thresholds);
  };
  simulate(p, judge, options);
  return p;
}

Interval slope_interval(const std::vector<PtqRow>& rows, const Thresholds& thresholds) {
  Dropped dropped;
  Table table;
  table.ptq = rows;
  const PredictionRows p = prediction_rows(table, thresholds, dropped);
  if (p.rows.empty()) return {nan, nan, nan, 0};
  const auto line = [&](const std::vector<std::size_t>& sample) {
    return std::vector<double>{regress({p.log_predicted}, p.log_delta, p.sigma, sample)[1]};
  };
  return jackknife(p.keys, line, interval_options(thresholds))[0];
}

}  // namespace

std::vector<Power> expected_power(const Pilot& pilot, const std::vector<PlannedRun>& runs, const Thresholds& thresholds,
                                  const PowerOptions& options) {
  const auto damage = [&](std::uint64_t world) {
    Dropped dropped;
    const auto rows = select_damage(draw_damage(pilot, runs, world), is_main_trunk, thresholds, dropped);
    return exponent_interval(LawKind::ptq_exponential, rows, thresholds,
                             [](const PtqRow& r) { return std::tuple(r.delta, r.delta_se, r.P); });
  };
  const auto trace = [&](std::uint64_t world) {
    return exponent_interval(LawKind::sharpness_power, draw_traces(pilot, runs, world), thresholds,
                             [](const SharpnessRow& r) { return std::tuple(r.trace, r.trace_se, 0.0); });
  };
  const auto slope = [&](std::uint64_t world) {
    return slope_interval(draw_predicted(pilot, runs, world), thresholds);
  };
  std::string slope_problem = problem_of(pilot.ratio, 0);
  if (slope_problem.empty()) slope_problem = problem_of(pilot.predicted, 0);
  const GrowthRule &of_damage = damage_growth_rule(), &of_trace = sharpness_growth_rule();
  const IntervalRule& of_slope = prediction_rule();
  return {growth_power(titled("Q1", "gamma_D of the damage", of_damage.bar(thresholds), pilot.damage, 1,
                              problem_of(pilot.damage, 0)),
                       of_damage, thresholds, damage, options),
          growth_power(titled("Q2", "gamma_D of the trace", of_trace.bar(thresholds), pilot.trace, 1,
                              problem_of(pilot.trace, 0)),
                       of_trace, thresholds, trace, options),
          interval_power(titled("Q3", "slope of ln damage on ln prediction", of_slope.bar(thresholds), pilot.ratio, 1,
                                slope_problem),
                         of_slope, thresholds, slope, options),
          composition_power(pilot, runs, thresholds, options)};
}

}  // namespace hone::theory
