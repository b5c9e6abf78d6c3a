#include "theory/questions/growth.hpp"

#include <map>
#include <set>

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
  add_control(v, Control::saturating_rival, std::isfinite(growth.of_rival.rmse_log));
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

GrowthEvidence evidence_of(const Growth& growth, const Thresholds& thresholds) {
  const bool saturates =
      growth.of_rival.failures == 0 && growth.of_rival.rmse_log < thresholds.form_margin * growth.of_power.rmse_log;
  return {growth.parameters[1], saturates, growth.bend.high < 0, growth.change};
}

/// How the sentence on the exponent ends.
std::string reason_in_words(GrowthReason reason, const Growth& growth, double minimum, double equivalence) {
  switch (reason) {
    case GrowthReason::no_interval:
      return ", but there is no interval: it takes at least two trajectories (sizes and seeds), and an exponent "
             "that stands without any one of them.";
    case GrowthReason::saturates:
      return fmt::format(
          ", yet a form that levels off in D/N predicts left-out cells better ({:.3g} against "
          "{:.3g} in ln units).",
          growth.of_rival.rmse_log, growth.of_power.rmse_log);
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

/// The answer to the question in one sentence.
std::string plain_answer(GrowthReason reason) {
  switch (reason) {
    case GrowthReason::grows: return "Yes, as one power of the tokens.";
    case GrowthReason::bends: return "It grows, but not as one power: the growth slows down with tokens.";
    case GrowthReason::saturates: return "It grows, but levels off in tokens per parameter.";
    case GrowthReason::shrinks: return "No, it shrinks.";
    case GrowthReason::flat: return "No, it stays as it is.";
    case GrowthReason::unsteady: return "It grows; this study does not decide whether as one power.";
    case GrowthReason::no_interval:
    case GrowthReason::open: break;
  }
  return "This study does not decide it.";
}

}  // namespace

Growth measure_growth(LawKind power, LawKind rival, const std::vector<Observation>& rows,
                      const Thresholds& thresholds) {
  const FitIntervals fitted = fit_intervals(power, rows, {}, interval_options(thresholds));
  Growth growth;
  growth.power = power, growth.rival = rival;
  growth.cells = count_cells(keys_of(rows));
  growth.fit = fitted.fit;
  if (!growth.fit.is_usable()) return growth;
  growth.parameters = fitted.parameters;
  const FunctionalForm other = warmed(form_of(rival), rows);
  const auto of_power = held_out_rows(power, rows, {}, Scale::log);
  const auto of_rival = held_out_rows(rival, rows, other.options, Scale::log);
  growth.of_power = summarize_held_out(of_power, rows);
  growth.of_rival = summarize_held_out(of_rival, rows);
  growth.contrast = contrast_errors(of_power, of_rival, rows, interval_options(thresholds));
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
  v.prose = fmt::format("{} goes as D^{} over {} rows in {} cells", what, in_words(g), v.n, growth.cells) +
            reason_in_words(rule.reason(evidence, thresholds), growth, thresholds.*rule.minimum,
                            thresholds.*rule.equivalence);
}

void add_held_out(Verdict& v, const Name& form, const HeldOut& held_out) {
  add_finding(v, {"held_out." + form.key, "held-out error: " + form.label, "ln"}, held_out.rmse_log);
  if (held_out.failures > 0)
    add_finding(v, {"held_out_failures." + form.key, "held-out failures: " + form.label}, held_out.failures);
}

void add_held_out(Verdict& v, LawKind kind, const HeldOut& held_out) {
  add_held_out(v, {law(kind).key, law(kind).name}, held_out);
}

void add_growth(Verdict& v, const Growth& growth, const std::vector<Observation>& rows) {
  add_controls(v, growth, rows);
  add_fit_findings(v, growth);
  if (!growth.fit.is_usable()) return;
  add_finding(v, {"held_out_difference.saturating", "squared held-out error, power minus saturating", "ln^2"},
              growth.contrast.difference);
  if (growth.contrast.rows > 0 && growth.contrast.is_equal && std::isfinite(growth.contrast.difference.low))
    v.prose += " Held out, these rows cannot tell the power from the form that levels off in D/N.";
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
