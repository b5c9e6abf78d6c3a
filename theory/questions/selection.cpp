#include "theory/questions/selection.hpp"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <limits>
#include <numeric>
#include <utility>

#include "sim/base/error.hpp"
#include "theory/fits/least_squares.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

bool is_candidate(const PtqRow& r, const Wanted& wanted, const Thresholds& thresholds) {
  return r.architecture == "transformer" && wanted(r) && r.P >= value_of(thresholds, "ptq_bits_min") &&
         r.P <= value_of(thresholds, "ptq_bits_max");
}

/// A usable place in the design: logs of N and D exist.
bool has_place(const Subject& s) { return std::isfinite(s.N) && std::isfinite(s.D) && s.N > 0 && s.D > 0; }

/// Wanted rows, each seen through `view`, whose signal exceeds the noise of the measured damage.
std::vector<PtqRow> select(const std::vector<PtqRow>& rows, const Wanted& wanted, const Thresholds& thresholds,
                           Dropped& dropped, double PtqRow::*signal, PtqRow (*view)(PtqRow)) {
  const double snr = value_of(thresholds, "ptq_min_snr");
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

int count_cells(const std::vector<RowKey>& keys) {
  std::set<std::int64_t> cells;
  for (const RowKey& k : keys) cells.insert(k.cell);
  return static_cast<int>(cells.size());
}

bool is_main_trunk(const Subject& s) { return s.arm == "main" && s.variant == "trunk"; }

bool is_settled(const Subject& s) {
  const bool is_constant = s.schedule.empty() || s.schedule == "constant";
  constexpr double last_step = 0.02;  // tokens are whole steps, the horizon need not be
  return is_constant || s.kind != "trunk" || !(s.horizon > 0) || s.D >= (1 - last_step) * s.horizon;
}

int count_trajectories(const std::vector<RowKey>& keys) {
  std::set<std::pair<double, std::int64_t>> trajectories;
  for (const RowKey& k : keys) trajectories.insert({k.N, k.seed});
  return static_cast<int>(trajectories.size());
}

PtqRow without_first_order(PtqRow row) {
  if (std::isfinite(row.gradient)) row.delta -= row.gradient, row.gradient = 0;
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

double combined_sigma(std::initializer_list<double> standard_errors, double scatter) {
  double squares = scatter * scatter;
  for (const double se : standard_errors)
    if (std::isfinite(se)) squares += se * se;
  return std::sqrt(squares);
}

IntervalOptions interval_options(const Thresholds& thresholds) { return {.level = value_of(thresholds, "level")}; }

IntervalOptions simultaneous_options(const Thresholds& thresholds, int count) {
  IntervalOptions options = interval_options(thresholds);
  options.level = 1 - (1 - options.level) / std::max(count, 1);
  return options;
}

double two_sided_quantile(double level) { return boost::math::quantile(boost::math::normal(), (1 + level) / 2); }

std::vector<std::size_t> all_indices(std::size_t n) {
  std::vector<std::size_t> all(n);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

bool is_inside(const Interval& interval, double low, double high) {
  return interval.low >= low && interval.high <= high;
}

bool is_outside(const Interval& interval, double low, double high) {
  return interval.low > high || interval.high < low;
}

std::vector<double> regress(const std::vector<std::vector<double>>& columns, const std::vector<double>& y,
                            const std::vector<double>& sigma, const std::vector<std::size_t>& rows) {
  const Index n = static_cast<Index>(rows.size()), p = static_cast<Index>(columns.size());
  const std::vector<double> undefined(columns.size() + 1, nan);
  if (n <= p + 1) return undefined;
  Matrix<double> x(n, p);
  Vector<double> target(n), weight(n);
  for (Index i = 0; i < n; ++i) {
    const std::size_t row = rows[static_cast<std::size_t>(i)];
    weight(i) = 1 / sigma[row];
    target(i) = y[row];
    for (Index j = 0; j < p; ++j) x(i, j) = columns[static_cast<std::size_t>(j)][row];
  }
  const Vector<double> w2 = weight.array().square() / weight.squaredNorm();
  const Eigen::RowVectorXd mean = w2.transpose() * x;
  const double target_mean = w2.dot(target);
  Matrix<double> scaled = weight.asDiagonal() * (x.rowwise() - mean);
  const Eigen::VectorXd norm = scaled.colwise().norm().transpose();
  for (Index j = 0; j < p; ++j) {
    if (!(norm(j) > 1e-10 * (weight.array() * x.col(j).array()).matrix().norm())) return undefined;
    scaled.col(j) /= norm(j);
  }
  if (!(condition_number(scaled) < 1 / rank_tolerance)) return undefined;
  const Vector<double> slopes = solve_least_squares(scaled, (weight.array() * (target.array() - target_mean)).matrix());
  std::vector<double> coefficients{target_mean};
  for (Index j = 0; j < p; ++j) {
    coefficients.push_back(slopes(j) / norm(j));
    coefficients[0] -= coefficients.back() * mean(j);
  }
  return coefficients;
}

double slope_within(const std::vector<double>& x, const std::vector<double>& y, const std::vector<double>& sigma,
                    const std::vector<std::size_t>& group, const std::vector<std::size_t>& rows) {
  struct Sums {
    double w = 0, x = 0, y = 0;
  };
  std::vector<Sums> sums;
  for (const std::size_t i : rows) {
    if (group[i] >= sums.size()) sums.resize(group[i] + 1);
    const double w = 1 / (sigma[i] * sigma[i]);
    Sums& s = sums[group[i]];
    s.w += w, s.x += w * x[i], s.y += w * y[i];
  }
  double xx = 0, xy = 0, spread = 0;
  for (const std::size_t i : rows) {
    const Sums& s = sums[group[i]];
    const double w = 1 / (sigma[i] * sigma[i]), dx = x[i] - s.x / s.w;
    xx += w * dx * dx;
    xy += w * dx * (y[i] - s.y / s.w);
    spread += w * x[i] * x[i];
  }
  return xx > 1e-20 * spread ? xy / xx : nan;
}

double weighted_mean(const std::vector<double>& y, const std::vector<double>& sigma,
                     const std::vector<std::size_t>& rows) {
  double sum = 0, weight = 0;
  for (const std::size_t i : rows) {
    const double w = 1 / (sigma[i] * sigma[i]);
    sum += w * y[i];
    weight += w;
  }
  return weight > 0 ? sum / weight : nan;
}

Interval mean_interval(const std::vector<RowKey>& keys, const std::vector<double>& y, const std::vector<double>& sigma,
                       const IntervalOptions& options) {
  if (keys.empty()) return {nan, nan, nan, 0};
  const auto mean = [&](const std::vector<std::size_t>& rows) {
    return std::vector<double>{weighted_mean(y, sigma, rows)};
  };
  return jackknife(keys, mean, options)[0];
}

Verdict open_verdict(std::string id, std::string question, std::string hypothesis, std::string rule,
                     const Thresholds& thresholds, const std::vector<std::string>& names) {
  Verdict v;
  v.id = std::move(id);
  v.question = std::move(question);
  v.hypothesis = std::move(hypothesis);
  v.rule = std::move(rule);
  v.estimate = v.low = v.high = nan;
  v.level = value_of(thresholds, "level");
  for (const std::string& name : names)
    for (const Threshold& t : thresholds)
      if (t.name == name) v.thresholds.push_back(t);
  EXPECTS(v.thresholds.size() == names.size(), "open_verdict: {} of {} thresholds of {} known", v.thresholds.size(),
          names.size(), v.id);
  return v;
}

void add_control(Verdict& verdict, const std::string& name, bool was_run) {
  verdict.controls.push_back({name, was_run});
}

void add_detail(Verdict& verdict, const std::string& name, double value) {
  verdict.details.push_back({name, value, nan, nan});
}

void add_detail(Verdict& verdict, const std::string& name, const Interval& interval) {
  verdict.details.push_back({name, interval.estimate, interval.low, interval.high});
}

void add_dropped(Verdict& verdict, const Dropped& dropped) {
  add_detail(verdict, "rows dropped: not finite", dropped.not_finite);
  add_detail(verdict, "rows dropped: not positive", dropped.not_positive);
  add_detail(verdict, "rows dropped: below the noise", dropped.below_noise);
}

void set_estimate(Verdict& verdict, const Interval& interval) {
  verdict.estimate = interval.estimate;
  verdict.low = interval.low;
  verdict.high = interval.high;
  add_detail(verdict, "trajectories without which there is no estimate", interval.failures);
}

PredictionRows prediction_columns(std::vector<PtqRow> rows, const Thresholds& thresholds) {
  const double scatter = value_of(thresholds, "fit_scatter");
  PredictionRows p;
  p.keys = keys_of(rows);
  for (const PtqRow& r : rows) {
    p.log_delta.push_back(std::log(r.delta));
    p.log_predicted.push_back(std::log(r.predicted));
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

std::string in_words(const Interval& interval) {
  return fmt::format("{:.3g} ({:.3g} to {:.3g})", interval.estimate, interval.low, interval.high);
}

}  // namespace hone::theory
