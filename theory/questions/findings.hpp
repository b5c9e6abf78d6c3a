// How a judge fills its verdict: the open question, its findings and its controls.
#pragma once

#include <string>
#include <type_traits>

#include "theory/questions/rules.hpp"
#include "theory/questions/selection.hpp"
#include "theory/questions/verdict.hpp"

namespace hone::theory {

/// What a finding is called: its key without the question's ("slope" becomes "q3.slope"), its words and its unit.
struct Name {
  std::string key;
  std::string label;
  std::string unit = "1";
};

/// A verdict with its words, its rule and the thresholds that the rule reads, still inconclusive and without numbers.
/// shapes  estimate names the number that the rule judges
template <class Evidence>
Verdict open_verdict(std::string id, std::string question, std::string hypothesis, Name estimate,
                     const Rule<Evidence>& rule, const Thresholds& thresholds);

/// The same from the parts of a rule.
Verdict open_verdict(std::string id, std::string question, std::string hypothesis, Name estimate, std::string sentence,
                     const ThresholdList& list, const Thresholds& thresholds);

template <class Evidence>
Verdict open_verdict(std::string id, std::string question, std::string hypothesis, Name estimate,
                     const Rule<Evidence>& rule, const Thresholds& thresholds) {
  Verdict v = open_verdict(std::move(id), std::move(question), std::move(hypothesis), std::move(estimate),
                           rule.sentence, rule.thresholds, thresholds);
  v.bounds = rule.bounds(thresholds);
  return v;
}

/// Sets outcome, answer and p-value by the rule.
template <class Evidence>
void decide(Verdict& v, const Rule<Evidence>& rule, const std::type_identity_t<Evidence>& evidence,
            const Thresholds& thresholds) {
  v.outcome = rule(evidence, thresholds);
  v.answer = rule.answer(v.outcome);
  if (v.outcome != Outcome::inconclusive && rule.p_value != nullptr) v.p_value = rule.p_value(evidence, thresholds);
}

void add_control(Verdict& verdict, Control control, bool was_run);
void add_finding(Verdict& verdict, const Name& name, double value);
void add_finding(Verdict& verdict, const Name& name, const Interval& interval);
void add_dropped(Verdict& verdict, const Dropped& dropped);
void set_estimate(Verdict& verdict, const Interval& interval);

/// 1 where the interval holds the predicted value, 0 where it excludes it, NaN where one of them is not known.
double agrees(const Interval& interval, double predicted);

/// "3" of 3 bits and "2_5" of 2.5, as a part of a key.
std::string key_number(double value);

/// "0.51 (0.45 to 0.57)"
std::string in_words(const Interval& interval);

/// "p = 0.031", and "p < 0.0001" below that.
std::string p_in_words(double p);

}  // namespace hone::theory
