#include "theory/questions/q11_injection.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/fits/weighted.hpp"
#include "theory/questions/findings.hpp"

namespace hone::theory {
namespace {

constexpr const char* judged_spaces[] = {"top", "next", "random", "complement"};
constexpr const char* all_spaces[] = {"top", "next", "random", "complement", "negative"};

/// Rows of one space with measured over predicted rise and its error.
struct Ratios {
  std::vector<InjectionRow> rows;
  std::vector<double> ratio, sigma;

  void add(const InjectionRow& r, double scatter) {
    rows.push_back(r);
    ratio.push_back(r.delta / r.predicted);
    sigma.push_back(combined_sigma({r.delta_se / std::abs(r.predicted)}, scatter));
  }
  Interval mean(const IntervalOptions& options) const { return mean_interval(keys_of(rows), ratio, sigma, options); }
};

/// By space, then by predicted rise.
using BySpace = std::map<std::string, std::map<double, Ratios>>;

BySpace ratios_of(const Table& table, const Thresholds& thresholds, int& dropped) {
  BySpace found;
  for (const InjectionRow& r : table.injection) {
    if (!r.is_transformer() || !is_main_trunk(r)) continue;
    if (!std::isfinite(r.delta) || !std::isfinite(r.delta_se) || !std::isfinite(r.predicted) || r.predicted == 0)
      ++dropped;  // a spectrum without such directions, or a loss that is not finite
    else
      found[r.subspace][r.rise].add(r, thresholds.fit_scatter);
  }
  return found;
}

/// The rise at which the ratios of one checkpoint leave 1 ± tolerance, in ln nats; NaN where they never do.
double end_of(const std::map<double, double>& ratio_at, double tolerance) {
  double before = NAN, distance_before = 0;
  for (const auto& [rise, ratio] : ratio_at) {
    const double distance = std::abs(ratio - 1), x = std::log(rise);
    if (distance > tolerance) {
      if (!std::isfinite(before)) return x;  // beyond it from the least rise on
      return before + (x - before) * (tolerance - distance_before) / (distance - distance_before);
    }
    before = x, distance_before = distance;
  }
  return NAN;
}

/// Where second order ends in one space, and how that moves with tokens.
void add_end(Verdict& v, const std::string& space, const std::map<double, Ratios>& by_rise,
             const Thresholds& thresholds) {
  using Checkpoint = std::tuple<std::string, double, std::string>;
  std::map<Checkpoint, std::pair<InjectionRow, std::map<double, double>>> checkpoints;
  for (const auto& [rise, ratios] : by_rise)
    for (std::size_t i = 0; i < ratios.rows.size(); ++i) {
      const InjectionRow& r = ratios.rows[i];
      auto& [subject, ratio_at] = checkpoints[{r.run, r.D, r.variant}];
      subject = r, ratio_at[rise] = ratios.ratio[i];
    }
  std::vector<InjectionRow> rows;
  std::vector<double> ends, log_d, equal;
  std::vector<std::size_t> group;
  std::map<double, std::size_t> sizes;
  for (const auto& [key, checkpoint] : checkpoints) {
    const double end = end_of(checkpoint.second, thresholds.q11_tolerance);
    if (!std::isfinite(end)) continue;
    rows.push_back(checkpoint.first), ends.push_back(end), equal.push_back(1);
    log_d.push_back(std::log(checkpoint.first.D));
    group.push_back(sizes.try_emplace(checkpoint.first.N, sizes.size()).first->second);
  }
  add_finding(v, {"within." + space, "checkpoints whose ratio stays within at every rise, " + space},
              static_cast<double>(checkpoints.size() - rows.size()));
  if (rows.empty()) return;
  const auto keys = keys_of(rows);
  const auto found = jackknife(
      keys,
      [&](const std::vector<std::size_t>& some) {
        return std::vector<double>{weighted_mean(ends, equal, some), slope_within(log_d, ends, equal, group, some)};
      },
      interval_options(thresholds));
  add_finding(v, {"end." + space, "predicted rise at which second order ends, " + space, "nats"},
              exponential(found[0]));
  if (std::isfinite(found[1].estimate))
    add_finding(v, {"end_exponent." + space, "exponent of D of that rise, " + space}, found[1]);
}

/// The largest rise of a space at which second order is claimed; end() when all are larger.
auto claimed(const std::map<double, Ratios>& by_rise, const Thresholds& thresholds) {
  auto at = by_rise.upper_bound(thresholds.q11_rise * (1 + 1e-9));
  return at == by_rise.begin() ? by_rise.end() : std::prev(at);
}

}  // namespace

Verdict judge_injection(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q11", "Does noise of equal predicted damage cost the same in every direction?",
                           "noise scaled to one second-order rise costs that rise in every eigendirection",
                           {"worst_ratio", "measured over predicted rise where it is farthest from 1"},
                           injection_rule(), thresholds);
  int dropped = 0;
  const BySpace found = ratios_of(table, thresholds, dropped);
  add_finding(v, {"dropped", "noise rows dropped: no such direction or not finite"}, dropped);
  const IntervalOptions together = simultaneous_options(thresholds, static_cast<int>(std::size(judged_spaces)));
  BandEvidence evidence;
  Interval worst{NAN, NAN, NAN, 0};
  std::string words;
  int cells = 0;
  for (const std::string space : all_spaces) {
    const auto by_rise = found.find(space);
    const bool is_judged = space != all_spaces[4];
    if (is_judged) add_control(v, Control::injection_spaces, found.size() >= std::size(judged_spaces));
    if (by_rise == found.end()) continue;
    for (const auto& [rise, ratios] : by_rise->second)
      add_finding(v,
                  {fmt::format("ratio.{}.rise_{}", space, key_number(rise)),
                   fmt::format("measured over predicted, {}, {:g} nats", space, rise)},
                  ratios.mean(interval_options(thresholds)));
    add_end(v, space, by_rise->second, thresholds);
    const auto at = claimed(by_rise->second, thresholds);
    if (!is_judged || at == by_rise->second.end()) continue;
    const Interval ratio = at->second.mean(together);
    add_finding(v, {"ratio." + space, "measured over predicted, " + space + ", together with the others"}, ratio);
    evidence.numbers.push_back(ratio);
    if (!(std::abs(ratio.estimate - 1) <= std::abs(worst.estimate - 1))) worst = ratio;
    cells = std::max(cells, count_cells(keys_of(at->second.rows)));
    v.n += static_cast<int>(at->second.rows.size());
    words += fmt::format("{}{} in {} directions", words.empty() ? "" : ", ", in_words(ratio), space);
  }
  const int cells_min = static_cast<int>(thresholds.cells_min);
  if (evidence.numbers.size() < 2 || cells < cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: noise of equal predicted rise, up to {:g} nats, was measured in {} spaces and {} cells; "
        "two spaces and {} cells are needed (option noise.equal_rises).",
        thresholds.q11_rise, evidence.numbers.size(), cells, cells_min);
    return v;
  }
  set_estimate(v, worst);
  decide(v, injection_rule(), evidence, thresholds);
  v.prose = fmt::format("Up to a predicted rise of {:g} nats, measured over predicted rise is {}.", thresholds.q11_rise,
                        words);
  return v;
}

}  // namespace hone::theory
