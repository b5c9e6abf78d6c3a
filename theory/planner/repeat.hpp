// What a study would show if it were run again with other seeds: every question put to redrawn campaigns by its own
// judge, on the design, noise and drop rules of the pilot.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "theory/questions/thresholds.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Shares of redrawn campaigns.
struct OutcomeShares {
  double supported = 0, refuted = 0, inconclusive = 0;

  double decided() const { return supported + refuted; }
};

/// What to expect of one question.
struct Repeat {
  std::string id;         ///< Q1 …
  std::string number;     ///< that its rule judges
  double truth = 0;       ///< the pilot's estimate; NaN: it has none
  double half_width = 0;  ///< of the interval with the planned seeds, median over campaigns; NaN: none has one
  OutcomeShares planned;  ///< with the planned seeds
  int seeds_needed = 0;   ///< fewest seeds with which `power` of the campaigns decide; 0: more than RepeatOptions::most
};

struct RepeatOptions {
  int seeds = 3;       ///< planned for each arm
  int most = 12;       ///< seeds that are tried
  double power = 0.8;  ///< share of campaigns that must decide
  int campaigns = 10;
  std::vector<std::string> questions{};                     ///< their ids; empty: all
  int threads = 1;                                          ///< over campaigns; the result does not depend on it
  std::function<void(const std::string& what)> progress{};  ///< called once for each question
};

/// Every question of a pilot study, asked of campaigns that repeat it.
/// math    campaigns by Redraw::draw of the rows past the warm-up; verdicts by the judges, each at its own level (Holm's
///         correction over a whole study is not applied)
/// expects a pilot with at least two seeds in some arm
/// ensures equal arguments give equal bits for any number of threads
/// cost    up to campaigns·log2(most) verdicts of each question on the pilot's rows times seeds/pilot seeds
std::vector<Repeat> expected_repeats(const Table& pilot, const Thresholds& thresholds, const RepeatOptions& options);

}  // namespace hone::theory
