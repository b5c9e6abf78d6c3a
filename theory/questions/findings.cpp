#include "theory/questions/findings.hpp"

#include <fmt/format.h>

#include <utility>

namespace hone::theory {
namespace {

/// "q3.slope" of "slope" in Q3.
std::string full_key(const Verdict& v, const std::string& key) { return key_word(v.id) + "." + key; }

}  // namespace

Verdict open_verdict(std::string id, std::string question, std::string hypothesis, Name estimate, std::string sentence,
                     const ThresholdList& list, const Thresholds& thresholds) {
  Verdict v;
  v.id = std::move(id);
  v.question = std::move(question);
  v.hypothesis = std::move(hypothesis);
  v.estimate_key = full_key(v, estimate.key);
  v.estimate_label = std::move(estimate.label);
  v.unit = std::move(estimate.unit);
  v.estimate = v.low = v.high = NAN;
  v.level = thresholds.level;
  v.answer = "The rows of this study say nothing about it.";
  v.rule = std::move(sentence);
  v.thresholds = recorded(thresholds, list);
  return v;
}

void add_control(Verdict& verdict, Control control, bool was_run) { verdict.controls.push_back({control, was_run}); }

void add_finding(Verdict& verdict, const Name& name, double value) {
  verdict.findings.push_back({full_key(verdict, name.key), name.label, value, NAN, NAN, name.unit});
}

void add_finding(Verdict& verdict, const Name& name, const Interval& interval) {
  verdict.findings.push_back(
      {full_key(verdict, name.key), name.label, interval.estimate, interval.low, interval.high, name.unit});
}

void add_dropped(Verdict& verdict, const Dropped& dropped) {
  add_finding(verdict, {"dropped.not_finite", "rows dropped: not finite"}, dropped.not_finite);
  add_finding(verdict, {"dropped.not_positive", "rows dropped: not positive"}, dropped.not_positive);
  add_finding(verdict, {"dropped.below_noise", "rows dropped: below the noise"}, dropped.below_noise);
}

void set_estimate(Verdict& verdict, const Interval& interval) {
  verdict.estimate = interval.estimate;
  verdict.low = interval.low;
  verdict.high = interval.high;
  for (const double bound : verdict.bounds) {
    const double distance = std::abs(interval.estimate - bound) / interval.standard_error;
    if (!(distance >= verdict.distance_se)) verdict.distance_se = distance;
  }
  add_finding(verdict, {"failures", "trajectories without which there is no estimate"}, interval.failures);
}

double agrees(const Interval& interval, double predicted) {
  if (!std::isfinite(predicted) || !std::isfinite(interval.low) || !std::isfinite(interval.high)) return NAN;
  return is_outside(interval, predicted, predicted) ? 0 : 1;
}

std::string key_number(double value) { return key_word(fmt::format("{:g}", value)); }

std::string in_words(const Interval& interval) {
  return fmt::format("{:.3g} ({:.3g} to {:.3g})", interval.estimate, interval.low, interval.high);
}

std::string p_in_words(double p) {
  constexpr double least = 1e-4;  // the tail of Student's t says no more than this of few trajectories
  return p < least ? "p < 0.0001" : fmt::format("p = {:.2g}", p);
}

}  // namespace hone::theory
