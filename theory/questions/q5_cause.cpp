// Q5: cause or correlate? At equal tokens, does the damage follow its prediction wherever schedule, learning rate,
// batch, averaging or rotation move that?
#include <algorithm>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/questions/judge.hpp"
#include "theory/questions/q5_contrasts.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// One contrast against the trunk.
struct Trial {
  std::string name;
  int cells = 0, trajectories = 0;
  Interval damage, moved;      ///< changes of ln delta and of ln predicted
  Interval residual;           ///< of the first at fixed second
  Interval residual_together;  ///< the same, holding together with those of all that decide
};

/// Exponents of D within (arm, N, P): of ln delta, of slope·ln predicted, and of what is left. They add up exactly.
struct TokenExponents {
  std::string name;
  Interval damage, prediction, rest;
  Interval rest_together;  ///< holds together with the residuals of the contrasts
};

std::vector<TokenExponents> token_exponents(const PredictionRows& p, const ArmNames& names, double slope,
                                            const Thresholds& thresholds, int deciding) {
  std::vector<double> log_d;
  std::vector<std::vector<double>> parts(3);
  std::vector<std::size_t> group;
  std::map<std::tuple<std::string, double, double>, std::size_t> groups;
  std::map<std::string, Sample> arms;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const PtqRow& r = p.rows[i];
    const std::string arm = names.of(r);
    arms[arm].push_back(i);
    log_d.push_back(std::log(r.D));
    group.push_back(groups.try_emplace({arm, r.N, r.P}, groups.size()).first->second);
    parts[0].push_back(p.log_delta[i]);
    parts[1].push_back(slope * p.log_predicted[i]);
    parts[2].push_back(p.log_delta[i] - slope * p.log_predicted[i]);
  }
  const auto over = [&](const std::string& name, const Sample& rows) {
    std::vector<RowKey> keys;
    for (const std::size_t i : rows) keys.push_back(p.keys[i]);
    const auto slopes = [&](const Sample& sample) {
      Sample drawn;
      for (const std::size_t k : sample) drawn.push_back(rows[k]);
      std::vector<double> values;
      for (const auto& part : parts) values.push_back(slope_within(log_d, part, p.sigma, group, drawn));
      return values;
    };
    const auto intervals = jackknife(keys, slopes, interval_options(thresholds));
    const auto together = jackknife(keys, slopes, simultaneous_options(thresholds, deciding));
    return TokenExponents{name, intervals[0], intervals[1], intervals[2], together[2]};
  };
  std::vector<TokenExponents> all{over("all arms", all_indices(p.rows.size()))};
  for (const auto& [name, rows] : arms) all.push_back(over(name, rows));
  return all;
}

void add_exponents(Verdict& v, const std::vector<TokenExponents>& exponents) {
  for (const TokenExponents& e : exponents) {
    add_detail(v, "gamma_D of the damage, " + e.name, e.damage);
    add_detail(v, "gamma_D of slope times ln prediction, " + e.name, e.prediction);
    add_detail(v, "gamma_D at fixed prediction, " + e.name, e.rest);
  }
  add_detail(v, "published gamma_D: Kumar et al., ends of cosine", 0.5068);
  add_detail(v, "published gamma_D: Ouyang et al., within one cosine", 0.5251);
  add_detail(v, "published gamma_D: Chen et al., W4A16 in training", 0.1610);
  add_detail(v, "published gamma_D: Catalan-Tatjer et al., cooled", 0);
}

/// Rows on the data of the main arm: others belong to other questions.
std::vector<PtqRow> comparable_rows(const Table& table, const Thresholds& thresholds, Dropped& dropped) {
  std::set<std::string> data;
  for (const PtqRow& r : table.ptq)
    if (r.architecture == "transformer" && is_main_trunk(r)) data.insert(r.data);
  const auto wanted = [&](const Subject& s) { return is_comparable(s) && data.count(s.data) > 0; };
  return select_predicted(table.ptq, wanted, thresholds, dropped);
}

/// Every contrast as details; returned are those of enough cells and trajectories, which decide.
std::vector<Trial> run_trials(Verdict& v, const std::vector<Contrast>& contrasts, double slope,
                              const Thresholds& thresholds) {
  const auto decides = [&](const std::vector<RowKey>& keys) {
    return count_cells(keys) >= value_of(thresholds, "cells_min") &&
           count_trajectories(keys) >= value_of(thresholds, "trajectories_min");
  };
  const auto deciding =
      std::count_if(contrasts.begin(), contrasts.end(), [&](const Contrast& c) { return decides(keys_of(c.rows)); });
  const IntervalOptions options = interval_options(thresholds);
  const IntervalOptions together = simultaneous_options(thresholds, static_cast<int>(deciding) + 1);
  std::vector<Trial> trials;
  for (const Contrast& c : contrasts) {
    if (c.unmatched > 0) add_detail(v, "rows without a trunk at the same tokens: " + c.name, c.unmatched);
    if (c.rows.empty()) continue;
    const std::vector<RowKey> keys = keys_of(c.rows);
    std::vector<double> rest;
    for (std::size_t i = 0; i < c.rows.size(); ++i) rest.push_back(c.delta[i] - slope * c.predicted[i]);
    const Trial t{c.name,
                  count_cells(keys),
                  count_trajectories(keys),
                  mean_interval(keys, c.delta, c.sigma, options),
                  mean_interval(keys, c.predicted, c.sigma, options),
                  mean_interval(keys, rest, c.sigma, options),
                  mean_interval(keys, rest, c.sigma, together)};
    add_detail(v, "ln delta, " + t.name + " - trunk", t.damage);
    add_detail(v, "ln predicted, " + t.name + " - trunk", t.moved);
    add_detail(v, "ln delta at fixed prediction, " + t.name + " - trunk", t.residual);
    if (decides(keys))
      trials.push_back(t);
    else
      add_detail(v, "trajectories, or cells, too few to decide: " + t.name, t.trajectories);
  }
  return trials;
}

/// Which contrasts a sceptic would ask for, and whether any of their kind became a trial.
void add_trial_controls(Verdict& v, const std::vector<Trial>& trials) {
  const auto was_run = [&](std::initializer_list<const char*> words) {
    return std::any_of(trials.begin(), trials.end(), [&](const Trial& t) {
      return std::any_of(words.begin(), words.end(),
                         [&](const char* word) { return t.name.find(word) != std::string::npos; });
    });
  };
  const auto is_named = [&](const char* name) {
    return std::any_of(trials.begin(), trials.end(), [&](const Trial& t) { return t.name == name; });
  };
  add_control(v, "cooldowns of a length proportional to the tokens", is_named("cooled"));
  add_control(v, "cooldowns of one length", is_named("cooled_fixed"));
  add_control(v, "weight averages", was_run({"ema", "lawa"}));
  add_control(v, "ends of cosine schedules", was_run({"cosine"}));
  add_control(v, "other learning rates", was_run({"learning rate x"}));
  add_control(v, "other batch sizes", was_run({"batch x"}));
  add_control(v, "other weight decay", was_run({"weight decay "}));
  add_control(v, "rotation: same curvature, other steps", is_named("rotated"));
}

void add_traces(Verdict& v, const std::vector<SharpnessRow>& sharpness, const ArmNames& names,
                const Thresholds& thresholds) {
  const auto contrasts = trace_contrasts(sharpness, names);
  add_control(v, "trace at equal tokens", !contrasts.empty());
  for (const TraceContrast& c : contrasts)
    add_detail(v, "ln trace, " + c.name + " - trunk",
               mean_interval(keys_of(c.rows), c.change, std::vector<double>(c.change.size(), 1.0),
                             interval_options(thresholds)));
}

/// Slope of ln delta on ln predicted beside ln D: what the prediction does at equal tokens, over the main trunk.
double slope_at_equal_tokens(const PredictionRows& p) {
  std::vector<double> log_d;
  for (const PtqRow& r : p.rows) log_d.push_back(std::log(r.D));
  return regress({p.log_predicted, log_d}, p.log_delta, p.sigma, all_indices(p.rows.size()))[1];
}

/// Sets outcome, estimate and prose.
void decide_cause(Verdict& v, const std::vector<Trial>& trials, const TokenExponents& tokens, double slope,
                  const Thresholds& thresholds) {
  const double tolerance = value_of(thresholds, "q5_tolerance"), bar = value_of(thresholds, "q5_exponent_tolerance");
  const Trial* farthest = &trials[0];
  bool all_inside = is_inside(tokens.rest, -bar, bar), has_moved = false;
  std::string departed;
  for (const Trial& t : trials) {
    if (std::abs(t.residual.estimate) > std::abs(farthest->residual.estimate)) farthest = &t;
    all_inside = all_inside && is_inside(t.residual, -tolerance, tolerance);
    has_moved = has_moved || slope * t.moved.low > tolerance || slope * t.moved.high < -tolerance;
    if (is_outside(t.residual_together, -tolerance, tolerance))
      departed += fmt::format("{}{} by {}", departed.empty() ? "" : ", ", t.name, in_words(t.residual));
  }
  set_estimate(v, farthest->residual);
  const bool follows_tokens = is_outside(tokens.rest_together, -bar, bar);
  if (!departed.empty() || follows_tokens)
    v.outcome = Outcome::refuted;
  else if (all_inside && has_moved)
    v.outcome = Outcome::supported;
  v.prose = fmt::format(
      "Of {} contrasts at equal tokens, {} departs most from what its prediction says: ln damage changes by {}, ln "
      "prediction by {}, {} is left unexplained. Over all arms damage goes as D^{}, at fixed prediction as D^{}.",
      trials.size(), farthest->name, in_words(farthest->damage), in_words(farthest->moved),
      in_words(farthest->residual), in_words(tokens.damage), in_words(tokens.rest));
  if (!departed.empty()) v.prose += " Beyond the tolerance: " + departed + ".";
  if (follows_tokens) v.prose += " At fixed prediction the damage still follows the tokens.";
  if (!has_moved) v.prose += " No contrast moved the prediction beyond the tolerance, so none put it to a test.";
}

}  // namespace

Verdict judge_cause(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q5", "Cause or correlate: at equal tokens, does the damage follow its prediction?",
      "what moves the prediction moves the damage, its measured first-order term taken out, alike, and tokens add "
      "nothing at fixed prediction",
      "supported: all intervals of ln delta at fixed prediction inside ± q5_tolerance, the exponent of D at fixed "
      "prediction inside ± q5_exponent_tolerance, and some contrast moved the prediction beyond q5_tolerance, so that "
      "a damage that ignored it would have shown; refuted: one of these intervals disjoint from its band when all hold "
      "together at the level (Bonferroni); contrasts below cells_min or trajectories_min decide nothing; inconclusive "
      "otherwise",
      thresholds,
      {"q5_tolerance", "q5_exponent_tolerance", "ptq_bits_min", "ptq_bits_max", "ptq_min_snr", "fit_scatter",
       "cells_min", "trajectories_min"});
  Dropped dropped, ignored;  // rows of the main trunk are counted once
  const std::vector<PtqRow> selected = comparable_rows(table, thresholds, dropped);
  const double slope = slope_at_equal_tokens(prediction_rows(table, thresholds, ignored));
  const ArmNames names(selected);
  std::vector<Contrast> contrasts = contrasts_with_trunk(selected, names, thresholds);
  if (Contrast rotation = contrast_of_rotation(table.schemes, thresholds); !rotation.rows.empty())
    contrasts.push_back(std::move(rotation));
  for (const Contrast& c : contrasts) v.n += static_cast<int>(c.rows.size());
  add_dropped(v, dropped);
  add_detail(v, "slope of ln delta on ln predicted at equal tokens, trunk", slope);
  if (!std::isfinite(slope)) {
    add_trial_controls(v, {});
    v.prose = "Nothing can be said: the trunk gives no slope of ln damage on ln prediction.";
    return v;
  }
  const std::vector<Trial> trials = run_trials(v, contrasts, slope, thresholds);
  add_trial_controls(v, trials);
  add_traces(v, table.sharpness, names, thresholds);
  const auto exponents = token_exponents(prediction_columns(selected, thresholds), names, slope, thresholds,
                                         static_cast<int>(trials.size()) + 1);
  add_exponents(v, exponents);
  if (trials.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: no contrast with the trunk at equal tokens has {:g} cells and {:g} trajectories.",
        value_of(thresholds, "cells_min"), value_of(thresholds, "trajectories_min"));
    return v;
  }
  decide_cause(v, trials, exponents[0], slope, thresholds);
  return v;
}

}  // namespace hone::theory
