#include "theory/questions/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "theory/fits/weighted.hpp"

namespace hone::theory {
namespace {

using T = Thresholds;

/// Supported inside the band of half-width `tolerance` around `centre`, refuted outside it.
Outcome decide_band(const Interval& i, double centre, double tolerance) {
  if (is_inside(i, centre - tolerance, centre + tolerance)) return Outcome::supported;
  return is_outside(i, centre - tolerance, centre + tolerance) ? Outcome::refuted : Outcome::inconclusive;
}

double band_margin(double truth, double centre, double tolerance) {
  return std::abs(tolerance - std::abs(truth - centre));
}

/// The ends of a band.
std::vector<double> around(double centre, double tolerance) { return {centre - tolerance, centre + tolerance}; }

constexpr const char* growth_sentence =
    "supported: interval above the minimum, and the exponent of the second half of ln D minus that of the first inside "
    "± growth_equivalence; refuted: interval below it, or holding it within the equivalence band, or a form that "
    "levels "
    "off, in D/N, in D or in updates, has a held-out error below form_margin times that of the power, or the local "
    "exponent falls (interval of the quadratic term below 0); it levels off where such a form wins, or where the local "
    "exponent falls and that between the last two token counts lies within the equivalence band; inconclusive "
    "otherwise";

Outcome decide_cause(const CauseEvidence& e, const T& t) {
  const bool departed =
      std::any_of(e.residuals.begin(), e.residuals.end(), [&](const Interval& r) { return has_departed(r, t); });
  const double band = t.q5_slope_tolerance;
  if (departed || follows_tokens(e, t) || is_outside(e.dose, 1 - band, 1 + band)) return Outcome::refuted;
  const bool answers = is_inside(e.dose, 1 - band, 1 + band),
             is_all = is_inside(e.exponent, -t.q5_exponent_tolerance, t.q5_exponent_tolerance);
  return answers && is_all ? Outcome::supported : Outcome::inconclusive;
}

Outcome decide_forms(const FormsEvidence& e, const T&) {
  if (std::any_of(e.differences.begin(), e.differences.end(), [](const Interval& d) { return d.low > 0; }))
    return Outcome::refuted;
  return e.is_least && e.published_beaten == 2 ? Outcome::supported : Outcome::inconclusive;
}

constexpr double full_bits = 16;

Outcome decide_precision(const PrecisionEvidence& e, const T& t) {
  if (drifts(e, t)) return Outcome::refuted;
  if (leaves_its_points(e.misfit, t)) return Outcome::inconclusive;
  if (e.bits.low > full_bits) return Outcome::refuted;
  return is_within_trained(e) && stands(e, t) ? Outcome::supported : Outcome::inconclusive;
}

Outcome decide_ratio(const RatioEvidence& e, const T& t) {
  const double band = t.q9_equivalence;
  if (is_outside(e.trace, -band, band) || is_outside(e.damage, -band, band)) return Outcome::refuted;
  return is_inside(e.trace, -band, band) && is_inside(e.damage, -band, band) ? Outcome::supported
                                                                             : Outcome::inconclusive;
}

Outcome decide_plateau(const PlateauEvidence& e, const T& t) {
  const double band = t.q10_equivalence;
  if (is_inside(e.exponent, -band, band) || e.exponent.low > t.q10_exponent_max || is_outside(e.departure, -band, band))
    return Outcome::refuted;
  return e.exponent.high < t.q10_exponent_max && is_inside(e.departure, -band, band) ? Outcome::supported
                                                                                     : Outcome::inconclusive;
}

}  // namespace

Outcome outcome_of(GrowthReason reason) {
  switch (reason) {
    case GrowthReason::grows: return Outcome::supported;
    case GrowthReason::levels_off:
    case GrowthReason::bends:
    case GrowthReason::shrinks:
    case GrowthReason::flat: return Outcome::refuted;
    case GrowthReason::no_interval:
    case GrowthReason::unsteady:
    case GrowthReason::open: break;
  }
  return Outcome::inconclusive;
}

GrowthReason GrowthRule::reason(const GrowthEvidence& e, const T& t) const {
  const Interval& g = e.exponent;
  const double least = t.*minimum, band = t.*equivalence;
  if (!std::isfinite(g.low) || !std::isfinite(g.high)) return GrowthReason::no_interval;
  if (g.low > least) {
    const bool has_stopped = e.bends && is_inside(e.last, least - band, least + band);
    if (e.saturates || has_stopped) return GrowthReason::levels_off;
    if (e.bends) return GrowthReason::bends;
    const bool is_steady = is_inside(e.change, -t.growth_equivalence, t.growth_equivalence);
    return is_steady ? GrowthReason::grows : GrowthReason::unsteady;
  }
  if (g.high < least) return GrowthReason::shrinks;
  return is_inside(g, least - band, least + band) ? GrowthReason::flat : GrowthReason::open;
}

std::string GrowthRule::bar(const T& t) const { return fmt::format("above {:g}", t.*minimum); }

double GrowthRule::margin(double truth, const T& t) const { return std::abs(truth - t.*minimum); }

bool has_departed(const Interval& residual, const T& t) {
  return is_outside(residual, -t.q5_tolerance, t.q5_tolerance);
}

bool follows_tokens(const CauseEvidence& e, const T& t) {
  return is_outside(e.exponent_together, -t.q5_exponent_tolerance, t.q5_exponent_tolerance);
}

bool leaves_its_points(const CurveMisfit& misfit, const T& t) {
  return misfit.missed >= 2 && misfit.missed > t.q8_misfit * misfit.points;
}

bool drifts(const PrecisionEvidence& e, const T& t) {
  return is_outside(e.drift, -t.q8_drift, t.q8_drift) || is_outside(e.token_drift_both, -t.q8_drift, t.q8_drift);
}

bool stands(const PrecisionEvidence& e, const T& t) {
  return is_inside(e.drift, -t.q8_drift, t.q8_drift) && is_inside(e.token_drift, -t.q8_drift, t.q8_drift);
}

bool is_within_trained(const PrecisionEvidence& e) { return is_inside(e.bits, e.least, full_bits); }

const GrowthRule& damage_growth_rule() {
  static const GrowthRule rule{
      {"growth of the damage",
       growth_sentence,
       "It grows as a power of the tokens.",
       "It does not grow as a power of the tokens.",
       [](const T& t) { return std::vector{t.q1_gamma_d_min}; },
       {&T::q1_gamma_d_min, &T::q1_equivalence, &T::growth_equivalence, &T::form_margin, &T::ptq_bits_min,
        &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::cells_min, &T::reach_share},
       [](const GrowthEvidence& e, const T& t) { return outcome_of(damage_growth_rule().reason(e, t)); }},
      &T::q1_gamma_d_min,
      &T::q1_equivalence};
  return rule;
}

const GrowthRule& sharpness_growth_rule() {
  static const GrowthRule rule{
      {"growth of the trace",
       growth_sentence,
       "It grows as a power of the tokens.",
       "It does not grow as a power of the tokens.",
       [](const T& t) { return std::vector{t.q2_gamma_d_min}; },
       {&T::q2_gamma_d_min, &T::q2_equivalence, &T::growth_equivalence, &T::form_margin, &T::fit_scatter, &T::cells_min,
        &T::reach_share},
       [](const GrowthEvidence& e, const T& t) { return outcome_of(sharpness_growth_rule().reason(e, t)); }},
      &T::q2_gamma_d_min,
      &T::q2_equivalence};
  return rule;
}

const IntervalRule& prediction_rule() {
  static const IntervalRule rule{
      {"slope near 1",
       "supported: interval of the slope inside 1 ± q3_tolerance; refuted: disjoint from it; "
       "inconclusive otherwise",
       "Yes: within a bit width the damage goes in proportion to its prediction from curvature and step size.",
       "No: the damage does not go in proportion to its prediction from curvature and step size.",
       [](const T& t) { return around(1, t.q3_tolerance); },
       {&T::q3_tolerance, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::cells_min},
       [](const Interval& i, const T& t) { return decide_band(i, 1, t.q3_tolerance); }},
      [](const T& t) { return fmt::format("1 ± {:g}", t.q3_tolerance); },
      [](double truth, const T& t) { return band_margin(truth, 1, t.q3_tolerance); }};
  return rule;
}

const IntervalRule& direction_rule() {
  static const IntervalRule rule{
      {"share above that of a random error",
       "supported: interval of share over null above 1 + q4_tolerance; refuted: below it; "
       "inconclusive otherwise",
       "Yes: more than a random error.",
       "No: not more than a random error.",
       [](const T& t) { return std::vector{1 + t.q4_tolerance}; },
       {&T::q4_tolerance, &T::fit_scatter, &T::cells_min},
       [](const Interval& i, const T& t) {
         const double bar = 1 + t.q4_tolerance;
         return i.low > bar ? Outcome::supported : i.high < bar ? Outcome::refuted : Outcome::inconclusive;
       }},
      [](const T& t) { return fmt::format("above {:g}", 1 + t.q4_tolerance); },
      [](double truth, const T& t) { return std::abs(truth - (1 + t.q4_tolerance)); }};
  return rule;
}

const Rule<CauseEvidence>& cause_rule() {
  static const Rule<CauseEvidence> rule{
      "damage follows its prediction at equal tokens",
      "supported: the change of ln delta per change of ln prediction over all arms inside 1 ± q5_slope_tolerance, and "
      "the "
      "exponent of D at fixed prediction inside ± q5_exponent_tolerance; refuted: that change disjoint from its band, "
      "or "
      "the change of ln delta at fixed prediction of one contrast disjoint from ± q5_tolerance, or that exponent "
      "disjoint from its band, the last two when all hold together at the level (Bonferroni); contrasts below "
      "cells_min "
      "or trajectories_min decide nothing; inconclusive otherwise",
      "Yes: what changes the predicted damage changes the damage by as much, and tokens add little.",
      "No: something moves the damage apart from its prediction.",
      [](const T& t) { return around(1, t.q5_slope_tolerance); },
      {&T::q5_slope_tolerance, &T::q5_tolerance, &T::q5_exponent_tolerance, &T::ptq_bits_min, &T::ptq_bits_max,
       &T::ptq_min_snr, &T::fit_scatter, &T::cells_min, &T::trajectories_min},
      decide_cause};
  return rule;
}

const IntervalRule& composition_rule() {
  static const IntervalRule rule{{"no interaction",
                                  "supported: interval of the relative interaction W x A from ptq_bits_min bits on "
                                  "inside ± q6_tolerance; refuted: "
                                  "disjoint from it; inconclusive otherwise. A combination of bits breaks down where "
                                  "its interval is disjoint from "
                                  "± q6_breakdown",
                                  "Yes, quantized after training they cost the sum of each alone.",
                                  "No, quantized together after training they do not cost the sum of each alone.",
                                  [](const T& t) { return around(0, t.q6_tolerance); },
                                  {&T::q6_tolerance, &T::q6_balance, &T::q6_breakdown, &T::q6_channel_length,
                                   &T::ptq_bits_min, &T::ptq_min_snr, &T::fit_scatter, &T::loss_scatter, &T::cells_min},
                                  [](const Interval& i, const T& t) { return decide_band(i, 0, t.q6_tolerance); }},
                                 [](const T& t) { return fmt::format("0 ± {:g}", t.q6_tolerance); },
                                 [](double truth, const T& t) { return band_margin(truth, 0, t.q6_tolerance); }};
  return rule;
}

const Rule<FormsEvidence>& forms_rule() {
  static const Rule<FormsEvidence> rule{
      "the form named before the run beats the published ones",
      "supported: the squared step has the least held-out error of all forms, and the intervals of its mean squared "
      "held-out error minus those of the two published laws of bits, exponential and power, lie below 0; refuted: that "
      "interval of any rival lies above 0; all intervals hold together at the level; inconclusive otherwise",
      "The squared step of the grid, times powers of tokens and parameters.",
      "Not the squared step: another form predicts rows better that it has not seen.",
      [](const T&) { return std::vector{0.0}; },
      {&T::form_folds, &T::reach_share, &T::late_loss, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr,
       &T::fit_scatter, &T::loss_scatter, &T::cells_min},
      decide_forms};
  return rule;
}

const Rule<PrecisionEvidence>& precision_rule() {
  static const Rule<PrecisionEvidence> rule{
      "an optimum that stays",
      "supported: interval of the optimal bits between the fewest bits trained and 16, those of the drift with compute "
      "and with tokens inside ± q8_drift; refuted: interval above 16, or that of a drift disjoint from ± q8_drift; "
      "inconclusive otherwise, and wherever the fitted curve leaves the intervals of more than q8_misfit of the "
      "effective "
      "sizes that were measured",
      "Yes, and it stays as compute and tokens grow.",
      "No: it moves with compute or tokens, or lies above 16 bits.",
      [](const T&) { return std::vector{full_bits}; },
      {&T::q8_drift, &T::q8_misfit, &T::q8_information, &T::form_folds, &T::loss_scatter, &T::q6_channel_length,
       &T::cells_min},
      decide_precision};
  return rule;
}

const Rule<Interval>& information_rule() {
  static const Rule<Interval> rule{
      "the scale of the bits is that of the information",
      "equal: interval of the ln of the fitted scale over that of the information in the codes inside ± "
      "q8_information; different: disjoint from it; not decided otherwise",
      "They are equal.",
      "They differ.",
      [](const T& t) { return around(0, t.q8_information); },
      {&T::q8_information, &T::q6_channel_length},
      [](const Interval& i, const T& t) { return decide_band(i, 0, t.q8_information); }};
  return rule;
}

const Rule<RatioEvidence>& ratio_rule() {
  static const Rule<RatioEvidence> rule{
      "one exponent for tokens and parameters",
      "supported: intervals of gamma_D - gamma_N of the trace and of the damage inside ± q9_equivalence; refuted: one "
      "of them disjoint from it; inconclusive otherwise",
      "Yes: tokens and parameters have one exponent.",
      "No: tokens and parameters have exponents of their own.",
      [](const T& t) { return around(0, t.q9_equivalence); },
      {&T::q9_equivalence, &T::late_loss, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter,
       &T::cells_min},
      decide_ratio};
  return rule;
}

const Rule<PlateauEvidence>& plateau_rule() {
  static const Rule<PlateauEvidence> rule{
      "the plateau follows lr/sqrt(batch)",
      "supported: interval of the exponent of lr/sqrt(batch) below q10_exponent_max, and lr and batch with exponents "
      "of "
      "their own agree with it: the first plus twice the second inside ± q10_equivalence; refuted: interval of the "
      "exponent above q10_exponent_max or inside ± q10_equivalence, or that sum disjoint from ± q10_equivalence; "
      "inconclusive otherwise",
      "The learning rate over the square root of the batch.",
      "Not the learning rate over the square root of the batch.",
      [](const T& t) { return std::vector{t.q10_exponent_max}; },
      {&T::q10_exponent_max, &T::q10_equivalence, &T::q10_slope},
      decide_plateau};
  return rule;
}

std::vector<RuleOfQuestion> all_rules() {
  const auto named = [](const char* question, const auto& rule) {
    return RuleOfQuestion{question, rule.name, rule.sentence};
  };
  return {named("Q1", damage_growth_rule()), named("Q2", sharpness_growth_rule()),
          named("Q3", prediction_rule()),    named("Q4", direction_rule()),
          named("Q5", cause_rule()),         named("Q6", composition_rule()),
          named("Q7", forms_rule()),         named("Q8", precision_rule()),
          named("Q8", information_rule()),   named("Q9", ratio_rule()),
          named("Q10", plateau_rule())};
}

}  // namespace hone::theory
