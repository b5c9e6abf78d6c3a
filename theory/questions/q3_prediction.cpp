#include "theory/questions/q3_prediction.hpp"

#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/q3_mediators.hpp"
#include "theory/questions/regime.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// Groups that share a constant: bit widths, or sizes and bit widths. Between widths the prediction differs by the
/// arithmetic of the grid, which is no evidence on curvature.
struct Groups {
  std::vector<std::size_t> by_bits, by_size_and_bits;

  explicit Groups(const PredictionRows& p) {
    std::map<double, std::size_t> bits;
    std::map<std::pair<double, double>, std::size_t> both;
    for (const PtqRow& r : p.rows) {
      by_bits.push_back(bits.try_emplace(r.P, bits.size()).first->second);
      by_size_and_bits.push_back(both.try_emplace({r.N, r.P}, both.size()).first->second);
    }
  }
};

/// What the prediction says of the damage over some rows.
struct PredictionFit {
  Interval slope, slope_within_size, slope_pooled;  ///< of ln delta on ln prediction
  Interval tokens, tokens_within_size;              ///< exponent of D at fixed prediction
  Interval ratio;                                   ///< measured over predicted
  double r2 = NAN;                                  ///< within bit widths
};

PredictionFit fit_prediction(const PredictionRows& p, const Thresholds& thresholds) {
  const Groups groups(p);
  std::vector<double> log_d, log_ratio;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    log_d.push_back(std::log(p.rows[i].D));
    log_ratio.push_back(p.log_delta[i] - p.log_predicted[i]);
  }
  const auto within = [&](const std::vector<std::vector<double>>& columns, const std::vector<std::size_t>& group,
                          const Sample& rows) { return regress_within(columns, p.log_delta, p.sigma, group, rows); };
  const auto statistic = [&](const Sample& rows) {
    return std::vector<double>{within({p.log_predicted}, groups.by_bits, rows)[0],
                               within({p.log_predicted}, groups.by_size_and_bits, rows)[0],
                               regress({p.log_predicted}, p.log_delta, p.sigma, rows)[1],
                               within({p.log_predicted, log_d}, groups.by_bits, rows)[1],
                               within({p.log_predicted, log_d}, groups.by_size_and_bits, rows)[1],
                               std::exp(weighted_mean(log_ratio, p.sigma, rows))};
  };
  const auto found = jackknife(p.keys, statistic, interval_options(thresholds));
  const double r2 = r_squared_within({p.log_predicted}, {found[0].estimate}, p.log_delta, p.sigma, groups.by_bits,
                                     all_indices(p.rows.size()));
  return {found[0], found[1], found[2], found[3], found[4], found[5], r2};
}

/// The findings of a fit; `part` is "" or "late.".
void add_prediction_fit(Verdict& v, const PredictionFit& fit, const std::string& part, const std::string& words) {
  if (!part.empty()) add_finding(v, {part + "slope", "slope within bit widths" + words}, fit.slope);
  add_finding(v, {part + "slope.within_size", "slope within sizes and bit widths" + words}, fit.slope_within_size);
  add_finding(v, {part + "slope.pooled", "slope with one constant for all bit widths" + words}, fit.slope_pooled);
  add_finding(v, {part + "residual_gamma_d", "exponent of D at fixed prediction, within bit widths" + words},
              fit.tokens);
  add_finding(
      v,
      {part + "residual_gamma_d.within_size", "exponent of D at fixed prediction, within sizes and bit widths" + words},
      fit.tokens_within_size);
  add_finding(v, {part + "ratio", "measured over predicted damage" + words}, fit.ratio);
  add_finding(v, {part + "r2", "R2 within bit widths" + words}, fit.r2);
}

/// d ln delta/d ln D within (N, P) and its five parts; delta is without its first-order term. One design serves all six
/// slopes, and the parts add up to ln delta (up to a constant) in every row, hence the slopes add up too. The parts are
/// not invariant under rescaling of normalized weights: W -> cW leaves the function, multiplies step² by c² and divides
/// tr H by c².
void add_split(Verdict& v, const PredictionRows& p, const std::vector<SharpnessRow>& sharpness, const std::string& part,
               const std::string& words, const Thresholds& thresholds) {
  std::map<std::tuple<std::string, std::string, double>, double> trace_at;
  for (const SharpnessRow& r : sharpness) trace_at[{r.run, r.variant, r.D}] = r.trace;
  std::vector<RowKey> keys;
  std::vector<double> log_d, sigma;
  std::vector<std::vector<double>> parts(6);
  std::vector<std::size_t> group;
  std::map<std::pair<double, double>, std::size_t> groups;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const PtqRow& r = p.rows[i];
    const auto at = trace_at.find({r.run, r.variant, r.D});
    const double trace = at == trace_at.end() ? NAN : at->second;
    if (!(r.quadratic > 0) || !(r.mean_step2 > 0) || !(trace > 0) || !std::isfinite(r.quadratic * r.mean_step2 * trace))
      continue;
    keys.push_back(p.keys[i]);
    log_d.push_back(std::log(r.D));
    sigma.push_back(p.sigma[i]);
    group.push_back(groups.try_emplace({r.N, r.P}, groups.size()).first->second);
    const double log_step2 = std::log(r.mean_step2), log_quadratic = std::log(r.quadratic), log_trace = std::log(trace);
    parts[0].push_back(p.log_delta[i]);
    parts[1].push_back(log_trace);
    parts[2].push_back(log_step2);
    parts[3].push_back(p.log_predicted[i] - log_trace - log_step2);
    parts[4].push_back(log_quadratic - p.log_predicted[i]);
    parts[5].push_back(p.log_delta[i] - log_quadratic);
  }
  if (part.empty()) add_control(v, Control::growth_split, !keys.empty());
  if (keys.empty()) return;
  const auto slopes = [&](const Sample& rows) {
    std::vector<double> values;
    for (const auto& column : parts) values.push_back(slope_within(log_d, column, sigma, group, rows));
    return values;
  };
  const auto intervals = jackknife(keys, slopes, interval_options(thresholds));
  const Name names[] = {{"growth", "d ln delta/d ln D"},
                        {"growth.trace", "d ln delta/d ln D: tr H"},
                        {"growth.step", "d ln delta/d ln D: squared step"},
                        {"growth.channels", "d ln delta/d ln D: weight of channels"},
                        {"growth.alignment", "d ln delta/d ln D: alignment"},
                        {"growth.higher", "d ln delta/d ln D: higher order"}};
  for (std::size_t k = 0; k < intervals.size(); ++k)
    add_finding(v, {part + names[k].key, names[k].label + words}, intervals[k]);
}

/// Σ delta / Σ predicted at each number of bits over all trunk rows, negative damages and first-order terms included,
/// and Σ g'e / Σ predicted alone: 0 if taking g'e out moves no expectation.
void add_ratio_by_bits(Verdict& v, const Table& table, const Thresholds& thresholds) {
  std::map<double, std::vector<PtqRow>> by_bits;
  for (const PtqRow& r : table.ptq)
    if (r.is_transformer() && is_main_trunk(r) && std::isfinite(r.delta) && r.predicted > 0 &&
        std::isfinite(r.predicted))
      by_bits[r.P].push_back(r);
  for (const auto& [bits, rows] : by_bits) {
    const auto ratio = [&rows](const Sample& sample) {
      double measured = 0, predicted = 0, first_order = 0, beside = 0;
      for (const std::size_t i : sample) {
        measured += rows[i].delta, predicted += rows[i].predicted;
        if (std::isfinite(rows[i].gradient)) first_order += rows[i].gradient, beside += rows[i].predicted;
      }
      return std::vector<double>{measured / predicted, first_order / beside};
    };
    const auto intervals = jackknife(keys_of(rows), ratio, interval_options(thresholds));
    const std::string place = ".bits_" + key_number(bits);
    add_finding(v, {"sum_ratio" + place, fmt::format("sum of damage over sum of prediction at {:g} bits", bits)},
                intervals[0]);
    add_finding(v,
                {"first_order_ratio" + place,
                 fmt::format("sum of first-order terms over sum of prediction at {:g} bits", bits)},
                intervals[1]);
  }
}

/// The expected size of g'e in each row.
/// math    ln|g'e| = a + b ln predicted + c P over all rows; for normal g'e of standard deviation s, E ln|g'e| = ln s -
///         (γ + ln 2)/2. The g'e of the row itself would not do: through the logarithm its weight would follow its sign
std::vector<double> first_order_sizes(const std::vector<PtqRow>& rows) {
  std::vector<double> log_predicted, bits, log_size;
  for (const PtqRow& r : rows) {
    log_predicted.push_back(std::log(r.predicted)), bits.push_back(r.P);
    log_size.push_back(std::log(std::abs(r.gradient)));
  }
  const auto c =
      regress({log_predicted, bits}, log_size, std::vector<double>(rows.size(), 1), all_indices(rows.size()));
  constexpr double of_normal = 0.635181422730739;
  std::vector<double> sizes;
  for (std::size_t i = 0; i < rows.size(); ++i)
    sizes.push_back(std::exp(c[0] + c[1] * log_predicted[i] + c[2] * bits[i] + of_normal));
  return sizes;
}

/// The slope that one finds with the first-order term left in, and with it taken out of the same rows: those whose
/// prediction exceeds the noise of both and whose damage is positive, which leaves few at many bits.
void add_plain_slope(Verdict& v, const Table& table, const Thresholds& thresholds) {
  std::vector<PtqRow> rows;
  for (const PtqRow& r : table.ptq)
    if (r.is_transformer() && is_main_trunk(r) && r.P >= thresholds.ptq_bits_min && r.P <= thresholds.ptq_bits_max &&
        r.predicted > 0 && std::abs(r.gradient) > 0 && std::isfinite(r.delta) && std::isfinite(r.delta_se) &&
        std::isfinite(r.gradient))
      rows.push_back(r);
  const std::vector<double> sizes = first_order_sizes(rows);
  std::vector<PtqRow> kept;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    PtqRow r = rows[i];
    r.delta_se = std::hypot(r.delta_se, sizes[i]);
    const bool is_clear = r.predicted > thresholds.ptq_min_snr * r.delta_se;
    if (is_clear && std::min(r.delta, without_first_order(r).delta) > 0) kept.push_back(r);
  }
  if (kept.empty()) return;
  const PredictionRows p = prediction_columns(kept, thresholds);
  std::vector<double> log_second;
  for (const PtqRow& r : kept) log_second.push_back(std::log(without_first_order(r).delta));
  const auto slopes = [&](const Sample& sample) {
    return std::vector<double>{regress({p.log_predicted}, p.log_delta, p.sigma, sample)[1],
                               regress({p.log_predicted}, log_second, p.sigma, sample)[1]};
  };
  const auto intervals = jackknife(p.keys, slopes, interval_options(thresholds));
  add_finding(v, {"slope.with_first_order", "slope with the first-order term left in"}, intervals[0]);
  add_finding(v, {"slope.without_first_order", "slope with it taken out of the same rows"}, intervals[1]);
}

/// The same numbers over the late regime alone; a sentence on it.
std::string add_late(Verdict& v, const Table& table, const PredictionRows& p, const Thresholds& thresholds) {
  const LateRegime regime(table, thresholds);
  add_finding(v, {"late.knee", "tokens at the knee of the trace", "tokens"}, regime.knee_tokens());
  const PredictionRows late = prediction_columns(late_rows(p.rows, regime), thresholds);
  add_finding(v, {"late.rows", "rows of the late regime, " + regime.words()}, double(late.rows.size()));
  if (count_cells(late.keys) < thresholds.cells_min) return "";
  const PredictionFit fit = fit_prediction(late, thresholds);
  add_prediction_fit(v, fit, "late.", ", late");
  add_split(v, late, table.sharpness, "late.", ", late", thresholds);
  return fmt::format(" In the late regime ({}) the slope is {}, and D^{} is left.", regime.words(), in_words(fit.slope),
                     in_words(fit.tokens));
}

}  // namespace

Verdict judge_prediction(const Table& table, const Thresholds& thresholds) {
  Verdict v =
      open_verdict("Q3", "Does sharpness explain the damage?",
                   "the damage, its first-order term of mean zero taken out, is proportional to the zero-parameter "
                   "prediction from curvature and step size",
                   {"slope", "slope of ln damage on ln prediction within bit widths"}, prediction_rule(), thresholds);
  Dropped dropped;
  const PredictionRows p = prediction_rows(table, thresholds, dropped);
  v.n = static_cast<int>(p.rows.size());
  add_dropped(v, dropped);
  const int cells = count_cells(p.keys), cells_min = static_cast<int>(thresholds.cells_min);
  if (cells < cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: {} rows with a usable prediction in {} cells, at least {} cells "
        "needed.",
        v.n, cells, cells_min);
    return v;
  }
  const PredictionFit fit = fit_prediction(p, thresholds);
  set_estimate(v, fit.slope);
  add_prediction_fit(v, fit, "", "");
  add_control(v, Control::no_row_lost, dropped.not_positive == 0);
  add_control(v, Control::residual_exponent, std::isfinite(fit.tokens.low));
  add_ratio_by_bits(v, table, thresholds);
  add_plain_slope(v, table, thresholds);
  add_split(v, p, table.sharpness, "", "", thresholds);
  const std::string late = add_late(v, table, p, thresholds);
  const std::string best = add_mediators(v, table, p, thresholds);

  v.prose = fmt::format(
      "Within each bit width ln damage rises with ln prediction at slope {} over {} rows. At fixed prediction it still "
      "goes as D^{}. Measured over predicted damage is {}.{}{}",
      in_words(fit.slope), v.n, in_words(fit.tokens), in_words(fit.ratio), late, best);
  decide(v, prediction_rule(), fit.slope, thresholds);
  return v;
}

}  // namespace hone::theory
