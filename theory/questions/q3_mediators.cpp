#include "theory/questions/q3_mediators.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// ln of one mediator in every row; NaN where it is unknown or not positive.
struct Mediator {
  std::string key, name;
  std::vector<double> log;
  bool is_fitted = true;  ///< false: the prediction as it stands
};

double log_or_nan(double value) { return value > 0 ? std::log(value) : NAN; }

std::vector<Mediator> mediators_of(const Table& table, const PredictionRows& p) {
  using Place = std::tuple<std::string, std::string, double>;
  std::map<Place, SharpnessRow> sharpness;
  for (const SharpnessRow& s : table.sharpness) sharpness.emplace(Place{s.run, s.variant, s.D}, s);
  std::vector<Mediator> all{{"prediction_as_is", "the prediction, no parameter", {}, false},
                            {"prediction", "the prediction", {}},
                            {"trace", "tr H", {}},
                            {"lambda_max", "lambda_max", {}},
                            {"frobenius", "the Frobenius norm", {}},
                            {"scale_free_trace", "tr H times squared weight norm", {}},
                            {"weight_norm2", "squared weight norm", {}},
                            {"step2", "squared step", {}},
                            {"loss", "loss", {}},
                            {"tokens", "tokens", {}},
                            {"tokens_per_parameter", "tokens per parameter", {}}};
  SharpnessRow unknown;
  unknown.trace = unknown.lambda_max = unknown.frobenius = unknown.weight_norm2 = NAN;
  for (const PtqRow& r : p.rows) {
    const auto at = sharpness.find({r.run, r.variant, r.D});
    const SharpnessRow& s = at == sharpness.end() ? unknown : at->second;
    const double values[] = {r.predicted,    r.predicted,  s.trace, s.lambda_max, s.frobenius, s.trace * s.weight_norm2,
                             s.weight_norm2, r.mean_step2, r.loss,  r.D,          r.D / r.N};
    for (std::size_t k = 0; k < all.size(); ++k) all[k].log.push_back(log_or_nan(values[k]));
  }
  return all;
}

/// Rows in which all mediators are known that are known anywhere; the others are removed from the list.
Sample common_rows(std::vector<Mediator>& mediators) {
  std::erase_if(mediators, [](const Mediator& m) {
    return std::none_of(m.log.begin(), m.log.end(), [](double x) { return std::isfinite(x); });
  });
  Sample rows;
  for (std::size_t i = 0; !mediators.empty() && i < mediators[0].log.size(); ++i)
    if (std::all_of(mediators.begin(), mediators.end(), [&](const Mediator& m) { return std::isfinite(m.log[i]); }))
      rows.push_back(i);
  return rows;
}

/// Leave-cell-out errors over given rows, grouped by bits.
class HeldOutErrors {
 public:
  HeldOutErrors(const PredictionRows& p, const Sample& rows) : p_(p), rows_(rows) {
    std::map<double, std::size_t> groups;
    for (const PtqRow& r : p.rows) group_.push_back(groups.try_emplace(r.P, groups.size()).first->second);
    count_ = groups.size();
    for (const std::size_t i : rows) cells_[p.keys[i].cell].push_back(i);
  }

  /// Errors in the order of p; 0 slope for no mediator.
  std::vector<double> of(const std::vector<double>* x) const {
    std::vector<double> errors(p_.rows.size(), NAN);
    for (const auto& [cell, left_out] : cells_) {
      std::vector<Sample> rest(count_);
      Sample all;
      for (const std::size_t i : rows_)
        if (p_.keys[i].cell != cell) rest[group_[i]].push_back(i), all.push_back(i);
      const double slope = x == nullptr ? 0 : slope_within(*x, p_.log_delta, p_.sigma, group_, all);
      for (const std::size_t i : left_out) {
        const Sample& peers = rest[group_[i]];
        const double moved = x == nullptr ? 0 : slope * ((*x)[i] - weighted_mean(*x, p_.sigma, peers));
        errors[i] = p_.log_delta[i] - weighted_mean(p_.log_delta, p_.sigma, peers) - moved;
      }
    }
    return errors;
  }

 private:
  const PredictionRows& p_;
  const Sample& rows_;
  std::vector<std::size_t> group_;
  std::size_t count_ = 0;
  std::map<std::int64_t, Sample> cells_;
};

/// 1 - Σ w e²/Σ w e₀² over a sample of places in `rows`.
double r_squared(const std::vector<double>& errors, const std::vector<double>& baseline, const PredictionRows& p,
                 const Sample& rows, const Sample& sample) {
  double left = 0, total = 0;
  for (const std::size_t k : sample) {
    const std::size_t i = rows[k];
    const double w = 1 / (p.sigma[i] * p.sigma[i]);
    left += w * errors[i] * errors[i];
    total += w * baseline[i] * baseline[i];
  }
  return 1 - left / total;
}

}  // namespace

std::string add_mediators(Verdict& v, const Table& table, const PredictionRows& p, const Thresholds& thresholds) {
  std::vector<Mediator> mediators = mediators_of(table, p);
  const Sample rows = common_rows(mediators);
  const auto is_curvature = [](const Mediator& m) { return m.key == "trace" || m.key == "lambda_max"; };
  add_control(v, Control::mediators, !rows.empty() && std::any_of(mediators.begin(), mediators.end(), is_curvature));
  if (rows.empty()) return "";
  const HeldOutErrors held_out(p, rows);
  const std::vector<double> baseline = held_out.of(nullptr);
  std::vector<std::vector<double>> errors;
  for (const Mediator& m : mediators) {
    errors.push_back(m.is_fitted ? held_out.of(&m.log) : std::vector<double>{});
    for (std::size_t i = 0; !m.is_fitted && i < p.rows.size(); ++i) errors.back().push_back(p.log_delta[i] - m.log[i]);
  }
  std::vector<RowKey> keys;
  for (const std::size_t i : rows) keys.push_back(p.keys[i]);
  const auto statistic = [&](const Sample& sample) {
    std::vector<double> values;
    for (const auto& e : errors) values.push_back(r_squared(e, baseline, p, rows, sample));
    for (std::size_t k = 2; k < errors.size(); ++k) values.push_back(values[1] - values[k]);
    return values;
  };
  const auto intervals = jackknife(keys, statistic, interval_options(thresholds));
  std::size_t best = 2;
  for (std::size_t k = 0; k < mediators.size(); ++k) {
    add_finding(v, {"mediator." + mediators[k].key, "held-out R2 of " + mediators[k].name}, intervals[k]);
    if (k > 2 && intervals[k].estimate > intervals[best].estimate) best = k;
  }
  if (mediators.size() < 3) return "";
  const Interval& margin = intervals[mediators.size() + best - 2];
  add_finding(
      v,
      {"mediator_margin." + mediators[best].key, "held-out R2 of the prediction minus that of " + mediators[best].name},
      margin);
  return fmt::format(
      " Held out and at fixed bits, the prediction explains {:.3g} of the variance of ln damage, the best of the other "
      "mediators, {}, {:.3g}; the difference is {}.",
      intervals[1].estimate, mediators[best].name, intervals[best].estimate, in_words(margin));
}

}  // namespace hone::theory
