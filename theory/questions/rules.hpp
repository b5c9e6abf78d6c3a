// The decision rules: how the numbers of a question and the thresholds give its outcome. Each rule is one value; the
// judges, the power analysis and the planted worlds call the same ones.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "theory/questions/rule.hpp"

namespace hone::theory {

/// What the growth of a number over tokens came to.
struct GrowthEvidence {
  Interval exponent;  ///< of D
  bool saturates =
      false;           ///< a form that levels off, in D/N, D or updates, predicts left-out cells better by form_margin
  bool bends = false;  ///< the local exponent falls: interval of the quadratic term below 0
  Interval change{0, 0, 0, 0};      ///< of the local exponent from the first to the second half of ln D
  Interval last{NAN, NAN, NAN, 0};  ///< exponent between the last two token counts of each size
  Interval bend{NAN, NAN, NAN, 0};  ///< the quadratic term, for the p-value
  /// Squared held-out error of the power minus that of the form that levels off, for the p-value.
  Interval levelling{NAN, NAN, NAN, 0};
};

/// Why growth has its outcome.
enum class GrowthReason {
  no_interval,  ///< inconclusive
  levels_off,   ///< refuted: a form that levels off wins, or it bends and its last exponent counts as none
  bends,        ///< refuted
  grows,        ///< supported
  shrinks,      ///< refuted
  flat,         ///< refuted
  open,         ///< inconclusive
  unsteady,     ///< inconclusive: it grows, but one exponent early and late is not shown
};
Outcome outcome_of(GrowthReason reason);

/// A rule on growth: the exponent lies above a minimum, and neither saturates nor bends.
struct GrowthRule : Rule<GrowthEvidence> {
  double Thresholds::*minimum = nullptr;      ///< least exponent that counts as growth
  double Thresholds::*equivalence = nullptr;  ///< half-width of the band around it that counts as none

  GrowthReason reason(const GrowthEvidence& evidence, const Thresholds& thresholds) const;
  /// "above 0"
  std::string bar(const Thresholds& thresholds) const;
  /// Half-width of an interval around `truth` above which the rule cannot decide.
  double margin(double truth, const Thresholds& thresholds) const;
};

/// What Q5 decides by.
struct CauseEvidence {
  std::vector<Interval> residuals;  ///< of each contrast: change of ln damage that its prediction leaves; all together
  Interval dose;                    ///< change of ln damage per change of ln prediction, over all arms
  Interval exponent;                ///< of D at fixed prediction, over all arms
  Interval exponent_together;       ///< the same, holding together with the contrasts
};
/// A contrast left its band; the exponent left its band.
bool has_departed(const Interval& residual, const Thresholds& thresholds);
bool follows_tokens(const CauseEvidence& evidence, const Thresholds& thresholds);

/// A combination of bits of two sites: its interaction relative to the sum, and that of independent noise.
struct CombinationEvidence {
  Interval interaction;  ///< holds together with those of all other combinations
  double independent = NAN;
};
struct CompositionEvidence {
  std::vector<CombinationEvidence> combinations;
};
/// Half-width of the band of a combination: the interaction of independent noise in it, q6_effects times.
double band_of(const CombinationEvidence& combination, const Thresholds& thresholds);
/// The combination that decides, by its place: in standard errors farthest beyond its band, or else least far inside.
/// expects at least one
std::size_t deciding(const CompositionEvidence& evidence, const Thresholds& thresholds);

/// The rivals of the form that was named before the run.
struct FormsEvidence {
  std::vector<Interval> differences;  ///< mean squared held-out error of the named form minus that of each rival
  bool is_least = false;              ///< the named form has the least held-out error
  int published_beaten = 0;           ///< of the two published laws of bits
};

/// Effective sizes that were measured, and how many of their intervals the fitted curve leaves.
struct CurveMisfit {
  int points = 0, missed = 0;
};
/// More than the share that a fitted form may miss, and at least two.
bool leaves_its_points(const CurveMisfit& misfit, const Thresholds& thresholds);

/// The optimal bits of training and how they move.
struct PrecisionEvidence {
  Interval bits;
  double least = 0;           ///< fewest bits that were trained
  Interval drift;             ///< per decade of compute
  Interval token_drift;       ///< per decade of tokens
  Interval token_drift_both;  ///< the same, holding together with `drift`
  CurveMisfit misfit{};       ///< of the curve that the optimum is read from
};
bool drifts(const PrecisionEvidence& evidence, const Thresholds& thresholds);
/// Both drifts lie within the threshold.
bool stands(const PrecisionEvidence& evidence, const Thresholds& thresholds);
/// The optimum lies between the fewest bits that were trained and 16.
bool is_within_trained(const PrecisionEvidence& evidence);

/// What the trace on its plateau follows.
struct PlateauEvidence {
  Interval exponent;   ///< of lr/√batch
  Interval departure;  ///< exponent of lr plus twice that of the batch
};

/// Models trained with some sites lowered together. Both numbers are of ln (N_eff over the product of the single sites').
struct JointCellEvidence {
  Interval interaction;  ///< measured; holds together with those of all other cells
  Interval additive;     ///< if the rises of the loss added up, likewise
};
struct TrainingCompositionEvidence {
  std::vector<JointCellEvidence> cells;
};
/// Losses that add up would leave the band of the product here: where they would not, agreement shows nothing.
bool tells(const JointCellEvidence& cell, const Thresholds& thresholds);
/// The cell that decides, by its place: in standard errors farthest beyond the band, or else least far inside.
/// expects at least one
std::size_t deciding(const TrainingCompositionEvidence& evidence, const Thresholds& thresholds);

/// Damage at guided bits less that at other bits of the same average, over that at uniform bits; all hold together.
struct AllocationEvidence {
  Interval uniform;
  std::vector<Interval> rivals;
};

/// ln of the damage of models with experts over that of dense ones at equal tokens; both hold together.
struct ExpertsEvidence {
  Interval active{NAN, NAN, NAN, 0};  ///< dense models as large as what a token passes
  Interval total{NAN, NAN, NAN, 0};   ///< dense models as large as all experts
};

/// Exponents of tokens on the same trajectories.
struct SumRuleEvidence {
  Interval sum;     ///< of the trace, plus that of the fall of the loss
  Interval growth;  ///< of the trace alone
};

/// What a rule says, for registrations.
struct RuleOfQuestion {
  std::string question, name, sentence;
};
/// Every rule in the order of the questions, and the correction for their number.
std::vector<RuleOfQuestion> all_rules();

const GrowthRule& damage_growth_rule();               ///< Q1
const GrowthRule& sharpness_growth_rule();            ///< Q2
const IntervalRule& prediction_rule();                ///< Q3
const IntervalRule& direction_rule();                 ///< Q4
const Rule<CauseEvidence>& cause_rule();              ///< Q5
const Rule<CompositionEvidence>& composition_rule();  ///< Q6
const Rule<FormsEvidence>& forms_rule();              ///< Q7
const Rule<PrecisionEvidence>& precision_rule();      ///< Q8
const Rule<Interval>& information_rule();             ///< Q8, of ln (fitted scale over that of the information)
const Rule<BandEvidence>& ratio_rule();               ///< Q9, of gamma_D - gamma_N
const Rule<PlateauEvidence>& plateau_rule();          ///< Q10
const Rule<BandEvidence>& injection_rule();           ///< Q11, of measured over predicted rise
const Rule<TrainingCompositionEvidence>& training_composition_rule();  ///< Q12
const Rule<BandEvidence>& scheme_prediction_rule();                    ///< Q13, of measured over predicted damage
const Rule<BandEvidence>& scheme_exponent_rule();   ///< Q14, of exponents of D minus that of rounding to nearest
const Rule<AllocationEvidence>& allocation_rule();  ///< Q15
const Rule<BandEvidence>& few_bits_rule();          ///< Q16, of ln (N_eff over that of the law of more bits)
const Rule<BandEvidence>& procedure_rule();         ///< Q16, of ln (scale of a procedure over that of straight-through)
const Rule<BandEvidence>& architecture_rule();      ///< Q17
const Rule<ExpertsEvidence>& experts_rule();        ///< Q18
const Rule<BandEvidence>& context_rule();           ///< Q19, of the exponent of the position under each policy
const Rule<BandEvidence>& schedules_rule();         ///< Q20, of the gain of falling bits at each average
const Rule<BandEvidence>& tasks_rule();             ///< Q21, of the accuracy lost beyond what the loss says, by task
const Rule<BandEvidence>& tuning_rule();            ///< Q22, of the change of ln (damage over prediction), by branch
const Rule<BandEvidence>& removed_bits_rule();      ///< Q23, of the exponent of the bits removed, many tokens minus few
const Rule<BandEvidence>& rounding_rule();          ///< Q24, of ln (damage of nearest over that of stochastic rounding)
const Rule<SumRuleEvidence>& sum_rule();            ///< Q25

}  // namespace hone::theory
