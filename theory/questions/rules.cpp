#include "theory/questions/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "theory/questions/holm.hpp"

namespace hone::theory {
namespace {

using T = Thresholds;

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

double p_of_cause(const CauseEvidence& e, const T& t) {
  const auto dose = around(1, t.q5_slope_tolerance), rest = around(0, t.q5_exponent_tolerance);
  if (decide_cause(e, t) == Outcome::supported) return p_of_all({{e.dose, dose}, {e.exponent, rest}});
  std::vector<Statement> departures{{e.dose, dose, is_outside(e.dose, dose[0], dose[1])},
                                    {e.exponent_together, rest, follows_tokens(e, t)}};
  for (const Interval& r : e.residuals) departures.push_back({r, around(0, t.q5_tolerance), has_departed(r, t)});
  return p_of_any(departures);
}

bool departs(const CombinationEvidence& c, const T& t) {
  return is_outside(c.interaction, -band_of(c, t), band_of(c, t));
}

Outcome decide_composition(const CompositionEvidence& e, const T& t) {
  const auto& all = e.combinations;
  if (std::any_of(all.begin(), all.end(), [&](const auto& c) { return departs(c, t); })) return Outcome::refuted;
  // A band wider than that of refutation would let few rows support what more rows refute.
  const bool add_up = std::all_of(
      all.begin(), all.end(), [&](const auto& c) { return is_inside(c.interaction, -band_of(c, t), band_of(c, t)); });
  return add_up && !all.empty() ? Outcome::supported : Outcome::inconclusive;
}

double p_of_composition(const CompositionEvidence& e, const T& t) {
  std::vector<Statement> each;
  for (const CombinationEvidence& c : e.combinations)
    each.push_back({c.interaction, around(0, band_of(c, t)), departs(c, t)});
  return decide_composition(e, t) == Outcome::supported ? p_of_all(each) : p_of_any(each);
}

Outcome decide_forms(const FormsEvidence& e, const T&) {
  if (std::any_of(e.differences.begin(), e.differences.end(), [](const Interval& d) { return d.low > 0; }))
    return Outcome::refuted;
  return e.is_least && e.published_beaten == 2 ? Outcome::supported : Outcome::inconclusive;
}

/// Of a support the p-value counts every rival that is beaten: the two published ones are among them.
double p_of_forms(const FormsEvidence& e, const T& t) {
  const bool is_supported = decide_forms(e, t) == Outcome::supported;
  std::vector<Statement> beaten, winning;
  for (const Interval& d : e.differences) {
    winning.push_back({d, {0}, d.low > 0});
    if (d.high < 0) beaten.push_back({d, {0}});
  }
  return is_supported ? p_of_all(beaten) : p_of_any(winning);
}

constexpr double full_bits = 16;

Outcome decide_precision(const PrecisionEvidence& e, const T& t) {
  if (drifts(e, t)) return Outcome::refuted;
  if (leaves_its_points(e.misfit, t)) return Outcome::inconclusive;
  if (e.bits.low > full_bits) return Outcome::refuted;
  return is_within_trained(e) && stands(e, t) ? Outcome::supported : Outcome::inconclusive;
}

double p_of_precision(const PrecisionEvidence& e, const T& t) {
  const auto still = around(0, t.q8_drift);
  if (decide_precision(e, t) == Outcome::supported)
    return p_of_all({{e.bits, {e.least, full_bits}}, {e.drift, still}, {e.token_drift, still}});
  return p_of_any({{e.bits, {full_bits}, e.bits.low > full_bits && !leaves_its_points(e.misfit, t)},
                   {e.drift, still, is_outside(e.drift, still[0], still[1])},
                   {e.token_drift_both, still, is_outside(e.token_drift_both, still[0], still[1])}});
}

Outcome decide_plateau(const PlateauEvidence& e, const T& t) {
  const double band = t.q10_equivalence;
  if (is_inside(e.exponent, -band, band) || e.exponent.low > t.q10_exponent_max || is_outside(e.departure, -band, band))
    return Outcome::refuted;
  return e.exponent.high < t.q10_exponent_max && is_inside(e.departure, -band, band) ? Outcome::supported
                                                                                     : Outcome::inconclusive;
}

double p_of_plateau(const PlateauEvidence& e, const T& t) {
  const auto none = around(0, t.q10_equivalence);
  const std::vector<double> most{t.q10_exponent_max};
  if (decide_plateau(e, t) == Outcome::supported) return p_of_all({{e.exponent, most}, {e.departure, none}});
  return p_of_any({{e.exponent, none, is_inside(e.exponent, none[0], none[1])},
                   {e.exponent, most, e.exponent.low > t.q10_exponent_max},
                   {e.departure, none, is_outside(e.departure, none[0], none[1])}});
}

/// Of a decision on growth, by its reason. NaN where none was reached.
double p_of_growth(const GrowthRule& rule, const GrowthEvidence& e, const T& t) {
  const double least = t.*rule.minimum, band = t.*rule.equivalence;
  const std::vector<double> none = around(least, band);
  switch (rule.reason(e, t)) {
    case GrowthReason::grows: return p_of_all({{e.exponent, {least}}, {e.change, around(0, t.growth_equivalence)}});
    case GrowthReason::levels_off:
      return e.saturates ? p_of_all({{e.exponent, {least}}, {e.levelling, {0}}})
                         : p_of_all({{e.exponent, {least}}, {e.bend, {0}}, {e.last, none}});
    case GrowthReason::bends: return p_of_all({{e.exponent, {least}}, {e.bend, {0}}});
    case GrowthReason::shrinks: return p_beyond(e.exponent, {least});
    case GrowthReason::flat: return p_beyond(e.exponent, none);
    case GrowthReason::no_interval:
    case GrowthReason::unsteady:
    case GrowthReason::open: break;
  }
  return NAN;
}

bool leaves_product(const JointCellEvidence& c, const T& t) {
  return is_outside(c.interaction, -t.q12_tolerance, t.q12_tolerance);
}

Outcome decide_training_composition(const TrainingCompositionEvidence& e, const T& t) {
  const auto& all = e.cells;
  if (std::any_of(all.begin(), all.end(), [&](const auto& c) { return leaves_product(c, t); })) return Outcome::refuted;
  const bool is_product = std::all_of(all.begin(), all.end(), [&](const auto& c) {
    return is_inside(c.interaction, -t.q12_tolerance, t.q12_tolerance);
  });
  const bool is_tested = std::any_of(all.begin(), all.end(), [&](const auto& c) { return tells(c, t); });
  return is_product && is_tested ? Outcome::supported : Outcome::inconclusive;
}

/// Of a support, the clearest cell that tells the product from the sum must hold as well as the product in every cell.
double p_of_training_composition(const TrainingCompositionEvidence& e, const T& t) {
  const auto band = around(0, t.q12_tolerance);
  std::vector<Statement> each, rivals;
  for (const JointCellEvidence& c : e.cells) {
    each.push_back({c.interaction, band, leaves_product(c, t)});
    rivals.push_back({c.additive, band, tells(c, t)});
  }
  if (decide_training_composition(e, t) != Outcome::supported) return p_of_any(each);
  return std::max(p_of_all(each), p_of_any(rivals));
}

bool is_beaten(const Interval& rival, const T& t) { return rival.low > t.q15_margin; }

Outcome decide_allocation(const AllocationEvidence& e, const T& t) {
  const auto& rivals = e.rivals;
  if (std::any_of(rivals.begin(), rivals.end(), [&](const Interval& r) { return is_beaten(r, t); }))
    return Outcome::refuted;
  if (e.uniform.high < 0) {
    const bool keeps_up =
        std::all_of(rivals.begin(), rivals.end(), [&](const Interval& r) { return r.high < t.q15_margin; });
    return keeps_up && !rivals.empty() ? Outcome::supported : Outcome::inconclusive;
  }
  return e.uniform.low > -t.q15_margin ? Outcome::refuted : Outcome::inconclusive;
}

double p_of_allocation(const AllocationEvidence& e, const T& t) {
  const bool is_supported = decide_allocation(e, t) == Outcome::supported;
  std::vector<Statement> all;
  if (is_supported)
    all.push_back({e.uniform, {0}});
  else
    all.push_back({e.uniform, {-t.q15_margin}, e.uniform.low > -t.q15_margin && !(e.uniform.high < 0)});
  for (const Interval& r : e.rivals) all.push_back({r, {t.q15_margin}, is_beaten(r, t)});
  return is_supported ? p_of_all(all) : p_of_any(all);
}

Outcome decide_experts(const ExpertsEvidence& e, const T& t) {
  const double most = t.q18_tolerance;
  if (e.active.high < most || e.total.high < most) return Outcome::refuted;
  return e.active.low > most && e.total.low > most ? Outcome::supported : Outcome::inconclusive;
}

double p_of_experts(const ExpertsEvidence& e, const T& t) {
  const std::vector<double> most{t.q18_tolerance};
  if (decide_experts(e, t) == Outcome::supported) return p_of_all({{e.active, most}, {e.total, most}});
  return p_of_any({{e.active, most, e.active.high < most[0]}, {e.total, most, e.total.high < most[0]}});
}

Outcome decide_sum_rule(const SumRuleEvidence& e, const T& t) {
  const Outcome outcome = decide_band(e.sum, 1, t.q25_tolerance);
  return outcome == Outcome::supported && !(e.growth.low > 0) ? Outcome::inconclusive : outcome;
}

double p_of_sum_rule(const SumRuleEvidence& e, const T& t) {
  const Statement sum{e.sum, around(1, t.q25_tolerance)};
  return decide_sum_rule(e, t) == Outcome::supported ? p_of_all({sum, {e.growth, {0}}}) : p_of_all({sum});
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

double band_of(const CombinationEvidence& c, const T& t) { return t.q6_effects * c.independent; }

std::size_t deciding(const CompositionEvidence& e, const T& t) {
  return farthest_beyond(
      e.combinations, [](const CombinationEvidence& c) -> const Interval& { return c.interaction; },
      [&](const CombinationEvidence& c) { return band_of(c, t); });
}

bool tells(const JointCellEvidence& c, const T& t) { return is_outside(c.additive, -t.q12_tolerance, t.q12_tolerance); }

std::size_t deciding(const TrainingCompositionEvidence& e, const T& t) {
  return farthest_beyond(
      e.cells, [](const JointCellEvidence& c) -> const Interval& { return c.interaction; },
      [&](const JointCellEvidence&) { return t.q12_tolerance; });
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
       [](const GrowthEvidence& e, const T& t) { return outcome_of(damage_growth_rule().reason(e, t)); },
       [](const GrowthEvidence& e, const T& t) { return p_of_growth(damage_growth_rule(), e, t); }},
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
       [](const GrowthEvidence& e, const T& t) { return outcome_of(sharpness_growth_rule().reason(e, t)); },
       [](const GrowthEvidence& e, const T& t) { return p_of_growth(sharpness_growth_rule(), e, t); }},
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
       [](const Interval& i, const T& t) { return decide_band(i, 1, t.q3_tolerance); },
       [](const Interval& i, const T& t) { return p_beyond(i, around(1, t.q3_tolerance)); }},
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
       },
       [](const Interval& i, const T& t) { return p_beyond(i, {1 + t.q4_tolerance}); }},
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
      decide_cause,
      p_of_cause};
  return rule;
}

const Rule<CompositionEvidence>& composition_rule() {
  static const Rule<CompositionEvidence> rule{
      "no interaction beyond that of independent noise",
      "the band of a combination of bits W x A from ptq_bits_min bits on is ± q6_effects times its interaction under "
      "independent noise, relative to the sum. supported: the interval of every combination inside its band; refuted: "
      "that of one disjoint from its band, on either side; all intervals hold together at the level (Bonferroni); "
      "combinations below trajectories_min decide nothing; inconclusive otherwise",
      "Yes: quantized after training, together they cost the sum of each alone, to within what independent noise adds.",
      "No: quantized together after training, some bits cost more or less than the sum of each alone, by more than "
      "independent noise adds.",
      [](const T&) { return std::vector<double>{}; },  // those of the combination that decides: the judge sets them
      {&T::q6_effects, &T::q6_tolerance, &T::q6_balance, &T::q6_channel_length, &T::ptq_bits_min, &T::ptq_min_snr,
       &T::fit_scatter, &T::loss_scatter, &T::cells_min, &T::trajectories_min},
      decide_composition,
      p_of_composition};
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
      decide_forms,
      p_of_forms};
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
      decide_precision,
      p_of_precision};
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

const Rule<BandEvidence>& ratio_rule() {
  static const Rule<BandEvidence> rule = band_rule<0, &T::q9_equivalence, 2>(
      "one exponent for tokens and parameters",
      "supported: intervals of gamma_D - gamma_N of the trace and of the damage inside ± q9_equivalence; refuted: one "
      "of them disjoint from it; inconclusive otherwise",
      "Yes: tokens and parameters have one exponent.", "No: tokens and parameters have exponents of their own.",
      {&T::late_loss, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::cells_min});
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
      decide_plateau,
      p_of_plateau};
  return rule;
}

const Rule<BandEvidence>& injection_rule() {
  static const Rule<BandEvidence> rule = band_rule<1, &T::q11_tolerance, 2>(
      "equal predicted rise, equal rise",
      "supported: the intervals of measured over predicted rise in the top, next, random and complementary "
      "eigendirections, at the largest predicted rise up to q11_rise, all inside 1 ± q11_tolerance; refuted: one of "
      "them disjoint from it; all intervals hold together at the level; inconclusive otherwise",
      "Yes: up to that rise only the second-order rise of a direction matters.",
      "No: in some directions noise costs more or less than its second-order rise.",
      {&T::q11_rise, &T::fit_scatter, &T::cells_min});
  return rule;
}

const Rule<TrainingCompositionEvidence>& training_composition_rule() {
  static const Rule<TrainingCompositionEvidence> rule{
      "N_eff in training is a product over sites",
      "of each joint cell of training bits from q12_bits_min on, the ln of N_eff over the product of the single sites' "
      "N_eff/N. supported: the intervals of all cells inside ± q12_tolerance, and in one cell at least losses that add "
      "up would lie outside it; refuted: the interval of one cell disjoint from ± q12_tolerance, on either side; all "
      "intervals hold together at the level (Bonferroni); cells below trajectories_min decide nothing; inconclusive "
      "otherwise",
      "Yes: in training, the effective size of sites lowered together is the product of that of each alone.",
      "No: in training, sites lowered together leave more or less effective size than the product of each alone.",
      [](const T& t) { return around(0, t.q12_tolerance); },
      {&T::q12_tolerance, &T::q12_bits_min, &T::q6_channel_length, &T::loss_scatter, &T::cells_min,
       &T::trajectories_min},
      decide_training_composition,
      p_of_training_composition};
  return rule;
}

const Rule<BandEvidence>& scheme_prediction_rule() {
  static const Rule<BandEvidence> rule = band_rule<1, &T::q13_tolerance, 2>(
      "each scheme loses what second order says",
      "of each scheme of quantization, damage less its first-order term over e'He/2 of its own errors e, up to an "
      "e'He/2 of q13_rise. supported: the intervals of all schemes, two at least, inside 1 ± q13_tolerance; refuted: "
      "one of them disjoint from it; all intervals hold together at the level; H is measured on windows other than "
      "those of the damage where the study recorded it; inconclusive otherwise",
      "Yes: up to that damage, every scheme loses what second order says of its own errors.",
      "No: some scheme loses more or less than second order says of its own errors.",
      {&T::q13_rise, &T::ptq_bits_min, &T::ptq_bits_max, &T::fit_scatter, &T::cells_min, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& scheme_exponent_rule() {
  static const Rule<BandEvidence> rule = band_rule<0, &T::q14_equivalence, 1>(
      "one exponent of tokens for all schemes",
      "of each scheme, the exponent of D of its damage less the first-order term, minus that of rounding to nearest on "
      "the same trajectories. supported: the intervals of all schemes inside ± q14_equivalence; refuted: one of them "
      "disjoint from it; all intervals hold together at the level; inconclusive otherwise",
      "No: the damage of every scheme grows with tokens as that of rounding to nearest.",
      "Yes: the damage of some scheme grows with tokens otherwise than that of rounding to nearest.",
      {&T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::cells_min, &T::trajectories_min});
  return rule;
}

const Rule<AllocationEvidence>& allocation_rule() {
  static const Rule<AllocationEvidence> rule{
      "guided bits beat uniform bits and keep up with rivals",
      "of damage at guided bits less that at other bits of the same average, over that at uniform bits, within one "
      "checkpoint. supported: the interval against uniform bits below 0, and those against all rivals below "
      "q15_margin; refuted: the interval against one rival above q15_margin, or that against uniform bits above "
      "-q15_margin and not below 0; all intervals hold together at the level; inconclusive otherwise",
      "Yes: guided bits lose less than uniform bits, and no other way to assign them is clearly better.",
      "No: guided bits save too little, or another way to assign bits is clearly better.",
      [](const T& t) {
        return std::vector{-t.q15_margin, 0.0};
      },
      {&T::q15_margin, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::cells_min, &T::trajectories_min},
      decide_allocation,
      p_of_allocation};
  return rule;
}

const Rule<BandEvidence>& few_bits_rule() {
  static const Rule<BandEvidence> rule = band_rule<0, &T::q16_tolerance, 1>(
      "one law of N_eff down to one bit",
      "N (1 - exp(-P/gamma_w)) is fitted to the effective sizes of weights trained straight-through from q16_bits_min "
      "bits on. supported: of each procedure and width below, the interval of ln (N_eff over that of the law) inside ± "
      "q16_tolerance; refuted: one of them disjoint from it, on either side; all intervals hold together at the level "
      "(Bonferroni); widths below trajectories_min decide nothing; inconclusive otherwise",
      "Yes: the law fitted at more bits gives their effective size.",
      "No: at one to two bits the effective size is not that of the law fitted at more bits.",
      {&T::q16_bits_min, &T::loss_scatter, &T::cells_min, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& procedure_rule() {
  static const Rule<BandEvidence> rule = band_rule<0, &T::q16_scale_tolerance, 1>(
      "one scale of the bits for every procedure",
      "equal: of each procedure, the interval of ln (its gamma_w over that of straight-through training at like "
      "widths) "
      "inside ± q16_scale_tolerance; different: one of them disjoint from it; all hold together at the level "
      "(Bonferroni); not decided otherwise",
      "The scale of the bits does not depend on the procedure.", "The scale of the bits depends on the procedure.",
      {&T::q16_bits_min, &T::loss_scatter, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& architecture_rule() {
  static const Rule<BandEvidence> rule = band_rule<0, &T::q17_tolerance, 3>(
      "one growth and one prediction for every architecture",
      "of each arm with another architecture of equal size and training: the exponent of D of the damage and of the "
      "step-weighted trace, and the ln of damage over prediction, each less that of the main arm. supported: all "
      "intervals inside ± q17_tolerance; refuted: one of them disjoint from it; all hold together at the level "
      "(Bonferroni); arms below trajectories_min decide nothing; inconclusive otherwise",
      "Yes: the architectures share the growth and its prediction.",
      "No: an architecture grows or is predicted otherwise.",
      {&T::equal_size, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::cells_min,
       &T::trajectories_min});
  return rule;
}

const Rule<ExpertsEvidence>& experts_rule() {
  static const Rule<ExpertsEvidence> rule{
      "more damage with experts",
      "ln of the damage of models with experts over that of dense ones at equal tokens, bits, seed and training. "
      "supported: the intervals against dense models of equal active and of equal total parameters both above "
      "q18_tolerance; refuted: one of them below it; both hold together at the level; inconclusive otherwise",
      "Yes: at equal tokens they lose more than dense models of equal active and of equal total size.",
      "No: at equal active or at equal total size they do not lose more than dense models.",
      [](const T& t) { return std::vector{t.q18_tolerance}; },
      {&T::q18_tolerance, &T::equal_size, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter,
       &T::cells_min, &T::trajectories_min},
      decide_experts,
      p_of_experts};
  return rule;
}

const Rule<BandEvidence>& context_rule() {
  static const Rule<BandEvidence> rule = all_above_rule<&T::q19_exponent_min, &T::q19_equivalence>(
      "the damage of a cache grows along the text",
      "the exponent of the position in the damage per token, octaves from q19_position_min on, under each policy of "
      "the "
      "cache. supported: every interval above q19_exponent_min + q19_equivalence; refuted: one below it; all intervals "
      "hold together at the level (Bonferroni); policies below trajectories_min decide nothing; inconclusive otherwise",
      "Yes: under every policy the damage per token grows along the text, and that of the whole text faster than its "
      "length.",
      "No: under some policy the damage per token stays the same or falls along the text.",
      {&T::q19_position_min, &T::ptq_min_snr, &T::fit_scatter, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& schedules_rule() {
  static const Rule<BandEvidence> rule = all_above_rule<&T::q20_gain_min, &T::q20_equivalence>(
      "falling bits beat uniform bits",
      "the share of the damage of uniform bits that bits which fall in one step save, at each average. supported: "
      "every "
      "interval above q20_gain_min + q20_equivalence; refuted: one below it; all intervals hold together at the level "
      "(Bonferroni); averages below trajectories_min decide nothing; inconclusive otherwise",
      "Yes: at every average, bits that fall along the text cost less than uniform bits.",
      "No: at some average, bits that fall along the text cost as much as uniform bits or more.",
      {&T::ptq_min_snr, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& tasks_rule() {
  static const Rule<BandEvidence> rule = all_above_rule<&T::q21_shortfall_min, &T::q21_equivalence>(
      "accuracy falls faster than the loss says",
      "the accuracy that the trunk had where its loss on the answers was that after quantization, less the accuracy "
      "after "
      "it, by task. supported: every interval above q21_shortfall_min + q21_equivalence; refuted: one below it; all "
      "intervals hold together at the level (Bonferroni); tasks below trajectories_min decide nothing; inconclusive "
      "otherwise",
      "Yes: in every task quantization costs more accuracy than its rise of the loss says.",
      "No: in some task the accuracy falls as the loss says, or less.",
      {&T::q21_accuracy_min, &T::ptq_bits_min, &T::ptq_bits_max, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& tuning_rule() {
  static const Rule<BandEvidence> rule = band_rule<0, &T::q22_tolerance, 1>(
      "the prediction holds after tuning",
      "the change of ln (damage over prediction) from the checkpoint that a tuned branch left to its end, by branch. "
      "supported: every interval inside ± q22_tolerance; refuted: one disjoint from it; all intervals hold together at "
      "the level (Bonferroni); branches below trajectories_min decide nothing; inconclusive otherwise",
      "Yes: curvature predicts the damage of tuned models as it predicts that of the models they came from.",
      "No: some tuning moves the damage apart from its prediction.",
      {&T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& removed_bits_rule() {
  static const Rule<BandEvidence> rule = band_rule<0, &T::q23_tolerance, 1>(
      "one exponent of the bits removed at few and at many tokens",
      "the exponent of 16 - P in the damage at many tokens less that at few, over the same widths: of the last and the "
      "first checkpoint of each trunk, and of tuned branches of one checkpoint and one text. supported: every interval "
      "inside ± q23_tolerance; refuted: one disjoint from it; all intervals hold together at the level (Bonferroni); "
      "contrasts below trajectories_min decide nothing; inconclusive otherwise",
      "Yes: the exponent of the bits removed is the same at few and at many tokens.",
      "No: the exponent of the bits removed depends on the tokens.",
      {&T::q23_ratio_min, &T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::trajectories_min});
  return rule;
}

const Rule<BandEvidence>& rounding_rule() {
  static const Rule<BandEvidence> rule = all_above_rule<&T::q24_saving_min, &T::q24_equivalence>(
      "stochastic rounding lowers the constant of the damage",
      "ln of the damage of rounding to nearest over that of stochastic rounding, at the same checkpoints and bits. "
      "supported: interval above q24_saving_min + q24_equivalence; refuted: interval below it; inconclusive otherwise",
      "Yes: stochastic rounding costs less than rounding to nearest.",
      "No: stochastic rounding costs as much as rounding to nearest or more.",
      {&T::ptq_bits_min, &T::ptq_bits_max, &T::ptq_min_snr, &T::fit_scatter, &T::trajectories_min});
  return rule;
}

const Rule<SumRuleEvidence>& sum_rule() {
  static const Rule<SumRuleEvidence> rule{
      "the sum rule of the linear net",
      "the exponent of D of the trace plus that of the fall of the loss, -dL/d ln D between neighbouring checkpoints, "
      "main "
      "trunk at a constant learning rate. supported: its interval inside 1 ± q25_tolerance and that of the trace above "
      "0; "
      "refuted: its interval disjoint from 1 ± q25_tolerance; inconclusive otherwise",
      "Yes: the two exponents add up to 1, as in a two-layer linear net.",
      "No: the two exponents do not add up to 1.",
      [](const T& t) { return around(1, t.q25_tolerance); },
      {&T::q25_tolerance, &T::ptq_min_snr, &T::fit_scatter, &T::trajectories_min},
      decide_sum_rule,
      p_of_sum_rule};
  return rule;
}

std::vector<RuleOfQuestion> all_rules() {
  const auto named = [](const char* question, const auto& rule) {
    return RuleOfQuestion{question, rule.name, rule.sentence};
  };
  return {named("Q1", damage_growth_rule()),
          named("Q2", sharpness_growth_rule()),
          named("Q3", prediction_rule()),
          named("Q4", direction_rule()),
          named("Q5", cause_rule()),
          named("Q6", composition_rule()),
          named("Q7", forms_rule()),
          named("Q8", precision_rule()),
          named("Q8", information_rule()),
          named("Q9", ratio_rule()),
          named("Q10", plateau_rule()),
          named("Q11", injection_rule()),
          named("Q12", training_composition_rule()),
          named("Q13", scheme_prediction_rule()),
          named("Q14", scheme_exponent_rule()),
          named("Q15", allocation_rule()),
          named("Q16", few_bits_rule()),
          named("Q16", procedure_rule()),
          named("Q17", architecture_rule()),
          named("Q18", experts_rule()),
          named("Q19", context_rule()),
          named("Q20", schedules_rule()),
          named("Q21", tasks_rule()),
          named("Q22", tuning_rule()),
          named("Q23", removed_bits_rule()),
          named("Q24", rounding_rule()),
          named("Q25", sum_rule()),
          {"all", "Holm's correction", holm_sentence}};
}

}  // namespace hone::theory
