#include "theory/questions/q19_context.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

double place_of(const CacheRow& r) { return std::sqrt(std::max(r.first, 1.0) * r.last); }
double place_of(const CopyRow& r) { return r.distance; }

/// Rows of one policy: one damage at each size, seed and place along the text.
template <class Row>
struct Along {
  std::vector<Row> rows;
  std::set<std::pair<double, double>> clear;  ///< sizes and places whose mean damage exceeds its noise

  /// Mean damage of some rows with its standard error, by size and place.
  struct Mean {
    double sum = 0, variance = 0, count = 0;
    double value() const { return sum / count; }
    double error() const { return std::sqrt(variance) / count; }
  };
  std::map<std::pair<double, double>, Mean> means(const Sample& some) const {
    std::map<std::pair<double, double>, Mean> found;
    for (const std::size_t i : some) {
      Mean& m = found[{rows[i].N, place_of(rows[i])}];
      m.sum += rows[i].delta, m.variance += rows[i].delta_se * rows[i].delta_se, ++m.count;
    }
    return found;
  }
  void find_clear(double snr) {
    for (const auto& [at, m] : means(all_indices(rows.size())))
      if (m.value() > snr * m.error()) clear.insert(at);
  }
  /// Exponent of the place among clear places, within sizes; NaN for fewer than two places of a size.
  double exponent(const Sample& some, double scatter) const {
    std::vector<double> x, y, sigma;
    std::vector<std::size_t> group;
    std::map<double, std::size_t> sizes;
    for (const auto& [at, m] : means(some)) {
      if (!clear.contains(at) || !(m.value() > 0)) continue;
      x.push_back(std::log(at.second)), y.push_back(std::log(m.value()));
      sigma.push_back(combined_sigma({m.error() / m.value()}, scatter));
      group.push_back(sizes.try_emplace(at.first, sizes.size()).first->second);
    }
    return slope_within(x, y, sigma, group, all_indices(x.size()));
  }
};

template <class Row>
Interval exponent_of(Along<Row> along, const Thresholds& thresholds, const IntervalOptions& options) {
  along.find_clear(thresholds.ptq_min_snr);
  if (along.rows.empty()) return {NAN, NAN, NAN, 0};
  return jackknife(
      keys_of(along.rows),
      [&](const Sample& some) { return std::vector<double>{along.exponent(some, thresholds.fit_scatter)}; },
      options)[0];
}

template <class Row>
using ByPolicy = std::map<std::string, Along<Row>>;

/// Rows that can be read, by policy. A policy that changes nothing has no damage to follow.
template <class Row>
ByPolicy<Row> by_policy(const std::vector<Row>& all, double first, int& dropped) {
  ByPolicy<Row> found;
  for (const Row& r : all) {
    if (!r.is_transformer() || !is_main_trunk(r) || !r.is_full_precision() || place_of(r) < first) continue;
    if (std::isfinite(r.delta) && std::isfinite(r.delta_se) && r.N > 0)
      found[r.policy].rows.push_back(r);
    else
      ++dropped;
  }
  std::erase_if(found, [](const auto& policy) {
    const auto& rows = policy.second.rows;
    return std::all_of(rows.begin(), rows.end(), [](const Row& r) { return r.delta == 0; });
  });
  return found;
}

/// The octaves within the training window, or beyond it.
Along<CacheRow> part_of(const Along<CacheRow>& along, bool is_within) {
  Along<CacheRow> part;
  for (const CacheRow& r : along.rows)
    if (std::isfinite(r.contexts) && (r.contexts <= 1) == is_within) part.rows.push_back(r);
  return part;
}

void add_part(Verdict& v, const Name& name, const Along<CacheRow>& part, const Thresholds& thresholds) {
  const Interval exponent = exponent_of(part, thresholds, interval_options(thresholds));
  if (std::isfinite(exponent.estimate)) add_finding(v, name, exponent);
}

/// Exponent of the distance in the damage of a copy, and the accuracy lost over the longest.
void add_copies(Verdict& v, const ByPolicy<CopyRow>& copies, const Thresholds& thresholds) {
  const IntervalOptions options = interval_options(thresholds);
  std::set<double> distances;
  for (const auto& [policy, along] : copies) {
    const std::string key = key_word(policy);
    double longest = 0;
    for (const CopyRow& r : along.rows) distances.insert(r.distance), longest = std::max(longest, r.distance);
    const Interval exponent = exponent_of(along, thresholds, options);
    if (std::isfinite(exponent.estimate))
      add_finding(v, {"copy_exponent." + key, "exponent of the distance in the damage of a copy, " + policy}, exponent);
    std::vector<CopyRow> last;
    std::vector<double> lost, equal;
    for (const CopyRow& r : along.rows)
      if (r.distance == longest) last.push_back(r), lost.push_back(-r.accuracy_delta), equal.push_back(1);
    add_finding(
        v, {"copy_accuracy_lost." + key, fmt::format("accuracy lost by a copy over {:g} tokens, {}", longest, policy)},
        mean_interval(keys_of(last), lost, equal, options));
  }
  add_control(v, Control::copy_distances, distances.size() > 2);
}

}  // namespace

Verdict judge_context(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q19", "Does the damage of a quantized cache grow with the length of the context?",
                           "under every policy of the cache the damage per token grows along the text",
                           {"exponent", "exponent of the position where its growth is least clear"}, context_rule(),
                           thresholds);
  int dropped = 0;
  const auto policies = by_policy(table.cache, thresholds.q19_position_min, dropped);
  add_finding(v, {"dropped", "octaves dropped: not finite"}, dropped);
  double contexts = 0;
  for (const CacheRow& r : table.cache) contexts = std::fmax(contexts, r.contexts);
  add_control(v, Control::long_context, contexts >= 16);
  add_copies(v, by_policy(table.copies, 0, dropped), thresholds);
  const IntervalOptions together = simultaneous_options(thresholds, static_cast<int>(policies.size()));
  BandEvidence evidence;
  std::string words;
  Interval steepest{NAN, NAN, NAN, 0};
  for (const auto& [policy, along] : policies) {
    const std::string key = key_word(policy);
    const Interval exponent = exponent_of(along, thresholds, together);
    if (!std::isfinite(exponent.estimate)) continue;
    add_finding(v, {"exponent." + key, "exponent of the position in the damage, " + policy + ", together"}, exponent);
    add_part(v, {"exponent." + key + ".within", "the same within the training window, " + policy}, part_of(along, true),
             thresholds);
    add_part(v, {"exponent." + key + ".beyond", "the same beyond the training window, " + policy},
             part_of(along, false), thresholds);
    if (count_trajectories(keys_of(along.rows)) < thresholds.trajectories_min) continue;
    evidence.numbers.push_back(exponent);
    v.n += static_cast<int>(along.rows.size());
    if (!(exponent.estimate <= steepest.estimate)) steepest = exponent;
    words += fmt::format("{}{} under {}", words.empty() ? "" : ", ", in_words(exponent), policy);
  }
  if (evidence.numbers.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: no policy of the cache has damage at two octaves of positions in {:g} trajectories "
        "(option "
        "decode.policies).",
        thresholds.trajectories_min);
    return v;
  }
  add_finding(v, {"steepest", "largest exponent of the position; above 1 the damage per token is super-linear"},
              steepest);
  set_estimate(v, evidence.numbers[least_above(evidence, thresholds.q19_exponent_min + thresholds.q19_equivalence)]);
  decide(v, context_rule(), evidence, thresholds);
  v.prose = fmt::format(
      "The damage per token grows as a power of the position: {}; positions reach {:g} training "
      "windows.",
      words, contexts);
  return v;
}

}  // namespace hone::theory
