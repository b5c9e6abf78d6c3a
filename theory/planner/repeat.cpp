#include "theory/planner/repeat.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"
#include "theory/planner/redraw.hpp"
#include "theory/questions/judge.hpp"
#include "theory/questions/settled.hpp"

namespace hone::theory {
namespace {

/// Verdicts of one question on redrawn campaigns of so many seeds.
struct Campaigns {
  OutcomeShares shares;
  double half_width = NAN;
};

Campaigns campaigns_of(const Question& question, const Redraw& pilot, int seeds, const Thresholds& thresholds,
                       const RepeatOptions& options) {
  std::vector<Verdict> verdicts(static_cast<std::size_t>(options.campaigns));
  parallel_for(options.campaigns, options.threads, [&](Index i, int) {
    verdicts[static_cast<std::size_t>(i)] =
        question.judge(pilot.draw(seeds, static_cast<std::uint64_t>(i)), thresholds);
  });
  Campaigns c;
  std::vector<double> widths;
  for (const Verdict& v : verdicts) {
    (v.outcome == Outcome::supported ? c.shares.supported
     : v.outcome == Outcome::refuted ? c.shares.refuted
                                     : c.shares.inconclusive) += 1;
    if (std::isfinite(v.high - v.low)) widths.push_back((v.high - v.low) / 2);
  }
  for (double* share : {&c.shares.supported, &c.shares.refuted, &c.shares.inconclusive}) *share /= options.campaigns;
  std::sort(widths.begin(), widths.end());
  if (!widths.empty()) c.half_width = widths[widths.size() / 2];
  return c;
}

}  // namespace

std::vector<Repeat> expected_repeats(const Table& pilot, const Thresholds& thresholds, const RepeatOptions& options) {
  EXPECTS(options.seeds >= 1 && options.most >= 1, "expected_repeats: {} seeds of at most {}, expected at least 1",
          options.seeds, options.most);
  const Table settled = settle(pilot).table;
  const Redraw redraw(settled);
  EXPECTS(redraw.seeds() >= 2, "expected_repeats: the pilot has one seed, so its scatter is unknown; add seeds");
  std::vector<Repeat> repeats;
  for (const Question& q : questions()) {
    const auto& wanted = options.questions;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), q.id) == wanted.end()) continue;
    if (options.progress) options.progress(std::string(q.id));
    const Verdict truth = q.judge(settled, thresholds);
    const auto at = [&](int seeds) { return campaigns_of(q, redraw, seeds, thresholds, options); };
    const Campaigns planned = at(options.seeds);
    Repeat r{std::string(q.id), truth.estimate_label, truth.estimate, planned.half_width, planned.shares, 0};
    // More seeds narrow every interval, so the least number is found by halving.
    int below = planned.shares.decided() >= options.power ? 0 : options.seeds;
    int enough = below == 0 ? options.seeds : options.most + 1;
    while (std::isfinite(truth.estimate) && enough - below > 1) {
      const int middle = (below + enough) / 2;
      (at(middle).shares.decided() >= options.power ? enough : below) = middle;
    }
    r.seeds_needed = enough > options.most || !std::isfinite(truth.estimate) ? 0 : enough;
    repeats.push_back(r);
  }
  return repeats;
}

}  // namespace hone::theory
