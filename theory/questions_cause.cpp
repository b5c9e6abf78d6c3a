// Q5: cause or correlate? At equal tokens, does the damage follow its prediction wherever schedule, learning rate,
// batch, averaging or rotation move that?
#include <algorithm>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/contrast.hpp"
#include "theory/questions.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// One contrast put to the test.
struct Trial {
  std::string name;
  int cells = 0;
  Interval damage, moved;  ///< changes of ln delta and of ln predicted
  Interval residual;       ///< of the first at fixed second; holds together with those of the other trials
};

/// Exponents of D within (arm, N, P): of ln delta, of slope·ln predicted, and of what is left. They add up exactly.
struct TokenExponents {
  std::string name;
  Interval damage, prediction, rest;
};

std::vector<TokenExponents> token_exponents(const PredictionRows& p, const ArmNames& names, double slope,
                                            const Thresholds& thresholds, int trials) {
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
  const auto over = [&](const std::string& name, const Sample& rows, const BootstrapOptions& options) {
    std::vector<RowKey> keys;
    for (const std::size_t i : rows) keys.push_back(p.keys[i]);
    const auto slopes = [&](const Sample& sample) {
      Sample drawn;
      for (const std::size_t k : sample) drawn.push_back(rows[k]);
      std::vector<double> values;
      for (const auto& part : parts) values.push_back(slope_within(log_d, part, p.sigma, group, drawn));
      return values;
    };
    const auto intervals = bootstrap(keys, slopes, options);
    return TokenExponents{name, intervals[0], intervals[1], intervals[2]};
  };
  std::vector<TokenExponents> all{
      over("all arms", all_indices(p.rows.size()), simultaneous_options(thresholds, trials))};
  for (const auto& [name, rows] : arms) all.push_back(over(name, rows, bootstrap_options(thresholds)));
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

/// The trials with enough cells, and what every contrast came to as details.
std::vector<Trial> run_trials(Verdict& v, const std::vector<Contrast>& contrasts, double slope,
                              const Thresholds& thresholds) {
  const auto cells_min = static_cast<int>(value_of(thresholds, "cells_min"));
  const auto is_trial = [&](const Contrast& c) { return count_cells(keys_of(c.rows)) >= cells_min; };
  const auto count = std::count_if(contrasts.begin(), contrasts.end(), is_trial);
  const BootstrapOptions options = bootstrap_options(thresholds);
  const BootstrapOptions together = simultaneous_options(thresholds, static_cast<int>(count) + 1);
  std::vector<Trial> trials;
  for (const Contrast& c : contrasts) {
    if (c.unmatched > 0) add_detail(v, "rows without a trunk at the same tokens: " + c.name, c.unmatched);
    if (!is_trial(c)) {
      add_detail(v, "cells, too few for a conclusion: " + c.name, count_cells(keys_of(c.rows)));
      continue;
    }
    const std::vector<RowKey> keys = keys_of(c.rows);
    std::vector<double> rest;
    for (std::size_t i = 0; i < c.rows.size(); ++i) rest.push_back(c.delta[i] - slope * c.predicted[i]);
    const Trial t{c.name, count_cells(keys), mean_interval(keys, c.delta, c.sigma, options),
                  mean_interval(keys, c.predicted, c.sigma, options), mean_interval(keys, rest, c.sigma, together)};
    add_detail(v, "ln delta, " + t.name + " - trunk", t.damage);
    add_detail(v, "ln predicted, " + t.name + " - trunk", t.moved);
    add_detail(v, "ln delta at fixed prediction, " + t.name + " - trunk", t.residual);
    trials.push_back(t);
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
                             bootstrap_options(thresholds)));
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
    if (is_outside(t.residual, -tolerance, tolerance))
      departed += fmt::format("{}{} by {}", departed.empty() ? "" : ", ", t.name, in_words(t.residual));
  }
  set_estimate(v, farthest->residual);
  const bool follows_tokens = is_outside(tokens.rest, -bar, bar);
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
      "what moves the prediction moves the damage alike, and tokens add nothing at fixed prediction",
      "supported: all intervals of ln delta at fixed prediction inside ± q5_tolerance, the exponent of D at fixed "
      "prediction inside ± q5_exponent_tolerance, and some contrast moved the prediction beyond q5_tolerance, so that "
      "a damage that ignored it would have shown; refuted: one of these intervals disjoint from its band; the "
      "intervals hold together at the level; inconclusive otherwise",
      thresholds,
      {"q5_tolerance", "q5_exponent_tolerance", "ptq_bits_min", "ptq_bits_max", "ptq_min_snr", "fit_scatter",
       "cells_min"});
  Dropped dropped, ignored;  // rows of the main trunk are counted once
  const std::vector<PtqRow> selected = comparable_rows(table, thresholds, dropped);
  const double slope = prediction_line(prediction_rows(table, thresholds, ignored)).slope;
  const ArmNames names(selected);
  std::vector<Contrast> contrasts = contrasts_with_trunk(selected, names, thresholds);
  if (Contrast rotation = contrast_of_rotation(table.schemes, thresholds); !rotation.rows.empty())
    contrasts.push_back(std::move(rotation));
  for (const Contrast& c : contrasts) v.n += static_cast<int>(c.rows.size());
  add_dropped(v, dropped);
  add_detail(v, "slope of ln delta on ln predicted, trunk", slope);
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
    v.prose = fmt::format("Nothing can be said: no contrast with the trunk at equal tokens has {:g} cells.",
                          value_of(thresholds, "cells_min"));
    return v;
  }
  decide_cause(v, trials, exponents[0], slope, thresholds);
  return v;
}

}  // namespace hone::theory
