#include "theory/questions/q1_transfer.hpp"

#include <map>
#include <set>

namespace hone::theory {
namespace {

using Place = std::tuple<std::string, std::string, double, double>;  // run, variant, D, P

template <class Row>
Place place_of_row(const Row& r) {
  return {r.run, r.variant, r.D, r.P};
}

/// Rows of the main trunk on shifted windows, as rows that can be selected by their damage.
std::vector<PtqRow> shifted_rows(const Table& table) {
  std::vector<PtqRow> rows;
  for (const ShiftRow& s : table.shift) {
    PtqRow r;
    static_cast<Subject&>(r) = s;
    r.P = s.P;
    r.loss = s.loss;
    r.delta = s.delta;
    r.delta_se = s.delta_se;
    rows.push_back(r);
  }
  return rows;
}

/// Exponents of the damage on shifted windows.
void add_shifted_growth(Verdict& v, const std::vector<PtqRow>& shifted, LawKind law, const Thresholds& thresholds) {
  const auto rows = damage_observations(shifted, thresholds.fit_scatter);
  const FitIntervals fitted = fit_intervals(law, rows, {}, interval_options(thresholds));
  if (!fitted.fit.is_usable()) return;
  add_finding(v, {"shifted.gamma_d", "gamma_D on shifted windows"}, fitted.parameters[1]);
  add_finding(v, {"shifted.gamma_n", "gamma_N on shifted windows"}, fitted.parameters[2]);
}

/// Damage on shifted windows over that on the model's own, checkpoint by checkpoint, and how the ratio moves with D.
void add_shifted_ratio(Verdict& v, const std::vector<PtqRow>& shifted, const std::vector<PtqRow>& own,
                       const Thresholds& thresholds) {
  std::map<Place, PtqRow> places;
  for (const PtqRow& r : own) places.emplace(place_of_row(r), r);
  std::vector<PtqRow> rows;
  std::vector<double> log_d, log_ratio, sigma;
  std::vector<std::size_t> group;
  std::map<std::pair<double, double>, std::size_t> groups;
  for (const PtqRow& r : shifted) {
    const auto at = places.find(place_of_row(r));
    if (at == places.end()) continue;
    const PtqRow& base = at->second;
    rows.push_back(r);
    log_d.push_back(std::log(r.D));
    log_ratio.push_back(std::log(r.delta / base.delta));
    sigma.push_back(combined_sigma({r.delta_se / r.delta, base.delta_se / base.delta}, thresholds.fit_scatter));
    group.push_back(groups.try_emplace({r.N, r.P}, groups.size()).first->second);
  }
  if (rows.empty()) return;
  const auto statistic = [&](const std::vector<std::size_t>& sample) {
    return std::vector<double>{std::exp(weighted_mean(log_ratio, sigma, sample)),
                               slope_within(log_d, log_ratio, sigma, group, sample)};
  };
  const auto intervals = jackknife(keys_of(rows), statistic, interval_options(thresholds));
  add_finding(v, {"shifted.ratio", "damage on shifted windows over that on its own"}, intervals[0]);
  add_finding(v, {"shifted.ratio.gamma_d", "exponent of D of that ratio"}, intervals[1]);
}

/// How far rows lie from the main trunk's line of ln damage on ln prediction.
void add_line_distance(Verdict& v, const Name& name, const Table& table, const Wanted& wanted,
                       const Thresholds& thresholds) {
  Dropped ignored;
  const Line line = prediction_line(prediction_rows(table, thresholds, ignored));
  const PredictionRows p = prediction_columns(select_predicted(table.ptq, wanted, thresholds, ignored), thresholds);
  if (p.rows.empty() || !std::isfinite(line.slope)) return;
  std::vector<double> rest;
  for (std::size_t i = 0; i < p.rows.size(); ++i)
    rest.push_back(p.log_delta[i] - line.intercept - line.slope * p.log_predicted[i]);
  add_finding(v, name, mean_interval(p.keys, rest, p.sigma, interval_options(thresholds)));
}

/// How far tuned branches lie from the law of the trunk, and from its line on the prediction.
void add_tuned(Verdict& v, const Table& table, const Growth& growth, const Thresholds& thresholds) {
  Dropped ignored;
  const auto is_tuned = [](const Subject& s) {
    return s.kind == Kind::tuned && s.arm == "main" && s.is_full_precision();
  };
  const std::vector<PtqRow> rows = select_damage(table.ptq, is_tuned, thresholds, ignored);
  add_control(v, Control::tuned_branches, !rows.empty());
  if (rows.empty()) return;
  const double scatter = thresholds.fit_scatter;
  std::vector<double> from_law, sigma;
  for (const PtqRow& r : rows) {
    from_law.push_back(std::log(r.delta / predict(growth.power, growth.fit.parameters, {r.N, r.D, r.P})));
    sigma.push_back(combined_sigma({r.delta_se / r.delta}, scatter));
  }
  add_finding(v, {"tuned.law_distance", "tuned branches: ln damage over the law of the trunk", "ln"},
              mean_interval(keys_of(rows), from_law, sigma, interval_options(thresholds)));
  add_line_distance(v, {"tuned.line_distance", "tuned branches: ln damage over its line on the prediction", "ln"},
                    table, is_tuned, thresholds);
}

/// Exponent of D, and distance from the main arm's line on the prediction, of trunks of other arms on other data.
void add_other_data(Verdict& v, const Table& table, const Growth& growth, const Thresholds& thresholds) {
  std::set<std::string> own, others;
  for (const PtqRow& r : table.ptq)
    if (r.is_transformer() && is_main_trunk(r)) own.insert(r.data);
  for (const PtqRow& r : table.ptq)
    if (r.is_transformer() && own.count(r.data) == 0) others.insert(r.data);
  add_control(v, Control::other_data, !others.empty());
  Dropped ignored;
  for (const std::string& data : others) {
    const auto wanted = [&](const Subject& s) {
      return s.data == data && s.variant == "trunk" && s.is_full_precision() && is_settled(s);
    };
    const auto rows =
        damage_observations(select_damage(table.ptq, wanted, thresholds, ignored), thresholds.fit_scatter);
    const FitIntervals fitted = fit_intervals(growth.power, rows, {}, interval_options(thresholds));
    if (fitted.fit.is_usable())
      add_finding(v, {"data." + key_word(data) + ".gamma_d", "gamma_D on the data " + data}, fitted.parameters[1]);
    add_line_distance(v,
                      {"data." + key_word(data) + ".line_distance",
                       "ln damage over the line on the prediction, on the data " + data, "ln"},
                      table, wanted, thresholds);
  }
}

}  // namespace

void add_transfer(Verdict& v, const Table& table, const Growth& growth, const Thresholds& thresholds) {
  Dropped ignored;
  const auto shifted = select_damage(shifted_rows(table), is_main_trunk, thresholds, ignored);
  add_control(v, Control::shifted_windows, !shifted.empty());
  if (!shifted.empty()) {
    add_shifted_growth(v, shifted, growth.power, thresholds);
    add_shifted_ratio(v, shifted, select_damage(table.ptq, is_main_trunk, thresholds, ignored), thresholds);
  }
  if (!growth.fit.is_usable()) return;
  add_tuned(v, table, growth, thresholds);
  add_other_data(v, table, growth, thresholds);
}

}  // namespace hone::theory
