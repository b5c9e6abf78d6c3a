#include "theory/questions/q1_q2_growth.hpp"

#include <fmt/format.h>

#include <set>

#include "theory/questions/growth.hpp"
#include "theory/questions/q1_transfer.hpp"

namespace hone::theory {
namespace {

/// Whether all transformer rows of the main trunk share a schedule and a learning rate, as recorded.
template <class Row>
void add_schedule_controls(Verdict& v, const std::vector<Row>& rows) {
  std::set<std::string> schedules;
  std::set<double> rates;
  for (const Row& r : rows)
    if (r.is_transformer() && is_main_trunk(r)) schedules.insert(r.schedule), rates.insert(r.peak_lr);
  add_control(v, Control::one_schedule, schedules == std::set<std::string>{"constant"});
  add_control(v, Control::one_rate, rates.size() == 1 && *rates.begin() > 0);
}

template <class Row>
std::vector<double> updates_of(const std::vector<Row>& rows) {
  std::vector<double> updates;
  for (const Row& r : rows) updates.push_back(r.step);
  return updates;
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
      add_finding(v, {"gamma_d.bits_" + key_number(p), fmt::format("gamma_D at {:g} bits", p)},
                  Interval{s.parameters[1], s.parameters[1] - 2 * s.standard_errors[1],
                           s.parameters[1] + 2 * s.standard_errors[1], 0});
  }
}

}  // namespace

Verdict judge_damage_growth(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q1", "Does the damage of quantizing weights grow with training tokens?",
                           "the damage grows as a power of the tokens at fixed model size",
                           {"gamma_d", "gamma_D of the damage"}, damage_growth_rule(), thresholds);
  Dropped dropped;
  const std::vector<PtqRow> rows = select_damage(table.ptq, is_main_trunk, thresholds, dropped);
  const std::vector<Observation> observations = damage_observations(rows, thresholds.fit_scatter);
  v.n = static_cast<int>(rows.size());
  const Growth growth = measure_growth(damage_laws, {observations, updates_of(rows)}, thresholds);
  decide_growth(v, growth, "the damage", damage_growth_rule(), thresholds);
  if (dropped.below_noise + dropped.not_positive > 0)
    v.prose += fmt::format(
        " {} rows at or below their noise were left out; they are the small damages, so the "
        "exponent is biased "
        "towards 0.",
        dropped.below_noise + dropped.not_positive);
  add_growth(v, growth, observations);
  add_schedule_controls(v, table.ptq);
  if (growth.fit.is_usable()) {
    add_finding(v, {"ln_c", "ln C", "ln nats"}, growth.parameters[0]);
    add_finding(v, {"gamma_n", "gamma_N"}, growth.parameters[2]);
    const FitSummary by_power = fit_linear(LawKind::ptq_bit_power, observations, FitOptions{});
    if (by_power.is_usable()) add_finding(v, {"gamma_p", "gamma_P"}, by_power.parameters[3]);
    const Interval& k = growth.parameters[3];
    const bool has_interval = k.low > 0;  // otherwise the inverse has no bounded interval
    add_finding(v, {"gamma_post", "gamma_post", "bits"},
                Interval{1 / k.estimate, has_interval ? 1 / k.high : NAN, has_interval ? 1 / k.low : NAN, k.failures});
    add_held_out(v, LawKind::ptq_exponential, growth.of_power);
    for (const LawKind rival : {LawKind::ptq_bit_power, LawKind::ptq_step})
      add_held_out(v, rival, held_out_error(rival, observations, {}));
    add_plateau(v, growth, damage_laws, observations, thresholds);
    add_reach(v,
              {LawKind::ptq_exponential, LawKind::ptq_saturating, LawKind::ptq_saturating_tokens, LawKind::ptq_broken},
              observations, thresholds);
  }
  add_exponent_by_bits(v, observations);
  add_transfer(v, table, growth, thresholds);
  add_dropped(v, dropped);
  return v;
}

namespace {

/// Observations of one curvature number; rows where it is missing or not positive are dropped and
/// counted.
template <class Value>
GrowthRows curvature_observations(const std::vector<SharpnessRow>& all, double scatter, Dropped& dropped,
                                  Value&& value) {
  std::vector<SharpnessRow> rows;
  for (const SharpnessRow& r : all) {
    if (!r.is_transformer() || !is_main_trunk(r)) continue;
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
  return {observations, updates_of(rows)};
}

/// The growth of another curvature number, as `name` calls it.
void add_sharpness(Verdict& v, const Name& name, const GrowthRows& rows, const Thresholds& thresholds) {
  const Growth growth = measure_growth(sharpness_laws, rows, thresholds);
  if (!growth.fit.is_usable()) return;
  add_finding(v, {name.key + ".c", "c of " + name.label, "ln"}, growth.parameters[0]);
  add_finding(v, {name.key + ".gamma_d", "gamma_D of " + name.label}, growth.parameters[1]);
  add_finding(v, {name.key + ".gamma_n", "gamma_N of " + name.label}, growth.parameters[2]);
  add_growth_forms(v, growth, name);
}

}  // namespace

Verdict judge_sharpness_growth(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q2", "Does sharpness grow with training tokens, and which sharpness?",
                           "the trace of the Hessian on the quantized weights grows as a power of the tokens",
                           {"gamma_d", "gamma_D of the trace"}, sharpness_growth_rule(), thresholds);
  const double scatter = thresholds.fit_scatter;
  Dropped dropped, of_others;
  const auto trace =
      curvature_observations(table.sharpness, scatter, dropped, [](const SharpnessRow& r) { return r.trace; });
  v.n = static_cast<int>(trace.rows.size());
  const Growth growth = measure_growth(sharpness_laws, trace, thresholds);
  decide_growth(v, growth, "the trace", sharpness_growth_rule(), thresholds);
  add_growth(v, growth, trace.rows);
  add_schedule_controls(v, table.sharpness);
  if (growth.fit.is_usable()) {
    add_finding(v, {"c", "c", "ln"}, growth.parameters[0]);
    add_finding(v, {"gamma_n", "gamma_N"}, growth.parameters[2]);
    add_plateau(v, growth, sharpness_laws, trace.rows, thresholds);
    add_reach(v, {LawKind::sharpness_power, LawKind::sharpness_saturating, LawKind::sharpness_saturating_tokens},
              trace.rows, thresholds);
  }
  const auto largest =
      curvature_observations(table.sharpness, scatter, of_others, [](const SharpnessRow& r) { return r.lambda_max; });
  const auto weighted = curvature_observations(table.sharpness, scatter, of_others,
                                               [](const SharpnessRow& r) { return r.weighted_trace; });
  const auto scale_free = curvature_observations(table.sharpness, scatter, of_others,
                                                 [](const SharpnessRow& r) { return r.trace * r.weight_norm2; });
  add_sharpness(v, {"lambda_max", "lambda_max"}, largest, thresholds);
  add_sharpness(v, {"weighted_trace", "the step-weighted trace"}, weighted, thresholds);
  add_sharpness(v, {"scale_free_trace", "trace times squared weight norm"}, scale_free, thresholds);
  const auto frobenius =
      curvature_observations(table.sharpness, scatter, of_others, [](const SharpnessRow& r) { return r.frobenius; });
  add_sharpness(v, {"frobenius", "the Frobenius norm"}, frobenius, thresholds);
  add_dropped(v, dropped);
  return v;
}

}  // namespace hone::theory
