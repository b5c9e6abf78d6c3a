// Growth with tokens, as Q1 and Q2 measure it: a power law against forms that level off and against none, the shape over
// tokens, the plateau, and how far outside its rows each form holds.
#pragma once

#include <string>
#include <vector>

#include "theory/questions/findings.hpp"
#include "theory/questions/forms.hpp"

namespace hone::theory {

/// The laws of one quantity.
struct GrowthLaws {
  LawKind power, in_ratio, in_tokens;  ///< a power of D; levelling off in D/N; in D
};
inline constexpr GrowthLaws damage_laws{LawKind::ptq_exponential, LawKind::ptq_saturating,
                                        LawKind::ptq_saturating_tokens};
inline constexpr GrowthLaws sharpness_laws{LawKind::sharpness_power, LawKind::sharpness_saturating,
                                           LawKind::sharpness_saturating_tokens};

/// A row and the updates of the optimizer behind it.
struct GrowthRows {
  std::vector<Observation> rows;
  std::vector<double> updates;  ///< one per row; 0: not known
};

/// A form beside the power of the tokens, on the same rows.
struct GrowthRival {
  std::string key, name;  ///< saturating_ratio | saturating_d | saturating_updates | none
  bool levels_off = true;
  HeldOut held_out{};
  FormContrast contrast{};  ///< mean squared held-out error, power minus this; hold together (Bonferroni)
};

/// What rows say of updates beside tokens.
enum class Updates { unknown, as_tokens, apart };

/// A power law of tokens and its rivals on the same rows.
struct Growth {
  LawKind power = LawKind::ptq_exponential;
  FitSummary fit;                     ///< of the power law
  std::vector<Interval> parameters;   ///< of the power law, in its order
  Interval bend{NAN, NAN, NAN, 0};    ///< half the change of the local exponent per e-fold of tokens
  Interval change{NAN, NAN, NAN, 0};  ///< exponent of the second half of ln D minus that of the first
  Interval last{NAN, NAN, NAN, 0};    ///< exponent between the last two token counts of each size
  HeldOut of_power;
  std::vector<GrowthRival> rivals;
  Updates updates = Updates::unknown;  ///< as_tokens: every update has equally many, and is no variable of its own
  double tokens_per_update = NAN;      ///< where they are as tokens
  int cells = 0;
};

/// Fit with intervals, and held-out errors by leaving out cells: of the power, of forms that level off in D/N, in D and in
/// updates, and of the power with the exponent 0 ("none").
/// math    in updates: the law of D with updates in place of D; only where they are known and not proportional to D
/// expects a log-linear power law whose parameter 1 is the exponent of D
Growth measure_growth(const GrowthLaws& laws, const GrowthRows& measured, const Thresholds& thresholds);

/// Sets outcome, estimate and prose from the exponent of D by the rule; `what` is the subject of the sentences.
void decide_growth(Verdict& v, const Growth& growth, const std::string& what, const GrowthRule& rule,
                   const Thresholds& thresholds);

/// Controls of the design, numbers of the fit, and the statement that forms fit equally well.
void add_growth(Verdict& v, const Growth& growth, const std::vector<Observation>& rows);

/// Held-out errors of the power and its rivals, "forms.saturating_d.held_out", and their paired differences,
/// "forms.saturating_d.difference".
/// shapes  quantity.key and quantity.label name the quantity, both empty for that of the question
void add_growth_forms(Verdict& v, const Growth& growth, const Name& quantity);

/// Level and place of the plateau of the form that levels off in D, over all rows and for each size with enough of them.
/// math    level: ln of the form at infinite D, at the fewest bits of the rows and, over all, at the geometric mean of the
///         sizes; place: the tokens r at which the form has reached 1 - 1/e of it. Intervals leave out trajectories.
///         Nothing where r lies outside the tokens of the rows: they show no plateau
void add_plateau(Verdict& v, const Growth& growth, const GrowthLaws& laws, const std::vector<Observation>& rows,
                 const Thresholds& thresholds);

/// Held-out error of one form, and the cells that it could not predict.
/// shapes  form.key and form.label name the form; part begins the key: "" or "late."
void add_held_out(Verdict& v, const Name& form, const HeldOut& held_out, const std::string& part = "");
/// The same for a law.
void add_held_out(Verdict& v, LawKind law, const HeldOut& held_out);

/// AICc of each form, and its error and bias outside the fitted range: fit D/N up to a share of its range in logs and
/// predict the rest; fit all sizes but the largest and predict that.
/// expects threshold reach_share
void add_reach(Verdict& v, const std::vector<LawKind>& forms, const std::vector<Observation>& rows,
               const Thresholds& thresholds);
}  // namespace hone::theory
