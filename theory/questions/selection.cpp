#include "theory/questions/selection.hpp"

#include <algorithm>
#include <utility>

namespace hone::theory {
namespace {

bool is_candidate(const PtqRow& r, const Wanted& wanted, const Thresholds& thresholds) {
  return r.is_transformer() && wanted(r) && r.P >= thresholds.ptq_bits_min && r.P <= thresholds.ptq_bits_max;
}

/// A usable place in the design: logs of N and D exist.
bool has_place(const Subject& s) { return std::isfinite(s.N) && std::isfinite(s.D) && s.N > 0 && s.D > 0; }

/// Wanted rows, each seen through `view`, whose signal exceeds the noise of the measured damage.
std::vector<PtqRow> select(const std::vector<PtqRow>& rows, const Wanted& wanted, const Thresholds& thresholds,
                           Dropped& dropped, double PtqRow::*signal, PtqRow (*view)(PtqRow)) {
  const double snr = thresholds.ptq_min_snr;
  std::vector<PtqRow> kept;
  for (const PtqRow& row : rows) {
    if (!is_candidate(row, wanted, thresholds)) continue;
    const PtqRow r = view(row);
    const double value = r.*signal;
    if (!has_place(r) || !std::isfinite(r.delta) || !std::isfinite(r.delta_se) || !std::isfinite(value))
      ++dropped.not_finite;
    else if (!(r.delta > 0) || !(value > 0))
      ++dropped.not_positive;
    else if (!(value > snr * r.delta_se))
      ++dropped.below_noise;
    else
      kept.push_back(r);
  }
  return kept;
}

}  // namespace

Recipe recipe_of(const Subject& s) {
  return {{s.style, s.sub_norms, {s.layers, s.width, s.heads, s.kv_heads, s.mlp_width, s.experts, s.experts_per_token}},
          {s.data, s.schedule, s.train_format, {s.peak_lr, s.batch, s.weight_decay, s.sam_rho, s.gradient_penalty}}};
}

int count_cells(const std::vector<RowKey>& keys) {
  std::set<std::int64_t> cells;
  for (const RowKey& k : keys) cells.insert(k.cell);
  return static_cast<int>(cells.size());
}

bool is_main_trunk(const Subject& s) { return s.arm == "main" && s.variant == "trunk"; }

bool is_full_trunk(const Subject& s) { return s.kind == Kind::trunk && s.variant == "trunk" && s.is_full_precision(); }

bool is_equal_size(double N, double other, const Thresholds& thresholds) {
  return std::abs(std::log(N / other)) <= thresholds.equal_size;
}

bool is_settled(const Subject& s) {
  const bool is_constant = s.schedule.empty() || s.schedule == "constant";
  constexpr double last_step = 0.02;  // tokens are whole steps, the horizon need not be
  return is_constant || s.kind != Kind::trunk || !(s.horizon > 0) || s.D >= (1 - last_step) * s.horizon;
}

int count_trajectories(const std::vector<RowKey>& keys) {
  std::set<std::pair<double, std::int64_t>> trajectories;
  for (const RowKey& k : keys) trajectories.insert({k.N, k.seed});
  return static_cast<int>(trajectories.size());
}

PtqRow without_first_order(PtqRow row) {
  if (!std::isfinite(row.gradient)) return row;
  row.delta -= row.gradient, row.gradient = 0;
  if (std::isfinite(row.remainder_se)) row.delta_se = row.remainder_se;
  return row;
}

std::vector<PtqRow> select_damage(const std::vector<PtqRow>& rows, const Wanted& wanted, const Thresholds& thresholds,
                                  Dropped& dropped) {
  return select(rows, wanted, thresholds, dropped, &PtqRow::delta, [](PtqRow r) { return r; });
}

std::vector<PtqRow> select_predicted(const std::vector<PtqRow>& rows, const Wanted& wanted,
                                     const Thresholds& thresholds, Dropped& dropped) {
  return select(rows, wanted, thresholds, dropped, &PtqRow::predicted, without_first_order);
}

std::vector<Observation> damage_observations(const std::vector<PtqRow>& rows, double scatter) {
  const std::vector<RowKey> keys = keys_of(rows);
  std::vector<Observation> observations;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const PtqRow& r = rows[i];
    observations.push_back({{r.N, r.D, r.P},
                            std::log(r.delta),
                            combined_sigma({r.delta_se / r.delta}, scatter),
                            keys[i].cell,
                            keys[i].seed});
  }
  return observations;
}

IntervalOptions interval_options(const Thresholds& thresholds) { return {.level = thresholds.level}; }

IntervalOptions simultaneous_options(const Thresholds& thresholds, int count) {
  IntervalOptions options = interval_options(thresholds);
  options.family = std::max(count, 1);
  options.level = 1 - (1 - options.level) / options.family;
  return options;
}

double prediction_variance(const PtqRow& row) {
  const double relative = row.predicted_se / row.predicted;
  return std::isfinite(relative) ? relative * relative : 0;
}

PredictionRows prediction_columns(std::vector<PtqRow> rows, const Thresholds& thresholds) {
  const double scatter = thresholds.fit_scatter;
  PredictionRows p;
  p.keys = keys_of(rows);
  for (const PtqRow& r : rows) {
    p.log_delta.push_back(std::log(r.delta));
    p.log_predicted.push_back(std::log(r.predicted));
    p.predicted_variance.push_back(prediction_variance(r));
    // Relative to the prediction: relative to the damage, rows that fluctuated up would weigh more.
    p.sigma.push_back(combined_sigma({r.delta_se / r.predicted, r.predicted_se / r.predicted}, scatter));
  }
  p.rows = std::move(rows);
  return p;
}

PredictionRows prediction_rows(const Table& table, const Thresholds& thresholds, Dropped& dropped) {
  return prediction_columns(select_predicted(table.ptq, is_main_trunk, thresholds, dropped), thresholds);
}

Line prediction_line(const PredictionRows& p) {
  const auto line = regress({p.log_predicted}, p.log_delta, p.sigma, all_indices(p.rows.size()));
  return {line[1], line[0]};
}

}  // namespace hone::theory
