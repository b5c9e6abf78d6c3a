#include "tests/theory/planted/judged.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/parallel.hpp"

namespace hone::theory {
namespace {

std::vector<Verdict> judged(const World& world, const WorldOptions& options) {
  std::vector<Verdict> verdicts(static_cast<std::size_t>(options.campaigns));
  parallel_for(options.campaigns, options.threads, [&](Index i, int) {
    verdicts[static_cast<std::size_t>(i)] = world.judge(world.draw(static_cast<std::uint64_t>(i)), Thresholds{});
  });
  return verdicts;
}

Coverage coverage_of(const World& world, const std::vector<Verdict>& verdicts) {
  Coverage c{world.name, world.question, world.planted, 0, static_cast<int>(verdicts.size()), 0, NAN};
  std::vector<double> widths;
  for (const Verdict& v : verdicts) {
    if (!std::isfinite(v.low)) {
      ++c.missing;
      continue;
    }
    c.held += v.low <= world.planted && world.planted <= v.high;
    widths.push_back(v.high - v.low);
  }
  std::sort(widths.begin(), widths.end());
  if (!widths.empty()) c.median_width = widths[widths.size() / 2];
  return c;
}

}  // namespace

VerdictTables tables_of(const std::vector<std::vector<World>>& lists, const WorldOptions& options) {
  VerdictTables tables;
  for (const auto& list : lists)
    for (const World& world : list) {
      const std::vector<Verdict> verdicts = judged(world, options);
      OutcomeRate rate{world.name, world.question, std::string(outcome_name(world.wanted))};
      for (const Verdict& v : verdicts) {
        rate.supported += v.outcome == Outcome::supported;
        rate.refuted += v.outcome == Outcome::refuted;
        rate.inconclusive += v.outcome == Outcome::inconclusive;
      }
      tables.outcomes.push_back(rate);
      if (std::isfinite(world.planted)) tables.coverage.push_back(coverage_of(world, verdicts));
    }
  return tables;
}

}  // namespace hone::theory
