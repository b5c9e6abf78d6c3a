// Q3 and Q4: does sharpness explain the damage, and do the top eigendirections carry it? And the
// list of all.
#include "theory/questions.hpp"

#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/evidence.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// R² of the weighted regression of ln delta on ln predicted.
double r_squared(const PredictionRows& p, const std::vector<double>& line) {
  Sample all(p.rows.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const double mean = weighted_mean(p.log_delta, p.sigma, all);
  double residual = 0, total = 0;
  for (const std::size_t i : all) {
    const double w = 1 / (p.sigma[i] * p.sigma[i]);
    const double error = p.log_delta[i] - line[0] - line[1] * p.log_predicted[i];
    residual += w * error * error;
    total += w * (p.log_delta[i] - mean) * (p.log_delta[i] - mean);
  }
  return 1 - residual / total;
}

/// d ln delta/d ln D within (N, P) and its four parts. One design serves all five slopes, and the
/// parts add up to ln delta (up to a constant) in every row, hence the slopes add up too.
void add_split(Verdict& v, const PredictionRows& p, const Thresholds& thresholds) {
  std::vector<RowKey> keys;
  std::vector<double> log_d, sigma;
  std::vector<std::vector<double>> parts(5);
  std::vector<std::size_t> group;
  std::map<std::pair<double, double>, std::size_t> groups;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const PtqRow& r = p.rows[i];
    if (!(r.quadratic > 0) || !(r.mean_step2 > 0) || !std::isfinite(r.quadratic * r.mean_step2)) continue;
    keys.push_back(p.keys[i]);
    log_d.push_back(std::log(r.D));
    sigma.push_back(p.sigma[i]);
    group.push_back(groups.try_emplace({r.N, r.P}, groups.size()).first->second);
    const double log_step2 = std::log(r.mean_step2), log_quadratic = std::log(r.quadratic);
    parts[0].push_back(p.log_delta[i]);
    parts[1].push_back(p.log_predicted[i] - log_step2);
    parts[2].push_back(log_step2);
    parts[3].push_back(log_quadratic - p.log_predicted[i]);
    parts[4].push_back(p.log_delta[i] - log_quadratic);
  }
  add_control(v, "split of the growth into curvature, step, alignment and other orders", !keys.empty());
  if (keys.empty()) return;
  const auto slopes = [&](const Sample& rows) {
    std::vector<double> values;
    for (const auto& part : parts) values.push_back(slope_within(log_d, part, sigma, group, rows));
    return values;
  };
  const auto intervals = jackknife(keys, slopes, interval_options(thresholds));
  const char* names[] = {"d ln delta/d ln D", "d ln delta/d ln D: weighted trace", "d ln delta/d ln D: squared step",
                         "d ln delta/d ln D: alignment", "d ln delta/d ln D: first and higher order"};
  for (std::size_t k = 0; k < intervals.size(); ++k) add_detail(v, names[k], intervals[k]);
}

/// Σ delta / Σ predicted at each number of bits over all trunk rows, negative damages included.
void add_ratio_by_bits(Verdict& v, const Table& table, const Thresholds& thresholds) {
  std::map<double, std::vector<PtqRow>> by_bits;
  for (const PtqRow& r : table.ptq)
    if (r.architecture == "transformer" && r.variant == "trunk" && std::isfinite(r.delta) && r.predicted > 0 &&
        std::isfinite(r.predicted))
      by_bits[r.P].push_back(r);
  for (const auto& [bits, rows] : by_bits) {
    const auto ratio = [&rows](const Sample& sample) {
      double measured = 0, predicted = 0;
      for (const std::size_t i : sample) measured += rows[i].delta, predicted += rows[i].predicted;
      return std::vector<double>{measured / predicted};
    };
    add_detail(v, fmt::format("sum of damage over sum of prediction at {:g} bits", bits),
               jackknife(keys_of(rows), ratio, interval_options(thresholds))[0]);
  }
}

}  // namespace

Verdict judge_prediction(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q3", "Does sharpness explain the damage?",
                           "the damage is proportional to the zero-parameter prediction from curvature and step size",
                           "supported: interval of the slope inside 1 ± q3_tolerance; refuted: disjoint from it; "
                           "inconclusive otherwise",
                           thresholds,
                           {"q3_tolerance", "ptq_bits_min", "ptq_bits_max", "ptq_min_snr", "fit_scatter", "cells_min"});
  Dropped dropped;
  const PredictionRows p = prediction_rows(table, thresholds, dropped);
  v.n = static_cast<int>(p.rows.size());
  add_dropped(v, dropped);
  const int cells = count_cells(p.keys), cells_min = static_cast<int>(value_of(thresholds, "cells_min"));
  if (cells < cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: {} rows with a usable prediction in {} cells, at least {} cells "
        "needed.",
        v.n, cells, cells_min);
    return v;
  }
  std::vector<double> log_d, log_ratio;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    log_d.push_back(std::log(p.rows[i].D));
    log_ratio.push_back(p.log_delta[i] - p.log_predicted[i]);
  }
  const auto statistic = [&](const Sample& rows) {
    const auto line = regress({p.log_predicted}, p.log_delta, p.sigma, rows);
    const auto plane = regress({p.log_predicted, log_d}, p.log_delta, p.sigma, rows);
    return std::vector<double>{line[1], plane[2], std::exp(weighted_mean(log_ratio, p.sigma, rows)), line[0]};
  };
  const auto intervals = jackknife(p.keys, statistic, interval_options(thresholds));
  const Interval &slope = intervals[0], &exponent = intervals[1];
  set_estimate(v, slope);
  add_detail(v, "exponent of D at fixed prediction", exponent);
  add_detail(v, "intercept", intervals[3]);
  add_detail(v, "measured over predicted damage", intervals[2]);
  add_detail(v, "R2", r_squared(p, {intervals[3].estimate, slope.estimate}));
  add_control(v, "no row lost for its measured damage", dropped.not_positive == 0);
  add_ratio_by_bits(v, table, thresholds);
  add_control(v, "residual exponent of D at fixed prediction", std::isfinite(exponent.low));
  add_split(v, p, thresholds);

  const double tolerance = value_of(thresholds, "q3_tolerance");
  v.prose = fmt::format(
      "ln damage rises with ln prediction at slope {} over {} rows; at fixed prediction it still "
      "goes as D^{}; measured over "
      "predicted is {}.",
      in_words(slope), v.n, in_words(exponent), in_words(intervals[2]));
  if (slope.low >= 1 - tolerance && slope.high <= 1 + tolerance)
    v.outcome = Outcome::supported;
  else if (slope.low > 1 + tolerance || slope.high < 1 - tolerance)
    v.outcome = Outcome::refuted;
  return v;
}

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
  for (const NoiseRow& r : all)
    if (r.architecture == "transformer") checkpoints.try_emplace({r.run, r.seed, r.N, r.D, r.variant}, r);
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
    if (r.architecture == "transformer") noise.push_back(r);
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

std::vector<Verdict> judge(const Table& table, const Thresholds& thresholds) {
  return {judge_damage_growth(table, thresholds), judge_sharpness_growth(table, thresholds),
          judge_prediction(table, thresholds),    judge_directions(table, thresholds),
          judge_cooldown(table, thresholds),      judge_composition(table, thresholds)};
}

}  // namespace hone::theory
