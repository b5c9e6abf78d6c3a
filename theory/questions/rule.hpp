// What decision rules are made of: a rule as a value, evidence of numbers in one band, and p-values of several statements.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "theory/fits/jackknife.hpp"
#include "theory/fits/weighted.hpp"
#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"

namespace hone::theory {

/// The answer to a question that a study leaves open.
inline constexpr const char* undecided = "This study does not decide it.";

/// A rule on evidence of some kind.
template <class Evidence>
struct Rule {
  std::string name;                                    ///< "slope near 1"
  std::string sentence;                                ///< how the outcome follows, as the verdict prints it
  std::string supported, refuted;                      ///< the answer to the question in each case
  std::vector<double> (*bounds)(const Thresholds& t);  ///< of the judged number, at which the outcome changes
  ThresholdList thresholds;                            ///< those that the rule and the selection of its rows read
  Outcome (*decide)(const Evidence& evidence, const Thresholds& thresholds) = nullptr;
  /// Of the decision that the evidence gives, at most 1 - level where it gives one; nullptr: not known.
  double (*p_value)(const Evidence& evidence, const Thresholds& thresholds) = nullptr;

  Outcome operator()(const Evidence& evidence, const Thresholds& t) const { return decide(evidence, t); }
  std::string answer(Outcome outcome) const {
    return outcome == Outcome::supported ? supported : outcome == Outcome::refuted ? refuted : undecided;
  }
};

/// A rule on one interval, with what a planner must know of it.
struct IntervalRule : Rule<Interval> {
  /// "above 0", "1 ± 0.1"
  std::string (*bar)(const Thresholds& thresholds) = nullptr;
  /// Half-width of an interval around `truth` above which the rule cannot decide.
  double (*margin)(double truth, const Thresholds& thresholds) = nullptr;
};

/// Numbers that are to lie in one band, all together: ratios around 1, differences around 0.
struct BandEvidence {
  std::vector<Interval> numbers;
};
/// The place of the number that decides: in standard errors farthest beyond centre ± tolerance, or else least far inside.
/// expects at least one
std::size_t deciding(const BandEvidence& evidence, double centre, double tolerance);
/// The place of the number that lies, in standard errors, least above a minimum or farthest below it.
/// expects at least one
std::size_t least_above(const BandEvidence& evidence, double minimum);

/// Supported inside the band of half-width `tolerance` around `centre`, refuted outside it.
Outcome decide_band(const Interval& i, double centre, double tolerance);

/// Half-width of an interval around `truth` above which a rule on the band cannot decide.
double band_margin(double truth, double centre, double tolerance);

/// The ends of a band.
std::vector<double> around(double centre, double tolerance);

/// That a number lies on that side of some bounds on which its estimate lies.
struct Statement {
  const Interval& interval;
  std::vector<double> bounds;
  bool holds = true;  ///< at the level of its interval
};

/// p-value of all statements together: the largest of them. NaN where one is not known.
double p_of_all(const std::vector<Statement>& statements);

/// p-value of the clearest statement among those that hold; the intervals of such statements count their family already.
double p_of_any(const std::vector<Statement>& statements);

/// The place of the interval farthest beyond ± its band in standard errors.
template <class Item, class Read, class Band>
std::size_t farthest_beyond(const std::vector<Item>& items, Read&& interval_of, Band&& band) {
  std::size_t first = 0;
  double most = -INFINITY;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Interval x = interval_of(items[i]);
    constexpr double no_error = 1e-300;  // of rows without noise: the distance itself then orders them
    const double beyond = (std::abs(x.estimate) - band(items[i])) / std::max(x.standard_error, no_error);
    if (beyond > most) most = beyond, first = i;
  }
  return first;
}

/// Supported: at least `least` numbers, all inside centre ± the tolerance. Refuted: one number beyond it.
template <int centre, double Thresholds::*tolerance, std::size_t least>
Outcome decide_in_band(const BandEvidence& e, const Thresholds& t) {
  const double low = centre - t.*tolerance, high = centre + t.*tolerance;
  const auto& all = e.numbers;
  if (std::any_of(all.begin(), all.end(), [&](const Interval& i) { return is_outside(i, low, high); }))
    return Outcome::refuted;
  const bool is_in = std::all_of(all.begin(), all.end(), [&](const Interval& i) { return is_inside(i, low, high); });
  return is_in && all.size() >= least ? Outcome::supported : Outcome::inconclusive;
}

template <int centre, double Thresholds::*tolerance, std::size_t least>
double p_in_band(const BandEvidence& e, const Thresholds& t) {
  const auto band = around(centre, t.*tolerance);
  std::vector<Statement> each;
  for (const Interval& i : e.numbers) each.push_back({i, band, is_outside(i, band[0], band[1])});
  return decide_in_band<centre, tolerance, least>(e, t) == Outcome::supported ? p_of_all(each) : p_of_any(each);
}

/// The rule that asks whether all numbers lie in centre ± the tolerance.
template <int centre, double Thresholds::*tolerance, std::size_t least>
Rule<BandEvidence> band_rule(std::string name, std::string sentence, std::string supported, std::string refuted,
                             ThresholdList others) {
  others.insert(others.begin(), tolerance);
  return {std::move(name),
          std::move(sentence),
          std::move(supported),
          std::move(refuted),
          [](const Thresholds& t) { return around(centre, t.*tolerance); },
          std::move(others),
          decide_in_band<centre, tolerance, least>,
          p_in_band<centre, tolerance, least>};
}

/// What numbers must exceed: the end of the band around the minimum that counts as none.
template <double Thresholds::*minimum, double Thresholds::*equivalence>
double bar_of(const Thresholds& t) {
  return t.*minimum + t.*equivalence;
}

/// Supported: every number above the bar. Refuted: one number below it.
template <double Thresholds::*minimum, double Thresholds::*equivalence>
Outcome decide_all_above(const BandEvidence& e, const Thresholds& t) {
  const double bar = bar_of<minimum, equivalence>(t);
  const auto& all = e.numbers;
  if (std::any_of(all.begin(), all.end(), [&](const Interval& i) { return i.high < bar; })) return Outcome::refuted;
  const bool are_above = std::all_of(all.begin(), all.end(), [&](const Interval& i) { return i.low > bar; });
  return are_above && !all.empty() ? Outcome::supported : Outcome::inconclusive;
}

template <double Thresholds::*minimum, double Thresholds::*equivalence>
double p_all_above(const BandEvidence& e, const Thresholds& t) {
  const double bar = bar_of<minimum, equivalence>(t);
  std::vector<Statement> each;
  for (const Interval& i : e.numbers) each.push_back({i, {bar}, i.high < bar});
  return decide_all_above<minimum, equivalence>(e, t) == Outcome::supported ? p_of_all(each) : p_of_any(each);
}

/// The rule that asks whether all numbers lie above a minimum by more than counts as none.
template <double Thresholds::*minimum, double Thresholds::*equivalence>
Rule<BandEvidence> all_above_rule(std::string name, std::string sentence, std::string supported, std::string refuted,
                                  ThresholdList others) {
  others.insert(others.begin(), {minimum, equivalence});
  return {std::move(name),
          std::move(sentence),
          std::move(supported),
          std::move(refuted),
          [](const Thresholds& t) { return std::vector{bar_of<minimum, equivalence>(t)}; },
          std::move(others),
          decide_all_above<minimum, equivalence>,
          p_all_above<minimum, equivalence>};
}

}  // namespace hone::theory
