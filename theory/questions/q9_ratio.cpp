#include "theory/questions/q9_ratio.hpp"

#include <functional>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/regime.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// ln y over ln D and ln N, in groups that share a constant.
struct Plane {
  std::vector<RowKey> keys;
  std::vector<double> log_y, log_d, log_n, product, sigma;
  std::vector<std::size_t> group;
};

/// Rows of the main trunk in which y is positive and finite.
/// shapes  value(row), its relative error and its group
template <class Row, class Value, class Error, class Group>
Plane field_of(const std::vector<Row>& all, double scatter, Value&& value, Error&& error, Group&& group) {
  std::vector<Row> rows;
  for (const Row& r : all)
    if (r.is_transformer() && is_main_trunk(r) && r.is_full_precision() && r.N > 0 && r.D > 0 && value(r) > 0 &&
        std::isfinite(value(r)))
      rows.push_back(r);
  Plane f;
  f.keys = keys_of(rows);
  double mean_d = 0, mean_n = 0;
  for (const Row& r : rows)
    mean_d += std::log(r.D) / double(rows.size()), mean_n += std::log(r.N) / double(rows.size());
  std::map<double, std::size_t> groups;
  for (const Row& r : rows) {
    f.log_y.push_back(std::log(value(r)));
    f.log_d.push_back(std::log(r.D) - mean_d);
    f.log_n.push_back(std::log(r.N) - mean_n);
    f.product.push_back(f.log_d.back() * f.log_n.back());
    f.sigma.push_back(combined_sigma({error(r)}, scatter));
    f.group.push_back(groups.try_emplace(group(r), groups.size()).first->second);
  }
  return f;
}

/// Exponents of tokens and parameters, their difference, and their interaction.
struct Exponents {
  Interval tokens, parameters, difference, interaction;
};

Exponents exponents_of(const Plane& f, const IntervalOptions& options) {
  const auto statistic = [&](const Sample& rows) {
    const auto plane = regress_within({f.log_d, f.log_n}, f.log_y, f.sigma, f.group, rows);
    const auto bent = regress_within({f.log_d, f.log_n, f.product}, f.log_y, f.sigma, f.group, rows);
    return std::vector<double>{plane[0], -plane[1], plane[0] + plane[1], bent[2]};
  };
  const auto found = jackknife(f.keys, statistic, options);
  return {found[0], found[1], found[2], found[3]};
}

void add_exponents(Verdict& v, const Name& name, const Exponents& e) {
  add_finding(v, {name.key + ".gamma_d", "gamma_D of " + name.label}, e.tokens);
  add_finding(v, {name.key + ".gamma_n", "gamma_N of " + name.label}, e.parameters);
  add_finding(v, {name.key + ".difference", "gamma_D - gamma_N of " + name.label}, e.difference);
  add_finding(v, {name.key + ".interaction", "ln N x ln D of " + name.label}, e.interaction);
}

struct Quantity {
  Name name;
  Plane all, late;
};

std::vector<Quantity> quantities_of(const Table& table, const LateRegime& regime, const Thresholds& thresholds) {
  const double scatter = thresholds.fit_scatter;
  std::vector<Quantity> list;
  Dropped ignored;
  const auto damage = [&](const std::vector<PtqRow>& rows) {
    return field_of(
        rows, scatter, [](const PtqRow& r) { return r.delta; }, [](const PtqRow& r) { return r.delta_se / r.delta; },
        [](const PtqRow& r) { return r.P; });
  };
  const std::vector<PtqRow> ptq = select_predicted(table.ptq, is_main_trunk, thresholds, ignored);
  list.push_back({{"damage", "the damage"}, damage(ptq), damage(late_rows(ptq, regime))});
  using Value = std::function<double(const SharpnessRow&)>;
  const std::pair<Name, Value> kinds[] = {
      {{"trace", "the trace"}, [](const SharpnessRow& r) { return r.trace; }},
      {{"weighted_trace", "the step-weighted trace"}, [](const SharpnessRow& r) { return r.weighted_trace; }},
      {{"lambda_max", "lambda_max"}, [](const SharpnessRow& r) { return r.lambda_max; }},
      {{"frobenius", "the Frobenius norm"}, [](const SharpnessRow& r) { return r.frobenius; }},
      {{"scale_free_trace", "trace times squared weight norm"},
       [](const SharpnessRow& r) { return r.trace * r.weight_norm2; }},
      {{"preconditioned", "lambda_max in Adam's coordinates"}, [](const SharpnessRow& r) { return r.preconditioned; }}};
  for (const auto& [name, value] : kinds) {
    const auto field = [&](const std::vector<SharpnessRow>& rows) {
      return field_of(
          rows, scatter, value, [](const SharpnessRow& r) { return r.trace_se / r.trace; },
          [](const SharpnessRow&) { return 0.0; });
    };
    list.push_back({name, field(table.sharpness), field(late_rows(table.sharpness, regime))});
  }
  return list;
}

bool has_spread(const Plane& f) {
  std::set<double> sizes(f.log_n.begin(), f.log_n.end()), tokens(f.log_d.begin(), f.log_d.end());
  return sizes.size() > 1 && tokens.size() > 1;
}

}  // namespace

Verdict judge_ratio(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q9", "Do sharpness and damage depend on tokens per parameter, D/N, alone?",
                           "sharpness and damage go as (D/N)^gamma: gamma_D = gamma_N",
                           {"trace.difference", "gamma_D - gamma_N of the trace"}, ratio_rule(), thresholds);
  const LateRegime regime(table, thresholds);
  const std::vector<Quantity> quantities = quantities_of(table, regime, thresholds);
  const Plane &damage = quantities[0].all, &trace = quantities[1].all;
  std::set<double> sizes(trace.log_n.begin(), trace.log_n.end());
  add_control(v, Control::several_sizes, sizes.size() > 1);
  v.n = static_cast<int>(trace.keys.size());
  if (count_cells(trace.keys) < thresholds.cells_min || !has_spread(trace)) {
    v.prose = fmt::format(
        "Nothing can be said: the trace is known in {} cells of {} sizes; at least {:g} cells and two sizes are "
        "needed.",
        count_cells(trace.keys), sizes.size(), thresholds.cells_min);
    return v;
  }
  const IntervalOptions options = interval_options(thresholds);
  Interval of_trace{NAN, NAN, NAN, 0}, of_damage{NAN, NAN, NAN, 0};
  for (const Quantity& q : quantities) {
    if (!has_spread(q.all)) continue;
    const Exponents e = exponents_of(q.all, options);
    add_exponents(v, q.name, e);
    if (&q.all == &trace) of_trace = e.difference, set_estimate(v, e.difference);
    if (&q.all == &damage) of_damage = e.difference;
    if (has_spread(q.late) && count_cells(q.late.keys) >= thresholds.cells_min)
      add_exponents(v, {"late." + q.name.key, q.name.label + ", late"}, exponents_of(q.late, options));
  }
  decide(v, ratio_rule(), {{of_trace, of_damage}}, thresholds);
  v.prose = fmt::format(
      "The exponent of tokens exceeds that of parameters by {} for the trace and by {} for the damage; for a function "
      "of D/N alone both would be 0.",
      in_words(of_trace), in_words(of_damage));
  return v;
}

}  // namespace hone::theory
