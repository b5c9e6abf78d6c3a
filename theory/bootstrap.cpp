#include "theory/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone::theory {
namespace {

using Rows = std::vector<std::size_t>;

double quantile(const std::vector<double>& sorted, double level) {
  const double place = level * static_cast<double>(sorted.size() - 1);
  const auto below_place = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below_place + 1, sorted.size() - 1);
  const double fraction = place - static_cast<double>(below_place);
  return sorted[below_place] + fraction * (sorted[above] - sorted[below_place]);
}

/// Rows by cell and seed, in key order, so that equal data give equal draws.
std::vector<std::vector<Rows>> group_rows(const std::vector<RowKey>& keys) {
  std::map<std::int64_t, std::map<std::int64_t, Rows>> tree;
  for (std::size_t i = 0; i < keys.size(); ++i) tree[keys[i].cell][keys[i].seed].push_back(i);
  std::vector<std::vector<Rows>> cells;
  for (auto& [cell, seeds] : tree) {
    auto& list = cells.emplace_back();
    for (auto& [seed, rows] : seeds) list.push_back(std::move(rows));
  }
  return cells;
}

void draw_sample(const std::vector<std::vector<Rows>>& cells, const Stream& stream, Rows& sample) {
  sample.clear();
  std::uint64_t counter = 0;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const auto& seeds = cells[below(stream, counter++, cells.size())];
    for (std::size_t s = 0; s < seeds.size(); ++s) {
      const Rows& rows = seeds[below(stream, counter++, seeds.size())];
      sample.insert(sample.end(), rows.begin(), rows.end());
    }
  }
}

}  // namespace

std::vector<Interval> bootstrap(const std::vector<RowKey>& keys, const Statistic& statistic,
                                const BootstrapOptions& options) {
  EXPECTS(!keys.empty(), "bootstrap: no rows");
  EXPECTS(options.replicates >= 1, "bootstrap: {} replicates, expected ≥ 1", options.replicates);
  EXPECTS(options.level > 0 && options.level < 1, "bootstrap: level {}", options.level);
  Rows all(keys.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const std::vector<double> estimates = statistic(all);
  std::vector<std::vector<double>> draws(estimates.size());

  const auto cells = group_rows(keys);
  Rows sample;
  for (int r = 0; r < options.replicates; ++r) {
    draw_sample(cells, {options.seed, Domain::bootstrap, static_cast<std::uint32_t>(r)}, sample);
    const std::vector<double> values = statistic(sample);
    EXPECTS(values.size() == draws.size(), "bootstrap: {} values, then {}", draws.size(), values.size());
    for (std::size_t k = 0; k < values.size(); ++k)
      if (std::isfinite(values[k])) draws[k].push_back(values[k]);
  }
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<Interval> intervals(estimates.size());
  for (std::size_t k = 0; k < estimates.size(); ++k) {
    const int finite = static_cast<int>(draws[k].size());
    intervals[k] = {estimates[k], nan, nan, options.replicates - finite};
    if (2 * finite < options.replicates) continue;
    std::sort(draws[k].begin(), draws[k].end());
    intervals[k].low = quantile(draws[k], (1 - options.level) / 2);
    intervals[k].high = quantile(draws[k], (1 + options.level) / 2);
  }
  return intervals;
}

}  // namespace hone::theory
