// Growth with tokens, as Q1 and Q2 measure it: a power law against the form that levels off, the shape over tokens,
// and how far outside its rows each form holds.
#pragma once

#include <string>
#include <vector>

#include "theory/questions/findings.hpp"
#include "theory/questions/forms.hpp"

namespace hone::theory {

/// A power law of tokens and its rival on the same rows.
struct Growth {
  LawKind power = LawKind::ptq_exponential, rival = LawKind::ptq_saturating;
  FitSummary fit;                     ///< of the power law
  std::vector<Interval> parameters;   ///< of the power law, in its order
  Interval bend{NAN, NAN, NAN, 0};    ///< half the change of the local exponent per e-fold of tokens
  Interval change{NAN, NAN, NAN, 0};  ///< exponent of the second half of ln D minus that of the first
  Interval last{NAN, NAN, NAN, 0};    ///< exponent between the last two token counts of each size
  HeldOut of_power, of_rival;
  FormContrast contrast;  ///< mean squared held-out error, power minus rival
  int cells = 0;
};

/// Fit with intervals, and held-out errors by leaving out cells.
/// expects a log-linear power law whose parameter 1 is the exponent of D
Growth measure_growth(LawKind power, LawKind rival, const std::vector<Observation>& rows, const Thresholds& thresholds);

/// Sets outcome, estimate and prose from the exponent of D by the rule; `what` is the subject of the sentences.
void decide_growth(Verdict& v, const Growth& growth, const std::string& what, const GrowthRule& rule,
                   const Thresholds& thresholds);

/// Controls of the design, numbers of the fit, and the statement that two forms fit equally well.
void add_growth(Verdict& v, const Growth& growth, const std::vector<Observation>& rows);

/// Held-out error of one form, and the cells that it could not predict.
/// shapes  form.key and form.label name the form
void add_held_out(Verdict& v, const Name& form, const HeldOut& held_out);
/// The same for a law.
void add_held_out(Verdict& v, LawKind law, const HeldOut& held_out);

/// AICc of each form, and its error and bias outside the fitted range: fit D/N up to a share of its range in logs and
/// predict the rest; fit all sizes but the largest and predict that.
/// expects threshold reach_share
void add_reach(Verdict& v, const std::vector<LawKind>& forms, const std::vector<Observation>& rows,
               const Thresholds& thresholds);
}  // namespace hone::theory
