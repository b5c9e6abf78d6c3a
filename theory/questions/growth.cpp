#include "theory/questions/growth.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

/// The shape of ln y over ln D within each (N, P): quadratic term, and the exponent at the end of the tokens.
void measure_shape(Growth& growth, const std::vector<Observation>& rows, const Thresholds& thresholds) {
  std::map<std::pair<double, double>, std::size_t> groups;
  std::map<double, std::set<double>> tokens;  // of each size
  for (const Observation& o : rows) {
    groups.try_emplace({o.point.N, o.point.P}, groups.size());
    tokens[o.point.N].insert(o.point.D);
  }
  std::vector<double> x, y, sigma, square;
  std::vector<std::size_t> group;
  std::vector<bool> is_last;
  for (const Observation& o : rows) {
    const std::set<double>& d = tokens[o.point.N];
    const double middle = (std::log(*d.begin()) + std::log(*d.rbegin())) / 2;
    x.push_back(std::log(o.point.D) - middle);
    square.push_back(x.back() * x.back());
    y.push_back(o.log_y);
    sigma.push_back(o.log_sigma);
    group.push_back(groups[{o.point.N, o.point.P}]);
    is_last.push_back(d.size() >= 2 && o.point.D >= *std::prev(d.end(), 2));
  }
  const auto shape = [&](const std::vector<std::size_t>& sample) {
    const double of_square = slope_within(x, square, sigma, group, sample);
    const double of_y = slope_within(x, y, sigma, group, sample);
    std::vector<double> u(x.size()), w(x.size());  // both with the linear part taken out
    std::vector<std::size_t> last, early, late;
    for (const std::size_t i : sample) {
      if (x[i] <= 1e-9) early.push_back(i);
      if (x[i] >= -1e-9) late.push_back(i);
      u[i] = square[i] - of_square * x[i];
      w[i] = y[i] - of_y * x[i];
      if (is_last[i]) last.push_back(i);
    }
    return std::vector<double>{slope_within(u, w, sigma, group, sample), slope_within(x, y, sigma, group, last),
                               slope_within(x, y, sigma, group, late) - slope_within(x, y, sigma, group, early)};
  };
  const auto intervals = jackknife(keys_of(rows), shape, interval_options(thresholds));
  growth.bend = intervals[0];
  growth.last = intervals[1];
  growth.change = intervals[2];
}

const char* why_unusable(const Growth& growth) {
  if (growth.fit.stop == Stop::rank_deficient)
    return "tokens and model size move together in this design, so their exponents cannot be told "
           "apart";
  return "too few rows are left to fit";
}

void add_controls(Verdict& v, const Growth& growth, const std::vector<Observation>& rows) {
  std::set<double> sizes, tokens;
  std::set<std::int64_t> seeds;
  for (const Observation& o : rows) sizes.insert(o.point.N), tokens.insert(o.point.D), seeds.insert(o.seed);
  const double decades = tokens.empty() ? 0 : std::log10(*tokens.rbegin() / *tokens.begin());
  add_control(v, Control::several_seeds, seeds.size() > 1);
  add_control(v, Control::several_sizes, sizes.size() > 1);
  add_control(v, Control::tokens_apart_from_size, growth.fit.is_usable() && !growth.fit.collinear);
  add_control(v, Control::token_range, decades >= 1.5);
  add_control(v, Control::saturating_rival,
              std::any_of(growth.rivals.begin(), growth.rivals.end(),
                          [](const GrowthRival& r) { return r.levels_off && std::isfinite(r.held_out.rmse_log); }));
  add_control(v, Control::updates_apart, growth.updates == Updates::apart);
  add_finding(v, {"decades", "decades of tokens"}, decades);
}

void add_fit_findings(Verdict& v, const Growth& growth) {
  if (!growth.fit.is_usable()) return;
  add_finding(v, {"r2", "R2"}, growth.fit.r2);
  add_finding(v, {"rmse", "rmse of ln", "ln"}, growth.fit.rmse_log);
  add_finding(v, {"condition", "condition number"}, growth.fit.condition);
  add_finding(v, {"last_exponent", "exponent between the last two checkpoints"}, growth.last);
  add_finding(v, {"quadratic", "quadratic term in ln D"}, growth.bend);
  add_finding(v, {"change", "exponent of the second half of ln D minus that of the first"}, growth.change);
}

/// The largest D/N up to which the given share of its range in logs is fitted.
double overtraining_limit(const std::vector<Observation>& rows, double share) {
  double least = INFINITY, most = -INFINITY;
  for (const Observation& o : rows) {
    const double x = std::log(o.point.D / o.point.N);
    least = std::min(least, x), most = std::max(most, x);
  }
  return std::exp(least + share * (most - least));
}

/// The largest size but one; 0 for a single size.
double size_limit(const std::vector<Observation>& rows) {
  std::set<double> sizes;
  for (const Observation& o : rows) sizes.insert(o.point.N);
  return sizes.size() < 2 ? 0 : *std::prev(sizes.end(), 2);
}

/// The form predicts left-out cells better than the power by the margin that the rule asks for.
bool beats_power(const GrowthRival& r, const Growth& growth, const Thresholds& thresholds) {
  return r.held_out.failures == 0 && r.held_out.rmse_log < thresholds.form_margin * growth.of_power.rmse_log;
}

/// Of the forms that level off and beat the power the one of least error; nullptr when there is none.
const GrowthRival* best_levelling(const Growth& growth, const Thresholds& thresholds) {
  const GrowthRival* best = nullptr;
  for (const GrowthRival& r : growth.rivals)
    if (r.levels_off && beats_power(r, growth, thresholds) && (!best || r.held_out.rmse_log < best->held_out.rmse_log))
      best = &r;
  return best;
}

GrowthEvidence evidence_of(const Growth& growth, const Thresholds& thresholds) {
  const GrowthRival* levelling = best_levelling(growth, thresholds);
  GrowthEvidence evidence{growth.parameters[1], levelling != nullptr, growth.bend.high < 0,
                          growth.change,        growth.last,          growth.bend};
  if (levelling != nullptr) evidence.levelling = levelling->contrast.difference;
  return evidence;
}

std::string levelling_in_words(const Growth& growth, const Thresholds& thresholds) {
  if (const GrowthRival* best = best_levelling(growth, thresholds))
    return fmt::format(
        ", yet the form {} levels off and predicts left-out cells better ({:.3g} against {:.3g} in ln units).",
        best->name, best->held_out.rmse_log, growth.of_power.rmse_log);
  return fmt::format(
      ": it grows and then levels off. The local exponent falls with tokens; between the last two checkpoints of each "
      "size it is {}.",
      in_words(growth.last));
}

/// How the sentence on the exponent ends.
std::string reason_in_words(GrowthReason reason, const Growth& growth, const GrowthRule& rule,
                            const Thresholds& thresholds) {
  const double minimum = thresholds.*rule.minimum, equivalence = thresholds.*rule.equivalence;
  switch (reason) {
    case GrowthReason::no_interval:
      return ", but there is no interval: it takes at least two trajectories (sizes and seeds), and an exponent "
             "that stands without any one of them.";
    case GrowthReason::levels_off: return levelling_in_words(growth, thresholds);
    case GrowthReason::bends:
      return fmt::format(
          ": it grows, but not as one power. The local exponent falls with tokens; between the last "
          "two checkpoints of each size it is {}.",
          in_words(growth.last));
    case GrowthReason::grows:
      return fmt::format(
          ": the interval lies above {:g}; between the last two checkpoints of each size the "
          "exponent is {}.",
          minimum, in_words(growth.last));
    case GrowthReason::shrinks: return fmt::format(": the interval lies below {:g}.", minimum);
    case GrowthReason::flat: return fmt::format(": no growth within {:g} of {:g}.", equivalence, minimum);
    case GrowthReason::open:
      return fmt::format(": the interval holds {:g} but is too wide to exclude growth.", minimum);
    case GrowthReason::unsteady:
      return fmt::format(
          ": it grows, but whether as one power is not shown. From the first to the second half of ln D the exponent "
          "changes by {}.",
          in_words(growth.change));
  }
  return "";
}

/// The answer to the question in one sentence: a power, a plateau, no growth, or what is left open.
std::string plain_answer(GrowthReason reason) {
  switch (reason) {
    case GrowthReason::grows: return "It grows as a power of the tokens.";
    case GrowthReason::levels_off: return "It grows and then levels off.";
    case GrowthReason::bends: return "It grows ever more slowly, not as a power; whether it levels off is not decided.";
    case GrowthReason::shrinks: return "It does not grow: it shrinks.";
    case GrowthReason::flat: return "It does not grow.";
    case GrowthReason::unsteady: return "It grows; whether as a power is not decided.";
    case GrowthReason::no_interval:
    case GrowthReason::open: break;
  }
  return "Whether it grows is not decided.";
}

/// Whether the rows tell updates from tokens, and the tokens of one update where they do not.
std::pair<Updates, double> updates_of(const GrowthRows& measured) {
  double least = INFINITY, most = 0;
  for (std::size_t i = 0; i < measured.rows.size(); ++i) {
    if (!(measured.updates[i] > 0)) return {Updates::unknown, NAN};
    const double tokens = measured.rows[i].point.D / measured.updates[i];
    least = std::min(least, tokens), most = std::max(most, tokens);
  }
  if (most > least * (1 + 1e-9)) return {Updates::apart, NAN};
  return {Updates::as_tokens, least};
}

/// The same rows over updates instead of tokens.
std::vector<Observation> over_updates(const GrowthRows& measured) {
  std::vector<Observation> rows = measured.rows;
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].point.D = measured.updates[i];
  return rows;
}

/// Held-out errors of the power and of every rival.
void score_rivals(Growth& growth, const GrowthLaws& laws, const GrowthRows& measured, const Thresholds& thresholds) {
  const std::vector<Observation>& rows = measured.rows;
  const auto of_power = held_out_rows(laws.power, rows, {}, Scale::log);
  growth.of_power = summarize_held_out(of_power, rows);
  const int count = growth.updates == Updates::apart ? 4 : 3;
  const auto add = [&](GrowthRival rival, LawKind kind, const FitOptions& options,
                       const std::vector<Observation>& seen) {
    const auto errors = held_out_rows(kind, seen, options, Scale::log);
    rival.held_out = summarize_held_out(errors, rows);
    rival.contrast = contrast_errors(of_power, errors, rows, simultaneous_options(thresholds, count));
    growth.rivals.push_back(std::move(rival));
  };
  add({"saturating_ratio", "saturating in D/N"}, laws.in_ratio, warmed(form_of(laws.in_ratio), rows).options, rows);
  add({"saturating_d", "saturating in D"}, laws.in_tokens, warmed(form_of(laws.in_tokens), rows).options, rows);
  if (growth.updates == Updates::apart) {
    const auto seen = over_updates(measured);
    add({"saturating_updates", "saturating in updates"}, laws.in_tokens, warmed(form_of(laws.in_tokens), seen).options,
        seen);
  }
  FitOptions held;
  held.start = growth.fit.parameters;
  held.start[1] = 0;
  held.held.assign(held.start.size(), NAN);
  held.held[1] = 0;
  add({"none", "no dependence on D", false}, laws.power, held, rows);
}

/// Level and ln of the place of the plateau; empty where the rows show none.
/// math    level = ln form(D = infinity); a single size holds the exponent of N at 0
std::vector<Interval> fit_plateau(LawKind kind, const std::vector<Observation>& rows, bool is_one_size,
                                  const IntervalOptions& interval) {
  double least = INFINITY, most = 0, bits = INFINITY, log_size = 0;
  for (const Observation& o : rows) {
    least = std::min(least, o.point.D), most = std::max(most, o.point.D), bits = std::min(bits, o.point.P);
    log_size += std::log(o.point.N) / static_cast<double>(rows.size());
  }
  FitOptions options;
  if (is_one_size) {
    options.held.assign(law(kind).parameters.size(), NAN);
    options.held[1] = 0;
  }
  const FitSummary whole = fit(kind, rows, options);
  if (!whole.is_usable() || !(whole.parameters[2] > std::log(least)) || !(whole.parameters[2] < std::log(most)))
    return {};
  options.start = whole.parameters;
  const Point end{std::exp(log_size), INFINITY, bits};
  const auto statistic = [&](const std::vector<std::size_t>& sample) {
    std::vector<Observation> some;
    for (const std::size_t i : sample) some.push_back(rows[i]);
    const FitSummary s = fit(kind, some, options);
    if (!s.is_usable()) return std::vector<double>{NAN, NAN};
    return std::vector<double>{std::log(predict(kind, s.parameters, end)), s.parameters[2]};
  };
  return jackknife(keys_of(rows), statistic, interval);
}

/// Level and place as findings; `part` ends their keys and `words` their labels.
void add_plateau_fit(Verdict& v, const std::vector<Interval>& found, const std::string& part,
                     const std::string& words) {
  add_finding(v, {"plateau.level" + part, "ln of the plateau" + words, "ln"}, found[0]);
  add_finding(v, {"plateau.place" + part, "tokens at which 1 - 1/e of the plateau is reached" + words, "tokens"},
              exponential(found[1]));
}

}  // namespace

Growth measure_growth(const GrowthLaws& laws, const GrowthRows& measured, const Thresholds& thresholds) {
  const std::vector<Observation>& rows = measured.rows;
  const FitIntervals fitted = fit_intervals(laws.power, rows, {}, interval_options(thresholds));
  Growth growth;
  growth.power = laws.power;
  growth.cells = count_cells(keys_of(rows));
  std::tie(growth.updates, growth.tokens_per_update) = updates_of(measured);
  growth.fit = fitted.fit;
  if (!growth.fit.is_usable()) return growth;
  growth.parameters = fitted.parameters;
  score_rivals(growth, laws, measured, thresholds);
  measure_shape(growth, rows, thresholds);
  return growth;
}

void decide_growth(Verdict& v, const Growth& growth, const std::string& what, const GrowthRule& rule,
                   const Thresholds& thresholds) {
  const int cells_min = static_cast<int>(thresholds.cells_min);
  if (!growth.fit.is_usable() || growth.cells < cells_min) {
    v.prose = fmt::format("Nothing can be said about the growth of {}: {} ({} rows in {} cells, at least {} needed).",
                          what, growth.fit.is_usable() ? "the grid has too few cells" : why_unusable(growth), v.n,
                          growth.cells, cells_min);
    return;
  }
  const Interval& g = growth.parameters[1];
  set_estimate(v, g);
  const GrowthEvidence evidence = evidence_of(growth, thresholds);
  v.outcome = rule(evidence, thresholds);
  v.answer = plain_answer(rule.reason(evidence, thresholds));
  v.p_value = rule.p_value(evidence, thresholds);
  v.prose = fmt::format("{} goes as D^{} over {} rows in {} cells", what, in_words(g), v.n, growth.cells) +
            reason_in_words(rule.reason(evidence, thresholds), growth, rule, thresholds);
}

void add_held_out(Verdict& v, const Name& form, const HeldOut& held_out, const std::string& part) {
  add_finding(v, {part + "held_out." + form.key, "held-out error: " + form.label, "ln"}, held_out.rmse_log);
  if (held_out.failures > 0)
    add_finding(v, {part + "held_out_failures." + form.key, "held-out failures: " + form.label}, held_out.failures);
}

void add_held_out(Verdict& v, LawKind kind, const HeldOut& held_out) {
  add_held_out(v, {law(kind).key, law(kind).name}, held_out);
}

void add_growth(Verdict& v, const Growth& growth, const std::vector<Observation>& rows) {
  add_controls(v, growth, rows);
  add_fit_findings(v, growth);
  if (!growth.fit.is_usable()) return;
  if (growth.updates == Updates::as_tokens) {
    add_finding(v, {"indistinguishable.saturating_updates", "tokens of every update, the same in all rows", "tokens"},
                growth.tokens_per_update);
    v.prose += " Every update has equally many tokens, so that these rows cannot tell updates from tokens.";
  }
  add_growth_forms(v, growth, {});
  std::string equal, better;
  for (const GrowthRival& r : growth.rivals) {
    const bool is_known = r.contrast.rows > 0 && std::isfinite(r.contrast.difference.low);
    if (is_known && r.contrast.is_equal) equal += (equal.empty() ? "" : "; ") + r.name;
    if (is_known && r.contrast.difference.low > 0) better += (better.empty() ? "" : "; ") + r.name;
  }
  if (!better.empty()) v.prose += " Held out, the power is beaten beyond the interval by: " + better + ".";
  if (!equal.empty()) v.prose += " Held out, these rows cannot tell the power from: " + equal + ".";
}

void add_growth_forms(Verdict& v, const Growth& growth, const Name& quantity) {
  const std::string prefix = quantity.key.empty() ? "forms." : quantity.key + ".forms.";
  const std::string words = quantity.label.empty() ? "" : ", " + quantity.label;
  const auto add = [&](const std::string& key, const std::string& name, const HeldOut& held_out) {
    add_finding(v, {prefix + key + ".held_out", "held-out error: " + name + words, "ln"}, held_out.rmse_log);
    if (held_out.failures > 0)
      add_finding(v, {prefix + key + ".failures", "held-out failures: " + name + words}, held_out.failures);
  };
  add("power", "power of D", growth.of_power);
  for (const GrowthRival& r : growth.rivals) {
    add(r.key, r.name, r.held_out);
    add_finding(v, {prefix + r.key + ".difference", "squared held-out error, power minus " + r.name + words, "ln^2"},
                r.contrast.difference);
  }
}

void add_plateau(Verdict& v, const Growth& growth, const GrowthLaws& laws, const std::vector<Observation>& rows,
                 const Thresholds& thresholds) {
  constexpr std::size_t least_counts = 4, least_seeds = 2;  // a level, a place and a slope need more than three
  const IntervalOptions interval = interval_options(thresholds);
  std::map<double, std::vector<Observation>> sizes;
  for (const Observation& o : rows) sizes[o.point.N].push_back(o);
  if (const auto all = fit_plateau(laws.in_tokens, rows, sizes.size() < 2, interval); !all.empty()) {
    add_plateau_fit(v, all, "", "");
    const auto in_d = std::find_if(growth.rivals.begin(), growth.rivals.end(),
                                   [](const GrowthRival& r) { return r.key == "saturating_d"; });
    if (beats_power(*in_d, growth, thresholds))
      v.prose += fmt::format(" Levelling off in D, it has reached 1 - 1/e of its plateau, of ln {}, at {} tokens.",
                             in_words(all[0]), in_words(exponential(all[1])));
  }
  for (const auto& [size, own] : sizes) {
    std::set<double> tokens;
    std::set<std::int64_t> seeds;
    for (const Observation& o : own) tokens.insert(o.point.D), seeds.insert(o.seed);
    if (sizes.size() < 2 || tokens.size() < least_counts || seeds.size() < least_seeds) continue;
    const auto found = fit_plateau(laws.in_tokens, own, true, interval);
    if (!found.empty()) add_plateau_fit(v, found, ".n_" + key_number(size), fmt::format(", N = {:g}", size));
  }
}

void add_reach(Verdict& v, const std::vector<LawKind>& forms, const std::vector<Observation>& rows,
               const Thresholds& thresholds) {
  if (rows.empty()) return;
  const double ratio = overtraining_limit(rows, thresholds.reach_share), size = size_limit(rows);
  const Split by_ratio = split_by_overtraining(rows, ratio), by_size = split_by_size(rows, size);
  add_finding(v, {"reach.limit", "largest D/N fitted to predict the rest", "tokens/parameter"}, ratio);
  add_control(v, Control::larger_ratio, !by_ratio.predicted.empty() && !by_ratio.fitted.empty());
  add_control(v, Control::larger_size, !by_size.fitted.empty());
  for (const LawKind kind : forms) {
    const std::string &key = law(kind).key, &name = law(kind).name;
    const FitOptions options = warmed(form_of(kind), rows).options;
    add_finding(v, {"aicc." + key, "AICc: " + name}, aicc(fit(kind, rows, options), rows));
    const Extrapolation beyond = extrapolate(kind, by_ratio, options, Scale::log);
    add_finding(v, {"larger_ratio.error." + key, "error at larger D/N: " + name, "ln"}, beyond.rmse);
    add_finding(v, {"larger_ratio.bias." + key, "measured minus predicted at larger D/N: " + name, "ln"}, beyond.bias);
    if (by_size.fitted.empty()) continue;
    const Extrapolation larger = extrapolate(kind, by_size, options, Scale::log);
    add_finding(v, {"larger_size.error." + key, "error at a larger N: " + name, "ln"}, larger.rmse);
    add_finding(v, {"larger_size.bias." + key, "measured minus predicted at a larger N: " + name, "ln"}, larger.bias);
  }
}

}  // namespace hone::theory
