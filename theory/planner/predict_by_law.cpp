#include "theory/planner/predict_by_law.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "theory/planner/law_regression.hpp"
#include "theory/precision/effective_parameters.hpp"
#include "theory/questions/loss_fit.hpp"
#include "theory/questions/q8_training_fit.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr LawKind candidates[] = {LawKind::ptq_exponential, LawKind::ptq_bit_power, LawKind::ptq_step};

/// The rows of damage and of losses, numbered by run so that both can be drawn together.
struct Evidence {
  std::vector<PtqRow> damage;             // as Q1 selects them
  std::vector<std::int64_t> run;          // of each
  std::vector<Observation> observations;  // of ln damage, for held-out errors
  std::vector<Observation> losses;
  std::vector<RowKey> keys;  // damage, then losses
};

Evidence evidence_of(const Table& table, const Thresholds& thresholds) {
  Evidence e;
  Dropped dropped;
  e.damage = select_damage(table.ptq, is_main_trunk, thresholds, dropped);
  std::vector<std::string> runs;
  for (const PtqRow& r : e.damage) runs.push_back(r.run);
  e.run = run_numbers(runs);
  e.observations = damage_observations(e.damage, thresholds.fit_scatter);
  e.losses = loss_observations(table, thresholds);
  e.keys = keys_of(e.damage);
  for (const RowKey& key : keys_of(e.losses)) e.keys.push_back(key);
  return e;
}

/// Rows of fit_grouped, of those in `sample`.
std::vector<GroupedRow> grouped_rows(LawKind kind, const Evidence& e, const std::vector<std::size_t>& sample) {
  std::vector<GroupedRow> rows;
  for (const std::size_t i : sample) {
    if (i >= e.damage.size()) continue;
    const PtqRow& r = e.damage[i];
    rows.push_back(grouped_row(kind, point_of(r.N, r.D, r.P), r.delta, r.delta_se, e.run[i]));
  }
  return rows;
}

void add_outside(std::vector<Outside>& list, const std::string& what, double asked, double low, double high) {
  constexpr double slack = 1.0001;
  if (asked > slack * high) list.push_back({what, asked, low, high, asked / high});
  if (asked < low / slack) list.push_back({what, asked, low, high, low / asked});
}

std::vector<Outside> outside_of(const Evidence& e, const Asked& asked) {
  double n[] = {INFINITY, 0}, d[] = {INFINITY, 0}, ratio[] = {INFINITY, 0}, p[] = {INFINITY, 0};
  const auto take = [](double* range, double value) {
    range[0] = std::min(range[0], value), range[1] = std::max(range[1], value);
  };
  for (const PtqRow& r : e.damage) take(n, r.N), take(d, r.D), take(ratio, r.D / r.N), take(p, r.P);
  std::vector<Outside> list;
  add_outside(list, "N", asked.N, n[0], n[1]);
  add_outside(list, "D", asked.D, d[0], d[1]);
  add_outside(list, "D/N", asked.D / asked.N, ratio[0], ratio[1]);
  add_outside(list, "bits", asked.bits.front(), p[0], p[1]);
  add_outside(list, "bits", asked.bits.back(), p[0], p[1]);
  return list;
}

/// Damage at any number of bits as the law that compute_optimal knows, its bits already put in.
std::vector<double> damage_at(LawKind kind, const std::vector<double>& coefficients, double P) {
  return {std::log(predict(kind, coefficients, point_of(1, 1, P))), coefficients[1], coefficients[2], 0};
}

TotalLaw total_law(const std::vector<double>& training, std::vector<double> damage) {
  std::vector<double> p = training;
  p.resize(law(LawKind::train_exponential).parameters.size(), 1.0);  // parts are trained in full precision
  TotalLaw total;
  total.training = training_law(p);
  total.damage = std::move(damage);
  return total;
}

/// Everything that needs both laws, as one list: three numbers per width, the critical tokens and the effective
/// fraction in logs, then the iso-loss bits.
std::vector<double> loss_numbers(LawKind kind, const std::vector<double>& training, const std::vector<double>& damage,
                                 const Asked& asked, const IsoLoss& iso) {
  std::vector<double> numbers;
  for (const double P : asked.bits) {
    const TotalLaw total = total_law(training, damage_at(kind, damage, P));
    const Point x = point_of(asked.N, asked.D, P);
    const double loss = total_loss(total, x);
    numbers.push_back(loss);
    numbers.push_back(std::log(critical_tokens(total, x)));
    numbers.push_back(std::log(inference_parameters(total.training, asked.D, loss) / asked.N));
  }
  const auto fewest = [&](double N, double D) {
    for (int bits = 2; bits <= 16; ++bits)
      if (total_loss(total_law(training, damage_at(kind, damage, bits)), point_of(N, D, bits)) <= iso.target)
        return double(bits);
    return IsoLoss::never;
  };
  numbers.push_back(fewest(asked.N, asked.D));
  for (const double N : iso.sizes)
    for (const double D : iso.tokens) numbers.push_back(fewest(N, D));
  return numbers;
}

/// Why the losses do not give a law; empty when they may.
std::string loss_problem(const Evidence& e, const GroupedFit& damage) {
  std::set<double> sizes, tokens;
  for (const Observation& o : e.losses) sizes.insert(o.point.N), tokens.insert(o.point.D);
  if (damage.not_identified[1] || sizes.size() < 2) return "one model size: how loss depends on size is unknown";
  if (damage.not_identified[0] || tokens.size() < 3) return "fewer than three token counts";
  return e.losses.size() <= 5 ? "no more than five losses for the five parameters of their law" : "";
}

FitSummary fit_loss_rows(const Evidence& e, const std::vector<std::size_t>& sample, const FitOptions& options) {
  std::vector<Observation> rows;
  for (const std::size_t i : sample)
    if (i >= e.damage.size()) rows.push_back(e.losses[i - e.damage.size()]);
  return fit(LawKind::chinchilla, rows, options);
}

/// Sizes and tokens of the iso-loss table: the fitted range, and a factor of 4 beyond it.
void lay_out(IsoLoss& iso, const Evidence& e) {
  double n[] = {INFINITY, 0}, d[] = {INFINITY, 0};
  for (const Observation& o : e.losses) {
    n[0] = std::min(n[0], o.point.N), n[1] = std::max(n[1], o.point.N);
    d[0] = std::min(d[0], o.point.D), d[1] = std::max(d[1], o.point.D);
  }
  constexpr int rows = 5, columns = 6;
  for (int i = 0; i < rows; ++i) iso.sizes.push_back(n[0] * std::pow(4 * n[1] / n[0], double(i) / (rows - 1)));
  for (int j = 0; j < columns; ++j) iso.tokens.push_back(d[0] * std::pow(4 * d[1] / d[0], double(j) / (columns - 1)));
}

/// Bits come whole: the ends are rounded to the nearest, within what can be answered.
Interval whole_bits(const Interval& i) {
  const auto whole = [](double bits) { return std::clamp(std::round(bits), 2.0, IsoLoss::never); };
  return {i.estimate, whole(i.low), whole(i.high), i.failures};
}

void add_losses(LawRoute& route, const Evidence& e, const Asked& asked) {
  route.loss_problem = loss_problem(e, route.fit);
  if (!route.loss_problem.empty()) return;
  const auto all = all_indices(e.keys.size());
  route.training = fit_loss_rows(e, all, {});
  if (!route.training.is_usable()) {
    route.loss_problem = "the fit of E + A N^-alpha + B D^-beta to the losses failed";
    return;
  }
  const TotalLaw full = total_law(route.training.parameters, damage_at(route.kind, route.fit.coefficients, 4));
  route.iso.target = std::isfinite(asked.loss_max)
                         ? asked.loss_max
                         : training_loss(full.training, point_of(asked.N, asked.D, 0)) + asked.rise_max;
  lay_out(route.iso, e);
  const auto statistic = [&](const std::vector<std::size_t>& sample) {
    const FitSummary training = fit_loss_rows(e, sample, {.start = route.training.parameters});
    const GroupedFit damage = fit_grouped(grouped_rows(route.kind, e, sample), route.fit.scatter);
    const bool is_whole =
        training.is_usable() && damage.is_usable() && !damage.not_identified[0] && !damage.not_identified[1];
    if (is_whole) return loss_numbers(route.kind, training.parameters, damage.coefficients, asked, route.iso);
    return std::vector<double>(3 * asked.bits.size() + 1 + route.iso.sizes.size() * route.iso.tokens.size(), nan);
  };
  const auto intervals = jackknife(e.keys, statistic, {.level = asked.level});
  auto next = intervals.begin();
  for (const double P : asked.bits) {
    const Interval loss = *next++, tokens = exponential(*next++), fraction = exponential(*next++);
    route.losses.push_back({P, loss, tokens, fraction});
  }
  route.iso.here = whole_bits(*next++);
  for (; next != intervals.end(); ++next) route.iso.bits.push_back(whole_bits(*next));
}

/// The ladder of one fit at the question's size and tokens.
std::vector<LawStep> ladder_of(LawKind kind, const GroupedFit& fit, const Asked& asked) {
  std::vector<LawStep> ladder;
  for (const double P : asked.bits) {
    const Point x = point_of(asked.N, asked.D, P);
    const double offset = offset_of(kind, x);
    if (!std::isfinite(offset)) continue;
    LawStep s;
    s.P = P;
    s.log_rise = predict_new_run(fit, regressors(kind, x), asked.level);
    for (double NewRun::*value : {&NewRun::estimate, &NewRun::law_low, &NewRun::law_high, &NewRun::low, &NewRun::high})
      s.log_rise.*value += offset;
    s.rise = std::exp(s.log_rise.estimate), s.low = std::exp(s.log_rise.low), s.high = std::exp(s.log_rise.high);
    ladder.push_back(s);
  }
  return ladder;
}

std::string damage_problem(const GroupedFit& fit, const Evidence& e) {
  if (fit.stop == Stop::too_few_rows) return fmt::format("{} rows of damage are too few for a law", e.damage.size());
  if (fit.stop == Stop::rank_deficient) return "tokens and model size move together in these runs";
  if (!fit.is_usable()) return "a row of damage is not finite";
  constexpr int least = 3;
  return fit.checkpoints < least ? fmt::format("{} checkpoints are too few for a law over them", fit.checkpoints) : "";
}

}  // namespace

LawRoute law_route(const Table& table, const Asked& asked, const Thresholds& thresholds) {
  LawRoute route;
  route.fewest = {nan, nan, nan};
  const Evidence e = evidence_of(table, thresholds);
  const auto all = all_indices(e.damage.size());
  double least = INFINITY;
  for (const LawKind kind : candidates) {
    const GroupedFit fit = fit_grouped(grouped_rows(kind, e, all));
    const std::string problem = damage_problem(fit, e);
    if (!problem.empty()) route.problem = problem;
    if (!problem.empty() || (fit.not_identified.size() > 2 && fit.not_identified[2])) continue;
    const double error = held_out_error(kind, e.observations, {}).rmse_log;
    const auto ladder = ladder_of(kind, fit, asked);
    route.candidates.push_back({kind, error, fewest_within(ladder, &LawStep::rise, asked.rise_max)});
    const bool is_first = route.candidates.size() == 1;
    if (is_first || error < least) least = error, route.kind = kind, route.fit = fit, route.ladder = ladder;
  }
  if (route.candidates.empty()) return route;
  route.problem.clear();
  route.outside = outside_of(e, asked);
  route.fewest = {fewest_within(route.ladder, &LawStep::rise, asked.rise_max),
                  fewest_within(route.ladder, &LawStep::low, asked.rise_max),
                  fewest_within(route.ladder, &LawStep::high, asked.rise_max)};
  add_losses(route, e, asked);
  return route;
}

BudgetAnswer best_training_bits(const Table& table, double budget, double level, const Thresholds& thresholds) {
  BudgetAnswer answer;
  answer.budget = budget;
  answer.bits = {nan, nan, nan, 0};
  const PrecisionRows all = precision_rows(table, thresholds);
  answer.problem = "no run of this study was trained at low precision";
  if (all.low == 0) return answer;
  const TrainingFit fit(LawKind::train_exponential, all, all.observations);
  answer.problem = "the law of training precision could not be fitted";
  if (!fit.is_usable()) return answer;
  const auto statistic = [&](const std::vector<std::size_t>& sample) {
    if (sample.size() == all.observations.size()) return std::vector<double>{fit.optimal_bits()};
    std::vector<Observation> some;
    for (const std::size_t i : sample) some.push_back(all.observations[i]);
    const TrainingFit rest = fit.refit(some);
    return std::vector<double>{rest.is_usable() ? rest.optimal_bits() : nan};
  };
  answer.bits = jackknife(keys_of(all.observations), statistic, {.level = level})[0];
  answer.problem = "the fitted law has no best number of bits: fewer are always better, or more";
  if (!std::isfinite(answer.bits.estimate)) return answer;
  answer.problem.clear();
  answer.best = optimal_allocation(fit.law(), budget, answer.bits.estimate);
  return answer;
}

}  // namespace hone::theory
