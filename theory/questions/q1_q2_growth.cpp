// Q1 and Q2: does the damage, does the sharpness grow as a power of the tokens?
#include <fmt/format.h>

#include <set>

#include "theory/questions/growth.hpp"
#include "theory/questions/judge.hpp"

namespace hone::theory {
namespace {

/// Whether all transformer rows of the main trunk share a schedule and a learning rate, as recorded.
template <class Row>
void add_schedule_controls(Verdict& v, const std::vector<Row>& rows) {
  std::set<std::string> schedules;
  std::set<double> rates;
  for (const Row& r : rows)
    if (r.architecture == "transformer" && is_main_trunk(r)) schedules.insert(r.schedule), rates.insert(r.peak_lr);
  add_control(v, "one schedule (constant learning rate trunk) for all rows",
              schedules == std::set<std::string>{"constant"});
  add_control(v, "one peak learning rate for all sizes", rates.size() == 1 && *rates.begin() > 0);
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
                            "ptq_min_snr", "fit_scatter", "cells_min", "reach_share"});
  Dropped dropped;
  const std::vector<PtqRow> rows = select_damage(table.ptq, is_main_trunk, thresholds, dropped);
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
  add_growth(v, growth, observations);
  add_schedule_controls(v, table.ptq);
  if (growth.fit.is_usable()) {
    add_detail(v, "ln C", growth.parameters[0]);
    add_detail(v, "gamma_N", growth.parameters[2]);
    const FitSummary by_power = fit_linear(LawKind::ptq_bit_power, observations, FitOptions{});
    if (by_power.is_usable()) add_detail(v, "gamma_P", by_power.parameters[3]);
    const Interval& k = growth.parameters[3];
    const bool has_interval = k.low > 0;  // otherwise the inverse has no bounded interval
    add_detail(v, "gamma_post",
               Interval{1 / k.estimate, has_interval ? 1 / k.high : NAN, has_interval ? 1 / k.low : NAN, k.failures});
    add_held_out(v, "exponential in bits", growth.of_power);
    add_held_out(v, "power of bits", held_out_error(LawKind::ptq_bit_power, observations, {}));
    add_held_out(v, "squared step", held_out_error(LawKind::ptq_step, observations, {}));
    add_held_out(v, "saturating in D/N", growth.of_rival);
    add_reach(v, {LawKind::ptq_exponential, LawKind::ptq_saturating, LawKind::ptq_broken}, observations, thresholds);
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
std::vector<Observation> curvature_observations(const std::vector<SharpnessRow>& all, double scatter, Dropped& dropped,
                                                Value&& value) {
  std::vector<SharpnessRow> rows;
  for (const SharpnessRow& r : all) {
    if (r.architecture != "transformer" || !is_main_trunk(r)) continue;
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
  add_held_out(v, "power, " + name, growth.of_power);
  add_held_out(v, "saturating, " + name, growth.of_rival);
}

}  // namespace

Verdict judge_sharpness_growth(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q2", "Does sharpness grow with training tokens, and which sharpness?",
      "the trace of the Hessian on the quantized weights grows as a power of the tokens", growth_rule, thresholds,
      {"q2_gamma_d_min", "q2_equivalence", "form_margin", "fit_scatter", "cells_min", "reach_share"});
  const double scatter = value_of(thresholds, "fit_scatter");
  Dropped dropped, of_others;
  const auto trace =
      curvature_observations(table.sharpness, scatter, dropped, [](const SharpnessRow& r) { return r.trace; });
  v.n = static_cast<int>(trace.size());
  const Growth growth = measure_growth(LawKind::sharpness_power, LawKind::sharpness_saturating, trace, thresholds);
  decide_growth(v, growth, "the trace", value_of(thresholds, "q2_gamma_d_min"), value_of(thresholds, "q2_equivalence"),
                thresholds);
  add_growth(v, growth, trace);
  add_schedule_controls(v, table.sharpness);
  if (growth.fit.is_usable()) {
    add_detail(v, "c", growth.parameters[0]);
    add_detail(v, "gamma_N", growth.parameters[2]);
    add_held_out(v, "power", growth.of_power);
    add_held_out(v, "saturating in D/N", growth.of_rival);
    add_reach(v, {LawKind::sharpness_power, LawKind::sharpness_saturating}, trace, thresholds);
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
  const auto frobenius =
      curvature_observations(table.sharpness, scatter, of_others, [](const SharpnessRow& r) { return r.frobenius; });
  add_sharpness(v, "the Frobenius norm", frobenius, thresholds);
  add_dropped(v, dropped);
  return v;
}

}  // namespace hone::theory
