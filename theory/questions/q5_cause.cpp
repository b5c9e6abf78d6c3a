#include "theory/questions/q5_cause.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/q5_contrasts.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// One contrast against the trunk.
struct Trial {
  std::string name;
  std::set<Change> changes;
  int cells = 0, trajectories = 0;
  Interval damage, moved;      ///< changes of ln delta and of ln predicted
  Interval residual;           ///< of the first at fixed second
  Interval residual_together;  ///< the same, holding together with those of all that decide
};

/// Exponents of D within (arm, N, P): of ln delta, of slope·ln predicted, and of what is left. They add up exactly.
struct TokenExponents {
  std::string key, name;
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
  std::map<std::string, std::string> keys_of_arms;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const PtqRow& r = p.rows[i];
    const std::string arm = names.of(r);
    arms[arm].push_back(i);
    keys_of_arms[arm] = names.key_of(r);
    log_d.push_back(std::log(r.D));
    group.push_back(groups.try_emplace({arm, r.N, r.P}, groups.size()).first->second);
    parts[0].push_back(p.log_delta[i]);
    parts[1].push_back(slope * p.log_predicted[i]);
    parts[2].push_back(p.log_delta[i] - slope * p.log_predicted[i]);
  }
  const auto over = [&](const std::string& key, const std::string& name, const Sample& rows) {
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
    return TokenExponents{key, name, intervals[0], intervals[1], intervals[2], together[2]};
  };
  std::vector<TokenExponents> all{over("all_arms", "all arms", all_indices(p.rows.size()))};
  for (const auto& [name, rows] : arms) all.push_back(over(keys_of_arms[name], name, rows));
  return all;
}

void add_exponents(Verdict& v, const std::vector<TokenExponents>& exponents) {
  for (const TokenExponents& e : exponents) {
    add_finding(v, {"gamma_d.damage." + e.key, "gamma_D of the damage, " + e.name}, e.damage);
    add_finding(v, {"gamma_d.prediction." + e.key, "gamma_D of slope times ln prediction, " + e.name}, e.prediction);
    add_finding(v, {"gamma_d.residual." + e.key, "gamma_D at fixed prediction, " + e.name}, e.rest);
  }
  add_finding(v, {"published.kumar", "published gamma_D: Kumar et al., ends of cosine"}, 0.5068);
  add_finding(v, {"published.ouyang", "published gamma_D: Ouyang et al., within one cosine"}, 0.5251);
  add_finding(v, {"published.chen", "published gamma_D: Chen et al., W4A16 in training"}, 0.1610);
  add_finding(v, {"published.catalan_tatjer", "published gamma_D: Catalan-Tatjer et al., cooled"}, 0);
}

/// Rows on the data of the main arm: others belong to other questions.
std::vector<PtqRow> comparable_rows(const Table& table, const Thresholds& thresholds, Dropped& dropped) {
  std::set<std::string> data;
  for (const PtqRow& r : table.ptq)
    if (r.is_transformer() && is_main_trunk(r)) data.insert(r.data);
  const auto wanted = [&](const Subject& s) { return is_comparable(s) && data.count(s.data) > 0; };
  return select_predicted(table.ptq, wanted, thresholds, dropped);
}

/// Every contrast as findings; returned are those of enough cells and trajectories, which decide.
std::vector<Trial> run_trials(Verdict& v, const std::vector<Contrast>& contrasts, double slope,
                              const Thresholds& thresholds) {
  const auto decides = [&](const std::vector<RowKey>& keys) {
    return count_cells(keys) >= thresholds.cells_min && count_trajectories(keys) >= thresholds.trajectories_min;
  };
  const auto deciding =
      std::count_if(contrasts.begin(), contrasts.end(), [&](const Contrast& c) { return decides(keys_of(c.rows)); });
  const IntervalOptions options = interval_options(thresholds);
  const IntervalOptions together = simultaneous_options(thresholds, static_cast<int>(deciding) + 1);
  std::vector<Trial> trials;
  for (const Contrast& c : contrasts) {
    if (c.unmatched > 0)
      add_finding(v, {"unmatched." + c.key, "rows without a trunk at the same tokens: " + c.name}, c.unmatched);
    if (c.rows.empty()) continue;
    const std::vector<RowKey> keys = keys_of(c.rows);
    std::vector<double> rest;
    for (std::size_t i = 0; i < c.rows.size(); ++i) rest.push_back(c.delta[i] - slope * c.predicted[i]);
    const Trial t{c.name,
                  c.changes,
                  count_cells(keys),
                  count_trajectories(keys),
                  mean_interval(keys, c.delta, c.sigma, options),
                  mean_interval(keys, c.predicted, c.sigma, options),
                  mean_interval(keys, rest, c.sigma, options),
                  mean_interval(keys, rest, c.sigma, together)};
    add_finding(v, {"damage." + c.key, "ln delta, " + t.name + " - trunk", "ln"}, t.damage);
    add_finding(v, {"predicted." + c.key, "ln predicted, " + t.name + " - trunk", "ln"}, t.moved);
    add_finding(v, {"residual." + c.key, "ln delta at fixed prediction, " + t.name + " - trunk", "ln"}, t.residual);
    if (decides(keys))
      trials.push_back(t);
    else
      add_finding(v, {"too_few." + c.key, "trajectories, or cells, too few to decide: " + t.name}, t.trajectories);
  }
  return trials;
}

/// The same contrasts against the trunk where it has the loss of the row: a detail, for arms that learn slower.
void add_equal_loss(Verdict& v, const std::vector<PtqRow>& rows, const ArmNames& names, const Thresholds& thresholds) {
  const IntervalOptions options = interval_options(thresholds);
  for (const Contrast& c : contrasts_with_trunk(rows, names, thresholds, Peer::equal_loss)) {
    if (c.rows.empty()) continue;
    const std::vector<RowKey> keys = keys_of(c.rows);
    add_finding(v, {"equal_loss.damage." + c.key, "ln delta at equal loss, " + c.name + " - trunk", "ln"},
                mean_interval(keys, c.delta, c.sigma, options));
    add_finding(v, {"equal_loss.predicted." + c.key, "ln predicted at equal loss, " + c.name + " - trunk", "ln"},
                mean_interval(keys, c.predicted, c.sigma, options));
  }
}

/// Which contrasts a sceptic would ask for, and whether any of their kind became a trial.
void add_trial_controls(Verdict& v, const std::vector<Trial>& trials) {
  std::set<Change> tried;
  for (const Trial& t : trials) tried.insert(t.changes.begin(), t.changes.end());
  constexpr std::pair<Control, Change> demanded[] = {{Control::proportional_cooldowns, Change::cooldown},
                                                     {Control::fixed_cooldowns, Change::fixed_cooldown},
                                                     {Control::weight_averages, Change::average},
                                                     {Control::cosine_ends, Change::cosine},
                                                     {Control::other_rates, Change::learning_rate},
                                                     {Control::other_batches, Change::batch},
                                                     {Control::other_decay, Change::weight_decay},
                                                     {Control::rotation, Change::rotation},
                                                     {Control::rescaling, Change::rescaling},
                                                     {Control::flatter_minima, Change::sharpness}};
  for (const auto& [control, change] : demanded) add_control(v, control, tried.count(change) > 0);
}

void add_traces(Verdict& v, const std::vector<SharpnessRow>& sharpness, const ArmNames& names,
                const Thresholds& thresholds) {
  const auto contrasts = trace_contrasts(sharpness, names);
  add_control(v, Control::trace_at_equal_tokens, !contrasts.empty());
  for (const TraceContrast& c : contrasts)
    add_finding(v, {"trace." + c.key, "ln trace, " + c.name + " - trunk", "ln"},
                mean_interval(keys_of(c.rows), c.change, std::vector<double>(c.change.size(), 1.0),
                              interval_options(thresholds)));
}

/// Slope of ln delta on ln predicted beside ln D within bit widths: what the prediction does at equal tokens, over the
/// main trunk.
double slope_at_equal_tokens(const PredictionRows& p) {
  std::vector<double> log_d;
  std::vector<std::size_t> group;
  std::map<double, std::size_t> groups;
  for (const PtqRow& r : p.rows) {
    log_d.push_back(std::log(r.D));
    group.push_back(groups.try_emplace(r.P, groups.size()).first->second);
  }
  return slope_with_errors(p.log_predicted, p.predicted_variance, {log_d}, p.log_delta, p.sigma, group,
                           all_indices(p.rows.size()));
}

/// How ln damage answers to ln prediction over all contrasts with the trunk. The line goes through the means over the
/// seeds of each cell and width, so that what seeds add to the prediction alone does not flatten it (Wald 1940, Ann.
/// Math. Statist. 11:284), and is freed of what the error of the traces still takes from it.
struct Dose {
  Interval response;          ///< ln damage per ln prediction, no change for no change
  Interval slope, intercept;  ///< with a constant
  double r2 = NAN;
  int rows = 0;
};

/// Changes of ln prediction (x) and of ln damage (y), with the variance of x.
struct Changes {
  std::vector<double> x, variance, y, sigma;
  std::vector<std::size_t> place;  ///< cell and width

  void append(const Contrast& c) {
    x.insert(x.end(), c.predicted.begin(), c.predicted.end()), y.insert(y.end(), c.delta.begin(), c.delta.end());
    sigma.insert(sigma.end(), c.sigma.begin(), c.sigma.end());
    variance.insert(variance.end(), c.variance.begin(), c.variance.end());
  }
};

/// One standard error for all seeds of a place: relative to its own prediction, a row whose prediction erred upwards would
/// weigh more, and the line would be flatter.
void share_sigma(Changes& all) {
  std::map<std::size_t, std::pair<double, int>> squares;
  for (std::size_t i = 0; i < all.place.size(); ++i) {
    auto& [sum, count] = squares[all.place[i]];
    sum += all.sigma[i] * all.sigma[i], ++count;
  }
  for (std::size_t i = 0; i < all.place.size(); ++i) {
    const auto& [sum, count] = squares.at(all.place[i]);
    all.sigma[i] = std::sqrt(sum / count);
  }
}

/// Weighted means of some rows at each place.
Changes means_of(const Changes& all, const Sample& sample) {
  std::map<std::size_t, std::array<double, 4>> sums;  // of w, w x, w y and w² v
  for (const std::size_t i : sample) {
    const double w = 1 / (all.sigma[i] * all.sigma[i]);
    auto& sum = sums[all.place[i]];
    sum[0] += w, sum[1] += w * all.x[i], sum[2] += w * all.y[i], sum[3] += w * w * all.variance[i];
  }
  Changes means;
  for (const auto& [place, sum] : sums) {
    means.x.push_back(sum[1] / sum[0]), means.y.push_back(sum[2] / sum[0]);
    means.variance.push_back(sum[3] / (sum[0] * sum[0]));
    means.sigma.push_back(1 / std::sqrt(sum[0]));
    means.place.push_back(0);
  }
  return means;
}

/// Response, slope and intercept over the means of a sample.
std::vector<double> dose_of(const Changes& all, const Sample& sample) {
  const Changes m = means_of(all, sample);
  const Sample places = all_indices(m.x.size());
  double xx = 0, xy = 0;
  for (const std::size_t i : places) {
    const double w = 1 / (m.sigma[i] * m.sigma[i]);
    xx += w * (m.x[i] * m.x[i] - m.variance[i]), xy += w * m.x[i] * m.y[i];
  }
  const double slope = slope_with_errors(m.x, m.variance, {}, m.y, m.sigma, m.place, places);
  const double constant = weighted_mean(m.y, m.sigma, places) - slope * weighted_mean(m.x, m.sigma, places);
  return {xx > 0 ? xy / xx : NAN, slope, constant};
}

Dose dose_response(const std::vector<Contrast>& contrasts, const Thresholds& thresholds) {
  std::vector<PtqRow> rows;
  Changes all;
  for (const Contrast& c : contrasts) rows.insert(rows.end(), c.rows.begin(), c.rows.end()), all.append(c);
  Dose dose;
  dose.rows = static_cast<int>(rows.size());
  dose.response = dose.slope = dose.intercept = {NAN, NAN, NAN, 0};
  if (rows.empty()) return dose;
  const std::vector<RowKey> keys = keys_of(rows);
  std::map<std::pair<std::int64_t, double>, std::size_t> places;
  for (std::size_t i = 0; i < rows.size(); ++i)
    all.place.push_back(places.try_emplace({keys[i].cell, rows[i].P}, places.size()).first->second);
  share_sigma(all);
  const auto found = jackknife(
      keys, [&](const Sample& sample) { return dose_of(all, sample); }, interval_options(thresholds));
  dose.response = found[0], dose.slope = found[1], dose.intercept = found[2];
  const std::vector<std::size_t> one(rows.size(), 0);
  dose.r2 = r_squared_within({all.x}, {dose.slope.estimate}, all.y, all.sigma, one, all_indices(rows.size()));
  return dose;
}

void add_dose(Verdict& v, const Dose& dose) {
  add_finding(v, {"dose.rows", "rows of all contrasts"}, dose.rows);
  add_finding(v, {"dose.slope", "slope of the change of ln damage on that of ln prediction, with a constant"},
              dose.slope);
  add_finding(v, {"dose.intercept", "change of ln damage where the prediction does not change", "ln"}, dose.intercept);
  add_finding(v, {"dose.r2", "R2 of that line"}, dose.r2);
}

/// How each contrast moves with tokens, and where it ends: an average over tokens would hide a change of sign.
void add_courses(Verdict& v, const std::vector<Contrast>& contrasts, const Thresholds& thresholds) {
  for (const Contrast& c : contrasts) {
    if (c.rows.empty()) continue;
    std::vector<double> log_d;
    std::vector<std::size_t> group;
    std::map<std::pair<double, double>, std::size_t> groups;
    std::map<double, double> most;  // tokens by size
    for (const PtqRow& r : c.rows) {
      log_d.push_back(std::log(r.D));
      group.push_back(groups.try_emplace({r.N, r.P}, groups.size()).first->second);
      most[r.N] = std::max(most[r.N], r.D);
    }
    const auto statistic = [&](const Sample& sample) {
      Sample last;
      for (const std::size_t i : sample)
        if (c.rows[i].D >= 0.99 * most[c.rows[i].N]) last.push_back(i);
      return std::vector<double>{slope_within(log_d, c.delta, c.sigma, group, sample),
                                 slope_within(log_d, c.predicted, c.sigma, group, sample),
                                 weighted_mean(c.delta, c.sigma, last), weighted_mean(c.predicted, c.sigma, last)};
    };
    const auto found = jackknife(keys_of(c.rows), statistic, interval_options(thresholds));
    add_finding(v, {"course.damage." + c.key, "slope in ln D of ln delta, " + c.name + " - trunk"}, found[0]);
    add_finding(v, {"course.predicted." + c.key, "slope in ln D of ln predicted, " + c.name + " - trunk"}, found[1]);
    add_finding(v, {"last.damage." + c.key, "ln delta at the most tokens, " + c.name + " - trunk", "ln"}, found[2]);
    add_finding(v, {"last.predicted." + c.key, "ln predicted at the most tokens, " + c.name + " - trunk", "ln"},
                found[3]);
  }
}

CauseEvidence evidence_of(const std::vector<Trial>& trials, const TokenExponents& tokens, const Dose& dose) {
  CauseEvidence e{{}, dose.response, tokens.rest, tokens.rest_together};
  for (const Trial& t : trials) e.residuals.push_back(t.residual_together);
  return e;
}

/// Sets outcome, estimate and prose.
void decide_cause(Verdict& v, const std::vector<Trial>& trials, const TokenExponents& tokens, const Dose& dose,
                  const Thresholds& thresholds) {
  const CauseEvidence evidence = evidence_of(trials, tokens, dose);
  const Trial* farthest = &trials[0];
  std::string departed;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    const Trial& t = trials[i];
    if (std::abs(t.residual.estimate) > std::abs(farthest->residual.estimate)) farthest = &t;
    if (has_departed(evidence.residuals[i], thresholds))
      departed += fmt::format("{}{} by {}", departed.empty() ? "" : ", ", t.name, in_words(t.residual));
  }
  set_estimate(v, dose.response);
  add_finding(v, {"largest_residual", "the change of ln damage at fixed prediction that is farthest from 0", "ln"},
              farthest->residual);
  decide(v, cause_rule(), evidence, thresholds);
  v.prose = fmt::format(
      "Over {} rows of all arms ln damage changes by {} per change of ln prediction. Of {} contrasts at equal tokens, "
      "{} "
      "departs most from what its prediction says: ln damage changes by {}, ln prediction by {}, {} is left "
      "unexplained. "
      "Over all arms damage goes as D^{}, at fixed prediction as D^{}.",
      dose.rows, in_words(dose.response), trials.size(), farthest->name, in_words(farthest->damage),
      in_words(farthest->moved), in_words(farthest->residual), in_words(tokens.damage), in_words(tokens.rest));
  if (!departed.empty()) v.prose += " Beyond the tolerance: " + departed + ".";
  if (follows_tokens(evidence, thresholds)) v.prose += " At fixed prediction the damage still follows the tokens.";
}

}  // namespace

Verdict judge_cause(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q5", "Cause or correlate: at equal tokens, does the damage follow its prediction?",
      "what moves the prediction moves the damage, its measured first-order term taken out, alike, and tokens add "
      "nothing at fixed prediction",
      {"dose", "change of ln damage per change of ln prediction at equal tokens"}, cause_rule(), thresholds);
  Dropped dropped, ignored;  // rows of the main trunk are counted once
  const std::vector<PtqRow> selected = comparable_rows(table, thresholds, dropped);
  const double slope = slope_at_equal_tokens(prediction_rows(table, thresholds, ignored));
  const ArmNames names(selected);
  std::vector<Contrast> contrasts = contrasts_with_trunk(selected, names, thresholds);
  for (Contrast& c : contrasts_of_coordinates(table.schemes, thresholds)) contrasts.push_back(std::move(c));
  for (const Contrast& c : contrasts) v.n += static_cast<int>(c.rows.size());
  add_dropped(v, dropped);
  add_finding(v, {"slope", "slope of ln delta on ln predicted at equal tokens, trunk"}, slope);
  if (!std::isfinite(slope)) {
    add_trial_controls(v, {});
    v.prose = "Nothing can be said: the trunk gives no slope of ln damage on ln prediction.";
    return v;
  }
  const std::vector<Trial> trials = run_trials(v, contrasts, slope, thresholds);
  const Dose dose = dose_response(contrasts, thresholds);
  add_dose(v, dose);
  add_courses(v, contrasts, thresholds);
  add_equal_loss(v, selected, names, thresholds);
  add_trial_controls(v, trials);
  add_traces(v, table.sharpness, names, thresholds);
  const auto exponents = token_exponents(prediction_columns(selected, thresholds), names, slope, thresholds,
                                         static_cast<int>(trials.size()) + 1);
  add_exponents(v, exponents);
  if (trials.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: no contrast with the trunk at equal tokens has {:g} cells and {:g} trajectories.",
        thresholds.cells_min, thresholds.trajectories_min);
    return v;
  }
  decide_cause(v, trials, exponents[0], dose, thresholds);
  return v;
}

}  // namespace hone::theory
