// Q1 and Q2: does the damage, does the sharpness grow as a power of the tokens?
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/evidence.hpp"
#include "theory/questions.hpp"

namespace hone::theory {
namespace {

constexpr const char* growth_rule =
    "supported: interval above the minimum; refuted: interval below it, or holding it within the "
    "equivalence "
    "band, or the local exponent falls (interval of the quadratic term below 0), or the saturating form wins held "
    "out; inconclusive otherwise";

struct Growth {
  FitSummary fit;
  std::vector<Interval> parameters;  // of the power law, in its order
  Interval bend{NAN, NAN, NAN, 0};   // half the change of the local exponent per e-fold of tokens
  Interval last{NAN, NAN, NAN, 0};   // exponent between the last two token counts of each size
  HeldOut power;
  HeldOut saturating;
  int cells = 0;
};

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
    std::vector<std::size_t> last;
    for (const std::size_t i : sample) {
      u[i] = square[i] - of_square * x[i];
      w[i] = y[i] - of_y * x[i];
      if (is_last[i]) last.push_back(i);
    }
    return std::vector<double>{slope_within(u, w, sigma, group, sample), slope_within(x, y, sigma, group, last)};
  };
  const auto intervals = jackknife(keys_of(rows), shape, interval_options(thresholds));
  growth.bend = intervals[0];
  growth.last = intervals[1];
}

/// Fit with intervals and held-out errors.
Growth measure_growth(LawKind power, LawKind saturating, const std::vector<Observation>& rows,
                      const Thresholds& thresholds) {
  const FitOptions options;
  const FitIntervals fitted = fit_intervals(power, rows, options, interval_options(thresholds));
  Growth growth;
  growth.cells = count_cells(keys_of(rows));
  growth.fit = fitted.fit;
  if (!growth.fit.is_usable()) return growth;
  growth.parameters = fitted.parameters;
  growth.power = held_out_error(power, rows, options);
  growth.saturating = held_out_error(saturating, rows, options);
  measure_shape(growth, rows, thresholds);
  return growth;
}

const char* why_unusable(const Growth& growth) {
  if (growth.fit.stop == Stop::rank_deficient)
    return "tokens and model size move together in this design, so their exponents cannot be told "
           "apart";
  return "too few rows are left to fit";
}

/// Sets outcome, estimate and prose from the growth exponent (parameter 1 of every power law).
void decide_growth(Verdict& v, const Growth& growth, const std::string& what, double minimum, double equivalence,
                   const Thresholds& thresholds) {
  const int cells_min = static_cast<int>(value_of(thresholds, "cells_min"));
  if (!growth.fit.is_usable() || growth.cells < cells_min) {
    v.prose = fmt::format("Nothing can be said about the growth of {}: {} ({} rows in {} cells, at least {} needed).",
                          what, growth.fit.is_usable() ? "the grid has too few cells" : why_unusable(growth), v.n,
                          growth.cells, cells_min);
    return;
  }
  const Interval& g = growth.parameters[1];
  set_estimate(v, g);
  const std::string number =
      fmt::format("{} goes as D^{} over {} rows in {} cells", what, in_words(g), v.n, growth.cells);
  const double margin = value_of(thresholds, "form_margin");
  const bool saturates = growth.saturating.failures == 0 && growth.saturating.rmse_log < margin * growth.power.rmse_log;
  if (!std::isfinite(g.low) || !std::isfinite(g.high)) {
    v.prose = fmt::format(
        "{}, but there is no interval: it takes at least two trajectories (sizes and seeds), and an exponent "
        "that stands without any one of them.",
        number);
  } else if (g.low > minimum && saturates) {
    v.outcome = Outcome::refuted;
    v.prose = fmt::format(
        "{}, yet a form that levels off in D/N predicts left-out cells better ({:.3g} against "
        "{:.3g} in ln units).",
        number, growth.saturating.rmse_log, growth.power.rmse_log);
  } else if (g.low > minimum && growth.bend.high < 0) {
    v.outcome = Outcome::refuted;
    v.prose = fmt::format(
        "{}: it grows, but not as one power. The local exponent falls with tokens; between the last "
        "two checkpoints of each size it is {}.",
        number, in_words(growth.last));
  } else if (g.low > minimum) {
    v.outcome = Outcome::supported;
    v.prose = fmt::format(
        "{}: the interval lies above {:g}; between the last two checkpoints of each size the "
        "exponent is {}.",
        number, minimum, in_words(growth.last));
  } else if (g.high < minimum) {
    v.outcome = Outcome::refuted;
    v.prose = fmt::format("{}: the interval lies below {:g}.", number, minimum);
  } else if (g.low >= minimum - equivalence && g.high <= minimum + equivalence) {
    v.outcome = Outcome::refuted;
    v.prose = fmt::format("{}: no growth within {:g} of {:g}.", number, equivalence, minimum);
  } else {
    v.prose = fmt::format("{}: the interval holds {:g} but is too wide to exclude growth.", number, minimum);
  }
}

void add_controls(Verdict& v, const Growth& growth, const std::vector<Observation>& rows) {
  std::set<double> sizes, tokens;
  std::set<std::int64_t> seeds;
  for (const Observation& o : rows) sizes.insert(o.point.N), tokens.insert(o.point.D), seeds.insert(o.seed);
  const double decades = tokens.empty() ? 0 : std::log10(*tokens.rbegin() / *tokens.begin());
  add_control(v, "several seeds", seeds.size() > 1);
  add_control(v, "several model sizes", sizes.size() > 1);
  add_control(v, "N and D not collinear", growth.fit.is_usable() && !growth.fit.collinear);
  add_control(v, "tokens span 1.5 decades", decades >= 1.5);
  add_control(v, "saturating rival fitted to the same rows", std::isfinite(growth.saturating.rmse_log));
  add_detail(v, "decades of tokens", decades);
}

/// Whether all transformer trunk rows share a schedule and a learning rate, as recorded.
template <class Row>
void add_schedule_controls(Verdict& v, const std::vector<Row>& rows) {
  std::set<std::string> schedules;
  std::set<double> rates;
  for (const Row& r : rows)
    if (r.architecture == "transformer" && r.variant == "trunk") schedules.insert(r.schedule), rates.insert(r.peak_lr);
  add_control(v, "one schedule (constant learning rate trunk) for all rows",
              schedules == std::set<std::string>{"constant"});
  add_control(v, "one peak learning rate for all sizes", rates.size() == 1 && *rates.begin() > 0);
}

void add_fit_details(Verdict& v, const Growth& growth) {
  if (!growth.fit.is_usable()) return;
  add_detail(v, "R2", growth.fit.r2);
  add_detail(v, "rmse of ln", growth.fit.rmse_log);
  add_detail(v, "condition number", growth.fit.condition);
  add_detail(v, "exponent between the last two checkpoints", growth.last);
  add_detail(v, "quadratic term in ln D", growth.bend);
}

void add_held_out(Verdict& v, const std::string& form, const HeldOut& held_out) {
  add_detail(v, "held-out error: " + form, held_out.rmse_log);
  if (held_out.failures > 0) add_detail(v, "held-out failures: " + form, held_out.failures);
}

std::vector<Observation> damage_observations(const std::vector<PtqRow>& rows, double scatter) {
  const std::vector<RowKey> keys = keys_of(rows);
  std::vector<Observation> observations;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PtqRow& r = rows[i];
    observations.push_back({{r.N, r.D, r.P},
                            std::log(r.delta),
                            combined_sigma({r.delta_se / r.delta}, scatter),
                            keys[i].cell,
                            keys[i].seed});
  }
  return observations;
}

/// The exponent at each number of bits alone: the least bits are hardly touched by the selection.
void add_exponent_by_bits(Verdict& v, const std::vector<Observation>& rows) {
  std::set<double> bits;
  for (const Observation& o : rows) bits.insert(o.point.P);
  for (const double p : bits) {
    std::vector<Observation> some;
    for (const Observation& o : rows)
      if (o.point.P == p) some.push_back(o);
    const FitSummary s = fit_linear(LawKind::ptq_step, some, FitOptions{});
    if (s.is_usable() && !s.not_identified[1])
      v.details.push_back({fmt::format("gamma_D at {:g} bits", p), s.parameters[1],
                           s.parameters[1] - 2 * s.standard_errors[1], s.parameters[1] + 2 * s.standard_errors[1]});
  }
}

}  // namespace

Verdict judge_damage_growth(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q1", "Does the damage of quantizing weights grow with training tokens?",
                           "the damage grows as a power of the tokens at fixed model size", growth_rule, thresholds,
                           {"q1_gamma_d_min", "q1_equivalence", "form_margin", "ptq_bits_min", "ptq_bits_max",
                            "ptq_min_snr", "fit_scatter", "cells_min"});
  Dropped dropped;
  const std::vector<PtqRow> rows = select_damage(table.ptq, "trunk", thresholds, dropped);
  const std::vector<Observation> observations = damage_observations(rows, value_of(thresholds, "fit_scatter"));
  v.n = static_cast<int>(rows.size());
  const Growth growth = measure_growth(LawKind::ptq_exponential, LawKind::ptq_saturating, observations, thresholds);
  decide_growth(v, growth, "the damage", value_of(thresholds, "q1_gamma_d_min"), value_of(thresholds, "q1_equivalence"),
                thresholds);
  if (dropped.below_noise + dropped.not_positive > 0)
    v.prose += fmt::format(
        " {} rows at or below their noise were left out; they are the small damages, so the "
        "exponent is biased "
        "towards 0.",
        dropped.below_noise + dropped.not_positive);
  add_controls(v, growth, observations);
  add_schedule_controls(v, table.ptq);
  add_fit_details(v, growth);
  if (growth.fit.is_usable()) {
    add_detail(v, "ln C", growth.parameters[0]);
    add_detail(v, "gamma_N", growth.parameters[2]);
    const FitSummary by_power = fit_linear(LawKind::ptq_bit_power, observations, FitOptions{});
    if (by_power.is_usable()) add_detail(v, "gamma_P", by_power.parameters[3]);
    const Interval& k = growth.parameters[3];
    const bool has_interval = k.low > 0;  // otherwise the inverse has no bounded interval
    add_detail(v, "gamma_post",
               Interval{1 / k.estimate, has_interval ? 1 / k.high : NAN, has_interval ? 1 / k.low : NAN, k.failures});
    add_held_out(v, "exponential in bits", growth.power);
    add_held_out(v, "power of bits", held_out_error(LawKind::ptq_bit_power, observations, {}));
    add_held_out(v, "squared step", held_out_error(LawKind::ptq_step, observations, {}));
    add_held_out(v, "saturating in D/N", growth.saturating);
  }
  add_exponent_by_bits(v, observations);
  add_dropped(v, dropped);
  return v;
}

namespace {

/// Observations of one curvature number; rows where it is missing or not positive are dropped and
/// counted.
template <class Value>
std::vector<Observation> curvature_observations(const std::vector<SharpnessRow>& all, double scatter, Dropped& dropped,
                                                Value&& value) {
  std::vector<SharpnessRow> rows;
  for (const SharpnessRow& r : all) {
    if (r.architecture != "transformer" || r.variant != "trunk") continue;
    if (!std::isfinite(value(r)) || !std::isfinite(r.N) || !std::isfinite(r.D))
      ++dropped.not_finite;
    else if (!(value(r) > 0) || !(r.N > 0) || !(r.D > 0))
      ++dropped.not_positive;
    else
      rows.push_back(r);
  }
  const std::vector<RowKey> keys = keys_of(rows);
  std::vector<Observation> observations;
  for (std::size_t i = 0; i < rows.size(); ++i)
    observations.push_back({{rows[i].N, rows[i].D, 0},
                            std::log(value(rows[i])),
                            combined_sigma({rows[i].trace_se / rows[i].trace}, scatter),
                            keys[i].cell,
                            keys[i].seed});
  return observations;
}

void add_sharpness(Verdict& v, const std::string& name, const std::vector<Observation>& rows,
                   const Thresholds& thresholds) {
  const Growth growth = measure_growth(LawKind::sharpness_power, LawKind::sharpness_saturating, rows, thresholds);
  if (!growth.fit.is_usable()) return;
  add_detail(v, "c of " + name, growth.parameters[0]);
  add_detail(v, "gamma_D of " + name, growth.parameters[1]);
  add_detail(v, "gamma_N of " + name, growth.parameters[2]);
  add_held_out(v, "power, " + name, growth.power);
  add_held_out(v, "saturating, " + name, growth.saturating);
}

}  // namespace

Verdict judge_sharpness_growth(const Table& table, const Thresholds& thresholds) {
  Verdict v =
      open_verdict("Q2", "Does sharpness grow with training tokens, and which sharpness?",
                   "the trace of the Hessian on the quantized weights grows as a power of the tokens", growth_rule,
                   thresholds, {"q2_gamma_d_min", "q2_equivalence", "form_margin", "fit_scatter", "cells_min"});
  const double scatter = value_of(thresholds, "fit_scatter");
  Dropped dropped, of_others;
  const auto trace =
      curvature_observations(table.sharpness, scatter, dropped, [](const SharpnessRow& r) { return r.trace; });
  v.n = static_cast<int>(trace.size());
  const Growth growth = measure_growth(LawKind::sharpness_power, LawKind::sharpness_saturating, trace, thresholds);
  decide_growth(v, growth, "the trace", value_of(thresholds, "q2_gamma_d_min"), value_of(thresholds, "q2_equivalence"),
                thresholds);
  add_controls(v, growth, trace);
  add_schedule_controls(v, table.sharpness);
  add_fit_details(v, growth);
  if (growth.fit.is_usable()) {
    add_detail(v, "c", growth.parameters[0]);
    add_detail(v, "gamma_N", growth.parameters[2]);
    add_held_out(v, "power", growth.power);
    add_held_out(v, "saturating in D/N", growth.saturating);
  }
  const auto largest =
      curvature_observations(table.sharpness, scatter, of_others, [](const SharpnessRow& r) { return r.lambda_max; });
  const auto weighted = curvature_observations(table.sharpness, scatter, of_others,
                                               [](const SharpnessRow& r) { return r.weighted_trace; });
  const auto scale_free = curvature_observations(table.sharpness, scatter, of_others,
                                                 [](const SharpnessRow& r) { return r.trace * r.weight_norm2; });
  add_sharpness(v, "lambda_max", largest, thresholds);
  add_sharpness(v, "the step-weighted trace", weighted, thresholds);
  add_sharpness(v, "trace times squared weight norm", scale_free, thresholds);
  add_dropped(v, dropped);
  return v;
}

}  // namespace hone::theory
