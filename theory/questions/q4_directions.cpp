#include "theory/questions/q4_directions.hpp"

#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"

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

/// Measured over predicted damage of injected noise in one subspace; false where there was none.
bool add_subspace(Verdict& v, const std::vector<NoiseRow>& all, const std::string& subspace, const Name& name,
                  const Thresholds& thresholds) {
  const double scatter = thresholds.fit_scatter;
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
  if (rows.empty() && dropped == 0) return false;
  add_finding(v, {"ratio." + name.key, "measured over predicted, " + name.label}, interval);
  double least = INFINITY, most = 0;
  for (const NoiseRow& r : rows) least = std::min(least, r.predicted), most = std::max(most, r.predicted);
  add_finding(v, {"predicted_rise." + name.key, "predicted rise in nats, " + name.label, "nats"},
              Interval{(least + most) / 2, least, most, 0});
  add_finding(v, {"dropped." + name.key, "noise rows dropped, " + name.label}, dropped);
  return true;
}

/// The mean share of a random direction over its root mean square √(k/n).
/// math    E χ_k/√k = √2 Γ((k + 1)/2)/(Γ(k/2) √k): 0.886 at k = 2, 0.959 at k = 6
double null_mean(const NoiseRow& r) {
  const double k = std::max(1.0, std::round(r.null_share * r.null_share * r.N));
  return std::sqrt(2 / k) * std::exp(std::lgamma((k + 1) / 2) - std::lgamma(k / 2));
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
  std::vector<double> ratio;
  for (std::size_t i = 0; i < rows.size(); ++i) ratio.push_back(share[i] / null[i]);
  add_finding(v, {"damage_ratio", "share of the quadratic damage over that of a random error"},
              mean_interval(keys_of(rows), ratio, equal, options));
  add_finding(v, {"curvature_share", "share of the quadratic damage in the top directions"},
              mean_interval(keys_of(rows), share, equal, options));
  add_finding(v, {"curvature_share_random", "that share of a random error, sum of eigenvalues over trace"},
              mean_interval(keys_of(rows), null, equal, options));
}

}  // namespace

Verdict judge_directions(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q4", "Does the rounding error lean into the top eigendirections?",
                           "the real rounding error leans into the top eigendirections more than a random one would",
                           {"share_ratio", "share in the top directions over that of a random error"}, direction_rule(),
                           thresholds);
  std::vector<NoiseRow> noise;
  for (const NoiseRow& r : table.noise)
    if (r.is_transformer() && is_main_trunk(r)) noise.push_back(r);
  const auto smallest = rows_of_energy(noise, Energy::smallest);
  const auto largest = rows_of_energy(noise, Energy::largest);
  const std::pair<std::string, Control> subspaces[] = {{"top", Control::noise_top},
                                                       {"random", Control::noise_random},
                                                       {"complement", Control::noise_complement},
                                                       {"isotropic", Control::noise_isotropic}};
  for (const auto& [subspace, control] : subspaces) {
    const bool was_run = add_subspace(v, smallest, subspace, {subspace, subspace}, thresholds);
    add_subspace(v, largest, subspace, {subspace + ".largest", subspace + ", largest energy"}, thresholds);
    add_control(v, control, was_run);
  }

  int dropped = 0;
  const std::vector<NoiseRow> shares = checkpoint_shares(noise, dropped);
  const std::vector<RowKey> keys = keys_of(shares);
  std::vector<double> ratio;
  for (const NoiseRow& r : shares) ratio.push_back(r.residual_share / (r.null_share * null_mean(r)));
  v.n = static_cast<int>(shares.size());
  add_finding(v, {"dropped.share", "checkpoints dropped: share not measured"}, dropped);
  const int cells_min = static_cast<int>(thresholds.cells_min);
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
  decide(v, direction_rule(), share, thresholds);
  const Finding* top = find_finding(v, "q4.ratio.top");
  v.prose = fmt::format(
      "The rounding error's share in the top directions is {} times that of a random direction "
      "over {} checkpoints.{}",
      in_words(share), v.n,
      top ? fmt::format(" Noise of the smallest energy injected there costs {} of its second-order prediction.",
                        in_words({top->estimate, top->low, top->high, 0}))
          : "");
  return v;
}

}  // namespace hone::theory
