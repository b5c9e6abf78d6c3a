// Q4: do the top eigendirections carry the damage?
#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/judge.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {
namespace {

enum class Energy { smallest, largest };

/// Of the energies injected at one checkpoint into one subspace, the row of one end: second order is a claim about
/// the smallest, and where it ends shows in the largest.
std::vector<NoiseRow> rows_of_energy(const std::vector<NoiseRow>& all, Energy which) {
  std::map<std::tuple<std::string, double, std::string, std::string>, NoiseRow> chosen;
  for (const NoiseRow& r : all) {
    const auto [at, is_new] = chosen.try_emplace({r.run, r.D, r.variant, r.subspace}, r);
    const bool is_further = which == Energy::smallest ? r.energy < at->second.energy : r.energy > at->second.energy;
    if (!is_new && is_further) at->second = r;
  }
  std::vector<NoiseRow> rows;
  for (const auto& [key, row] : chosen) rows.push_back(row);
  return rows;
}

/// Measured over predicted damage of injected noise in one subspace.
void add_subspace(Verdict& v, const std::vector<NoiseRow>& all, const std::string& subspace, const std::string& label,
                  const Thresholds& thresholds) {
  const double scatter = value_of(thresholds, "fit_scatter");
  std::vector<NoiseRow> rows;
  std::vector<double> ratio, sigma;
  int dropped = 0;
  for (const NoiseRow& r : all) {
    if (r.subspace != subspace) continue;
    if (!std::isfinite(r.delta) || !std::isfinite(r.delta_se) || !(r.predicted > 0) || !std::isfinite(r.predicted)) {
      ++dropped;
      continue;
    }
    rows.push_back(r);
    ratio.push_back(r.delta / r.predicted);
    sigma.push_back(combined_sigma({r.delta_se / r.predicted}, scatter));
  }
  const Interval interval = mean_interval(keys_of(rows), ratio, sigma, interval_options(thresholds));
  if (rows.empty() && dropped == 0) return;
  add_detail(v, "measured over predicted, " + label, interval);
  double least = INFINITY, most = 0;
  for (const NoiseRow& r : rows) least = std::min(least, r.predicted), most = std::max(most, r.predicted);
  add_detail(v, "predicted rise in nats, " + label, Interval{(least + most) / 2, least, most, 0});
  add_detail(v, "noise rows dropped, " + label, dropped);
}

/// One share per checkpoint: the rows of its amplitudes and subspaces repeat it.
std::vector<NoiseRow> checkpoint_shares(const std::vector<NoiseRow>& all, int& dropped) {
  std::map<std::tuple<std::string, std::int64_t, double, double, std::string>, NoiseRow> checkpoints;
  for (const NoiseRow& r : all) checkpoints.try_emplace({r.run, r.seed, r.N, r.D, r.variant}, r);
  std::vector<NoiseRow> rows;
  for (const auto& [key, r] : checkpoints) {
    if (std::isfinite(r.residual_share) && std::isfinite(r.null_share) && r.null_share > 0)
      rows.push_back(r);
    else
      ++dropped;
  }
  return rows;
}

/// How much of the error's own quadratic damage the top directions carry, and how much a random one's.
void add_curvature_shares(Verdict& v, const std::vector<NoiseRow>& all, const Thresholds& thresholds) {
  std::vector<NoiseRow> rows;
  std::vector<double> share, null;
  for (const NoiseRow& r : all) {
    if (!std::isfinite(r.curvature_share) || !std::isfinite(r.curvature_null_share)) continue;
    rows.push_back(r);
    share.push_back(r.curvature_share);
    null.push_back(r.curvature_null_share);
  }
  if (rows.empty()) return;
  const std::vector<double> equal(rows.size(), 1.0);
  const IntervalOptions options = interval_options(thresholds);
  add_detail(v, "share of the quadratic damage in the top directions",
             mean_interval(keys_of(rows), share, equal, options));
  add_detail(v, "that share of a random error, sum of eigenvalues over trace",
             mean_interval(keys_of(rows), null, equal, options));
}

}  // namespace

Verdict judge_directions(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q4", "Does the rounding error lean into the top eigendirections?",
                           "the real rounding error leans into the top eigendirections more than a random one would",
                           "supported: interval of share over null above 1 + q4_tolerance; refuted: below it; "
                           "inconclusive otherwise",
                           thresholds, {"q4_tolerance", "fit_scatter", "cells_min"});
  std::vector<NoiseRow> noise;
  for (const NoiseRow& r : table.noise)
    if (r.architecture == "transformer" && is_main_trunk(r)) noise.push_back(r);
  const auto smallest = rows_of_energy(noise, Energy::smallest);
  const auto largest = rows_of_energy(noise, Energy::largest);
  for (const std::string subspace : {"top", "random", "complement", "isotropic"}) {
    add_subspace(v, smallest, subspace, subspace, thresholds);
    add_subspace(v, largest, subspace, subspace + ", largest energy", thresholds);
    add_control(v, "noise of equal energy in subspace " + subspace,
                find_detail(v, "measured over predicted, " + subspace) != nullptr);
  }

  int dropped = 0;
  const std::vector<NoiseRow> shares = checkpoint_shares(noise, dropped);
  const std::vector<RowKey> keys = keys_of(shares);
  std::vector<double> ratio;
  for (const NoiseRow& r : shares) ratio.push_back(r.residual_share / r.null_share);
  v.n = static_cast<int>(shares.size());
  add_detail(v, "checkpoints dropped: share not measured", dropped);
  const int cells_min = static_cast<int>(value_of(thresholds, "cells_min"));
  if (count_cells(keys) < cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: the share of the rounding error in the top directions is known in {} "
        "cells, at least {} needed.",
        count_cells(keys), cells_min);
    return v;
  }
  add_curvature_shares(v, shares, thresholds);
  const Interval share =
      mean_interval(keys, ratio, std::vector<double>(ratio.size(), 1.0), interval_options(thresholds));
  set_estimate(v, share);
  const double bar = 1 + value_of(thresholds, "q4_tolerance");
  if (share.low > bar)
    v.outcome = Outcome::supported;
  else if (share.high < bar)
    v.outcome = Outcome::refuted;
  const Detail* top = find_detail(v, "measured over predicted, top");
  v.prose = fmt::format(
      "The rounding error's share in the top directions is {} times that of a random direction "
      "over {} checkpoints.{}",
      in_words(share), v.n,
      top ? fmt::format(" Noise of the smallest energy injected there costs {} of its second-order prediction.",
                        in_words({top->value, top->low, top->high, 0}))
          : "");
  return v;
}

}  // namespace hone::theory
