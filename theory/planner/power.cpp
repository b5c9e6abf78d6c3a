#include "theory/planner/power.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "theory/planner/law_regression.hpp"
#include "theory/questions/q6_interactions.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Normal draws of one world, each taken once.
class Draws {
 public:
  explicit Draws(std::uint64_t world) : stream_{world, Domain::synthetic, 1u << 30} {}
  double normal(double sd) { return sd * hone::normal(stream_, count_++); }

 private:
  Stream stream_;
  std::uint64_t count_ = 0;
};

/// A row of the given kind for every checkpoint of every run, its subject filled in.
template <class Row>
Row row_of(const PlannedRun& run, double tokens) {
  Row row;
  row.run = fmt::format("{} s{}", run.model, run.seed), row.architecture = "transformer", row.model = run.model;
  row.seed = run.seed, row.N = run.N, row.D = tokens, row.variant = "trunk";
  return row;
}

/// Calls visit(run, tokens, shared) for every checkpoint, `shared` being what its rows deviate together.
template <class Visit>
void visit_checkpoints(const std::vector<PlannedRun>& runs, const Scatter& scatter, Draws& draws, Visit&& visit) {
  for (const PlannedRun& run : runs) {
    const double of_run = draws.normal(scatter.run.sd);
    for (const double tokens : run.tokens) visit(run, tokens, of_run + draws.normal(scatter.checkpoint.sd));
  }
}

/// The pilot's row of the nearest bits, and of these the nearest damage: its errors are a drawn row's.
const PtqRow& nearest_row(const Pilot& pilot, double P, double log_delta) {
  const auto distance = [&](const PtqRow& r) {
    return std::pair(std::abs(r.P - P), std::abs(std::log(r.delta) - log_delta));
  };
  return *std::min_element(pilot.rows.begin(), pilot.rows.end(),
                           [&](const PtqRow& a, const PtqRow& b) { return distance(a) < distance(b); });
}

/// Rows of damage around ln delta = `centre` of each row, with the errors of the pilot's.
void measure_damage(PtqRow& row, const Pilot& pilot, double log_delta, Draws& draws) {
  const PtqRow& like = nearest_row(pilot, row.P, log_delta);
  row.delta_se = like.delta_se, row.gradient = like.gradient;
  row.delta = std::exp(log_delta) + draws.normal(like.delta_se);
}

std::vector<PtqRow> draw_damage(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world) {
  std::vector<PtqRow> rows;
  Draws draws(world);
  visit_checkpoints(runs, pilot.damage.scatter, draws, [&](const PlannedRun& run, double tokens, double shared) {
    for (const double P : run.bits) {
      PtqRow row = row_of<PtqRow>(run, tokens);
      row.P = P;
      const double law = pilot.damage.value(regressors(LawKind::ptq_exponential, point_of(run.N, tokens, P)));
      measure_damage(row, pilot, law + shared + draws.normal(pilot.damage.scatter.row.sd), draws);
      rows.push_back(row);
    }
  });
  return rows;
}

/// Rows whose prediction follows the pilot's, and whose damage follows their prediction.
std::vector<PtqRow> draw_predicted(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world) {
  std::vector<PtqRow> rows;
  Draws draws(world);
  visit_checkpoints(runs, pilot.predicted.scatter, draws, [&](const PlannedRun& run, double tokens, double shared) {
    for (const double P : run.bits) {
      PtqRow row = row_of<PtqRow>(run, tokens);
      row.P = P;
      const double law = pilot.predicted.value(regressors(LawKind::ptq_exponential, point_of(run.N, tokens, P)));
      row.predicted = std::exp(law + shared + draws.normal(pilot.predicted.scatter.row.sd));
      rows.push_back(row);
    }
  });
  std::size_t next = 0;
  visit_checkpoints(runs, pilot.ratio.scatter, draws, [&](const PlannedRun& run, double, double shared) {
    for (std::size_t k = 0; k < run.bits.size(); ++k) {
      PtqRow& row = rows[next++];
      const double log_delta = pilot.ratio.value({std::log(row.predicted)}) + shared;
      measure_damage(row, pilot, log_delta + draws.normal(pilot.ratio.scatter.row.sd), draws);
      row.gradient = 0;  // the pilot's ratio is of damage without its first-order term
      const PtqRow& like = nearest_row(pilot, row.P, log_delta);
      row.predicted_se = like.predicted > 0 ? row.predicted * like.predicted_se / like.predicted : nan;
    }
  });
  return rows;
}

std::vector<SharpnessRow> draw_traces(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world) {
  std::vector<SharpnessRow> rows;
  Draws draws(world);
  visit_checkpoints(runs, pilot.trace.scatter, draws, [&](const PlannedRun& run, double tokens, double shared) {
    SharpnessRow row = row_of<SharpnessRow>(run, tokens);
    const double error = pilot.trace_error[rows.size() % pilot.trace_error.size()];
    row.trace = std::exp(pilot.trace.value(regressors(LawKind::sharpness_power, point_of(run.N, tokens, 0))) + shared +
                         draws.normal(std::hypot(pilot.trace.scatter.row.sd, error)));
    row.trace_se = error * row.trace;
    rows.push_back(row);
  });
  return rows;
}

/// Interval of the exponent of D of a log-linear law, as Q1 and Q2 take it.
template <class Row, class Value>
Interval exponent_interval(LawKind kind, const std::vector<Row>& rows, const Thresholds& thresholds, Value&& value) {
  if (rows.empty()) return {nan, nan, nan, 0};
  const std::vector<RowKey> keys = keys_of(rows);
  std::vector<Observation> all;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto [y, se, P] = value(rows[i]);
    all.push_back({point_of(rows[i].N, rows[i].D, P), std::log(y),
                   combined_sigma({se / y}, value_of(thresholds, "fit_scatter")), keys[i].cell, keys[i].seed});
  }
  const auto exponent = [&](const std::vector<std::size_t>& sample) {
    std::vector<Observation> drawn;
    for (const std::size_t i : sample) drawn.push_back(all[i]);
    const FitSummary s = fit_linear(kind, drawn, {});
    return std::vector<double>{s.is_usable() && !s.not_identified[1] ? s.parameters[1] : nan};
  };
  return jackknife(keys, exponent, interval_options(thresholds))[0];
}

/// An interval of one world, or of no world when it has no finite ends.
using Draw = std::function<Interval(std::uint64_t world)>;

/// How an interval decides: above, below, or within bounds.
struct Rule {
  double above = 0;   ///< supported when low > above (a growth), or
  double inside = 0;  ///< half-width of the band around `centre`: supported when inside, refuted when outside
  double centre = 0;
  bool is_growth = false;
};

Outcome outcome_of(const Interval& i, const Rule& rule) {
  const double low = rule.centre - rule.inside, high = rule.centre + rule.inside;
  if (rule.is_growth) {
    if (i.low > rule.above) return Outcome::supported;
    if (i.high < rule.above || (i.low >= low && i.high <= high)) return Outcome::refuted;
    return Outcome::inconclusive;
  }
  if (i.low >= low && i.high <= high) return Outcome::supported;
  return i.low > high || i.high < low ? Outcome::refuted : Outcome::inconclusive;
}

void simulate(Power& power, const Rule& rule, const Draw& draw, const PowerOptions& options) {
  const double distance =
      rule.is_growth ? std::abs(power.truth - rule.above) : std::abs(rule.inside - std::abs(power.truth - rule.centre));
  power.margin = distance;
  std::vector<double> widths;
  int counts[3] = {0, 0, 0};
  for (int world = 0; world < options.worlds; ++world) {
    if (options.progress) options.progress(fmt::format("{}: world {} of {}", power.id, world + 1, options.worlds));
    const Interval i = draw(static_cast<std::uint64_t>(world));
    const bool is_finite = std::isfinite(i.low) && std::isfinite(i.high);
    if (is_finite) widths.push_back((i.high - i.low) / 2);
    ++counts[is_finite ? static_cast<int>(outcome_of(i, rule)) : static_cast<int>(Outcome::inconclusive)];
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

std::vector<GroupedRow> grouped(LawKind kind, const std::vector<PtqRow>& rows, double PtqRow::*value,
                                double PtqRow::*se) {
  std::vector<std::string> runs;
  for (const PtqRow& r : rows) runs.push_back(r.run);
  const auto numbers = run_numbers(runs);
  std::vector<GroupedRow> result;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PtqRow& r = rows[i];
    const double error = std::isfinite(r.*se) ? r.*se : 0;
    result.push_back(grouped_row(kind, point_of(r.N, r.D, r.P), r.*value, error, numbers[i]));
  }
  return result;
}

GroupedFit fit_ratio(const std::vector<PtqRow>& rows) {
  auto regression = grouped(LawKind::ptq_exponential, rows, &PtqRow::delta, &PtqRow::delta_se);
  for (std::size_t i = 0; i < rows.size(); ++i) regression[i].x = {std::log(rows[i].predicted)};
  return fit_grouped(regression);
}

Power titled(const char* id, const char* number, std::string threshold, const GroupedFit& fit, std::size_t regressor,
             std::string problem) {
  Power p;
  p.id = id, p.number = number, p.threshold = std::move(threshold), p.problem = std::move(problem);
  p.truth = fit.is_usable() ? fit.coefficients[regressor] : nan;
  p.half_width = p.margin = nan;
  return p;
}

/// The relative interactions of the pilot as rows with a constant only.
void add_interactions(Pilot& pilot, const Table& table, const Thresholds& thresholds) {
  Dropped dropped;
  const auto found = interactions_of(table.factorial, {"WxA", {0, 1}}, nullptr, thresholds, dropped);
  const double scatter = value_of(thresholds, "fit_scatter");
  std::vector<std::string> runs;
  for (const Interaction& i : found) runs.push_back(i.run);
  const auto numbers = run_numbers(runs);
  std::vector<GroupedRow> rows;
  for (std::size_t k = 0; k < found.size(); ++k) {
    const double se = std::sqrt(std::max(0.0, found[k].sigma * found[k].sigma - scatter * scatter));
    pilot.interaction_error.push_back(se);
    rows.push_back({{}, found[k].damage, se, numbers[k], std::llround(std::log(found[k].D) * 1e6)});
  }
  pilot.interaction = fit_grouped(rows);
}

/// Interval of the mean interaction of a world, with as many usable pairs at a checkpoint as the pilot had.
Interval draw_interactions(const Pilot& pilot, const std::vector<PlannedRun>& runs, const Thresholds& thresholds,
                           std::uint64_t world) {
  const GroupedFit& fit = pilot.interaction;
  const double usable = std::round(double(fit.n) / fit.checkpoints);
  std::vector<SharpnessRow> subjects;
  std::vector<double> values, sigma;
  Draws draws(world);
  visit_checkpoints(runs, fit.scatter, draws, [&](const PlannedRun& run, double tokens, double shared) {
    const bool is_measured = !run.interactions_at_end || tokens == run.tokens.back();
    for (int k = 0; is_measured && k < std::min(run.interactions, int(usable)); ++k) {
      const double error = pilot.interaction_error[values.size() % pilot.interaction_error.size()];
      subjects.push_back(row_of<SharpnessRow>(run, tokens));
      values.push_back(fit.coefficients[0] + shared + draws.normal(std::hypot(fit.scatter.row.sd, error)));
      sigma.push_back(combined_sigma({error}, value_of(thresholds, "fit_scatter")));
    }
  });
  return mean_interval(keys_of(subjects), values, sigma, interval_options(thresholds));
}

}  // namespace

Pilot pilot_of(const Table& table, const Thresholds& thresholds) {
  Pilot pilot;
  Dropped dropped;
  pilot.rows = select_damage(table.ptq, is_main_trunk, thresholds, dropped);
  pilot.damage = fit_grouped(grouped(LawKind::ptq_exponential, pilot.rows, &PtqRow::delta, &PtqRow::delta_se));
  const auto predicted = select_predicted(table.ptq, is_main_trunk, thresholds, dropped);
  pilot.predicted =
      fit_grouped(grouped(LawKind::ptq_exponential, predicted, &PtqRow::predicted, &PtqRow::predicted_se));
  pilot.ratio = fit_ratio(predicted);
  std::vector<std::string> runs;
  std::vector<SharpnessRow> sharp;
  for (const SharpnessRow& r : table.sharpness)
    if (r.architecture == "transformer" && is_main_trunk(r) && r.trace > 0 && std::isfinite(r.trace) && r.N > 0 &&
        r.D > 0)
      sharp.push_back(r), runs.push_back(r.run);
  const auto numbers = run_numbers(runs);
  std::vector<GroupedRow> traces;
  for (std::size_t i = 0; i < sharp.size(); ++i) {
    const double se = std::isfinite(sharp[i].trace_se) ? sharp[i].trace_se : 0;
    pilot.trace_error.push_back(se / sharp[i].trace);
    traces.push_back(
        grouped_row(LawKind::sharpness_power, point_of(sharp[i].N, sharp[i].D, 0), sharp[i].trace, se, numbers[i]));
  }
  pilot.trace = fit_grouped(traces);
  add_interactions(pilot, table, thresholds);
  return pilot;
}

std::vector<Power> expected_power(const Pilot& pilot, const std::vector<PlannedRun>& runs, const Thresholds& thresholds,
                                  const PowerOptions& options) {
  const auto number = [&](const char* name) { return value_of(thresholds, name); };
  std::vector<Power> all;
  const auto growth = [&](const char* id, const char* what, const char* least, const char* band, const GroupedFit& fit,
                          const Draw& draw) {
    Power p = titled(id, what, fmt::format("above {:g}", number(least)), fit, 1, problem_of(fit, 0));
    if (p.problem.empty()) simulate(p, {number(least), number(band), number(least), true}, draw, options);
    all.push_back(p);
  };
  growth("Q1", "gamma_D of the damage", "q1_gamma_d_min", "q1_equivalence", pilot.damage, [&](std::uint64_t world) {
    Dropped dropped;
    const auto rows = select_damage(draw_damage(pilot, runs, world), is_main_trunk, thresholds, dropped);
    return exponent_interval(LawKind::ptq_exponential, rows, thresholds,
                             [](const PtqRow& r) { return std::tuple(r.delta, r.delta_se, r.P); });
  });
  growth("Q2", "gamma_D of the trace", "q2_gamma_d_min", "q2_equivalence", pilot.trace, [&](std::uint64_t world) {
    return exponent_interval(LawKind::sharpness_power, draw_traces(pilot, runs, world), thresholds,
                             [](const SharpnessRow& r) { return std::tuple(r.trace, r.trace_se, 0.0); });
  });
  std::string problem = problem_of(pilot.ratio, 0);
  if (problem.empty()) problem = problem_of(pilot.predicted, 0);
  Power slope = titled("Q3", "slope of ln damage on ln prediction", fmt::format("1 ± {:g}", number("q3_tolerance")),
                       pilot.ratio, 1, problem);
  const Draw draw = [&](std::uint64_t world) {
    Dropped dropped;
    Table table;
    table.ptq = draw_predicted(pilot, runs, world);
    const PredictionRows p = prediction_rows(table, thresholds, dropped);
    if (p.rows.empty()) return Interval{nan, nan, nan, 0};
    const auto line = [&](const std::vector<std::size_t>& rows) {
      return std::vector<double>{regress({p.log_predicted}, p.log_delta, p.sigma, rows)[1]};
    };
    return jackknife(p.keys, line, interval_options(thresholds))[0];
  };
  if (slope.problem.empty()) simulate(slope, {0, number("q3_tolerance"), 1, false}, draw, options);
  all.push_back(slope);
  Power both = titled("Q6", "interaction of weights and activations", fmt::format("0 ± {:g}", number("q6_tolerance")),
                      pilot.interaction, 0, problem_of(pilot.interaction, 0));
  if (both.problem.empty())
    simulate(
        both, {0, number("q6_tolerance"), 0, false},
        [&](std::uint64_t world) { return draw_interactions(pilot, runs, thresholds, world); }, options);
  all.push_back(both);
  return all;
}

}  // namespace hone::theory
