#include "theory/planner/worlds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/rng.hpp"
#include "theory/planner/law_regression.hpp"
#include "theory/questions/selection.hpp"
#include "theory/questions/settled.hpp"

namespace hone::theory {
namespace {

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
  row.run = fmt::format("{} s{}", run.model, run.seed), row.architecture = Architecture::transformer,
  row.model = run.model;
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

/// A row for each checkpoint and width of the runs; set(row, y) fills it from a y of the exponential law with its scatter.
template <class Set>
std::vector<PtqRow> draw_rows(const GroupedFit& fit, const std::vector<PlannedRun>& runs, Draws& draws, Set&& set) {
  std::vector<PtqRow> rows;
  visit_checkpoints(runs, fit.scatter, draws, [&](const PlannedRun& run, double tokens, double shared) {
    for (const double P : run.bits) {
      PtqRow row = row_of<PtqRow>(run, tokens);
      row.P = P;
      const double law = fit.value(regressors(LawKind::ptq_exponential, point_of(run.N, tokens, P)));
      set(row, law + shared + draws.normal(fit.scatter.row.sd));
      rows.push_back(row);
    }
  });
  return rows;
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

/// 1 in the column of a combination, none for the first: the regressors of its constant.
std::vector<double> indicators(std::size_t place, std::size_t count) {
  std::vector<double> x(count - 1, 0.0);
  if (place > 0) x[place - 1] = 1;
  return x;
}

/// The relative interactions of the pilot from ptq_bits_min bits on as rows with a constant for each combination of bits.
void add_interactions(Pilot& pilot, const Table& table, const Thresholds& thresholds) {
  Dropped dropped;
  const Sites sites{"WxA", {0, 1}};
  std::vector<Interaction> found;
  std::map<Bits, int> measured;
  for (const Interaction& i : interactions_of(table.factorial, sites, nullptr, thresholds, dropped).balanced)
    if (std::min(i.bits[0], i.bits[1]) >= thresholds.ptq_bits_min) found.push_back(i), ++measured[i.bits];
  std::vector<std::string> runs;
  std::map<Bits, std::size_t> places;
  for (const Interaction& i : found) {
    runs.push_back(i.run);
    if (places.try_emplace(i.bits, places.size()).second) pilot.combinations.push_back(i);
  }
  const auto numbers = run_numbers(runs);
  const double scatter = thresholds.fit_scatter;
  std::vector<GroupedRow> rows;
  for (std::size_t k = 0; k < found.size(); ++k) {
    const double se = std::sqrt(std::max(0.0, found[k].sigma * found[k].sigma - scatter * scatter));
    pilot.interaction_error.push_back(se);
    rows.push_back({indicators(places[found[k].bits], places.size()), found[k].damage, se, numbers[k],
                    std::llround(std::log(found[k].D) * 1e6)});
  }
  pilot.interaction = fit_grouped(rows);
  if (!pilot.interaction.is_usable()) return;
  for (Interaction& i : pilot.combinations)
    i.damage = pilot.interaction.value(indicators(places[i.bits], places.size()));
  std::stable_sort(pilot.combinations.begin(), pilot.combinations.end(),
                   [&](const Interaction& a, const Interaction& b) { return measured[a.bits] > measured[b.bits]; });
}

}  // namespace

Pilot pilot_of(const Table& all, const Thresholds& thresholds) {
  const Table table = settle(all).table;
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
    if (r.is_transformer() && is_main_trunk(r) && r.trace > 0 && std::isfinite(r.trace) && r.N > 0 && r.D > 0)
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

std::vector<PtqRow> draw_damage(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world) {
  Draws draws(world);
  return draw_rows(pilot.damage, runs, draws,
                   [&](PtqRow& row, double log_delta) { measure_damage(row, pilot, log_delta, draws); });
}

std::vector<PtqRow> draw_predicted(const Pilot& pilot, const std::vector<PlannedRun>& runs, std::uint64_t world) {
  Draws draws(world);
  std::vector<PtqRow> rows = draw_rows(pilot.predicted, runs, draws, [](PtqRow& row, double log_prediction) {
    row.predicted = std::exp(log_prediction);
  });
  std::size_t next = 0;
  visit_checkpoints(runs, pilot.ratio.scatter, draws, [&](const PlannedRun& run, double, double shared) {
    for (std::size_t k = 0; k < run.bits.size(); ++k) {
      PtqRow& row = rows[next++];
      const double log_delta = pilot.ratio.value({std::log(row.predicted)}) + shared;
      measure_damage(row, pilot, log_delta + draws.normal(pilot.ratio.scatter.row.sd), draws);
      row.gradient = 0;  // the pilot's ratio is of damage without its first-order term
      const PtqRow& like = nearest_row(pilot, row.P, log_delta);
      row.predicted_se = like.predicted > 0 ? row.predicted * like.predicted_se / like.predicted : NAN;
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

std::vector<Interaction> draw_interactions(const Pilot& pilot, const std::vector<PlannedRun>& runs,
                                           const Thresholds& thresholds, std::uint64_t world) {
  const GroupedFit& fit = pilot.interaction;
  const auto usable = static_cast<int>(std::round(double(fit.n) / fit.checkpoints));
  std::vector<Interaction> drawn;
  Draws draws(world);
  visit_checkpoints(runs, fit.scatter, draws, [&](const PlannedRun& run, double tokens, double shared) {
    const bool is_measured = !run.interactions_at_end || tokens == run.tokens.back();
    for (int k = 0; is_measured && k < std::min(run.interactions, usable); ++k) {
      const double error = pilot.interaction_error[drawn.size() % pilot.interaction_error.size()];
      const Interaction& like = pilot.combinations[static_cast<std::size_t>(k)];
      Interaction row = row_of<Interaction>(run, tokens);
      row.bits = like.bits, row.independent = like.independent;
      row.damage = like.damage + shared + draws.normal(std::hypot(fit.scatter.row.sd, error));
      row.sigma = combined_sigma({error}, thresholds.fit_scatter);
      drawn.push_back(row);
    }
  });
  return drawn;
}

}  // namespace hone::theory
