#include "theory/questions/loss_fit.hpp"

#include <set>
#include <utility>

#include "theory/questions/findings.hpp"

namespace hone::theory {

std::vector<Observation> loss_observations(const Table& table, const Thresholds& thresholds) {
  std::vector<LossRow> rows;
  for (const LossRow& r : table.losses)
    if (r.is_transformer() && is_main_trunk(r) && r.is_full_precision() && r.loss > 0 && std::isfinite(r.loss) &&
        r.N > 0 && r.D > 0)
      rows.push_back(r);
  const std::vector<RowKey> keys = keys_of(rows);
  std::vector<Observation> observations;
  for (std::size_t i = 0; i < rows.size(); ++i)
    observations.push_back({{rows[i].N, rows[i].D},
                            std::log(rows[i].loss),
                            combined_sigma({rows[i].loss_se / rows[i].loss}, thresholds.loss_scatter),
                            keys[i].cell,
                            keys[i].seed});
  return observations;
}

FitSummary fit_losses(const Table& table, const Thresholds& thresholds) {
  return fit(LawKind::chinchilla, loss_observations(table, thresholds), {});
}

bool determines_size(const FitSummary& fit) {
  if (!fit.is_usable()) return false;
  for (const std::size_t k : {0u, 1u})
    if (fit.at_bound[k] || fit.not_identified[k] || !std::isfinite(fit.standard_errors[k])) return false;
  // A size term as uncertain as alpha itself says nothing about sizes.
  return fit.standard_errors[1] < fit.parameters[1];
}

TrainingLaw loss_law(const FitSummary& fit) {
  TrainingLaw law;
  law.A = std::exp(fit.parameters[0]);
  law.alpha = fit.parameters[1];
  law.B = std::exp(fit.parameters[2]);
  law.beta = fit.parameters[3];
  law.E = fit.parameters[4];
  return law;
}

LawWithError law_with_error(const FitSummary& whole, const std::vector<Observation>& observations) {
  LawWithError result{loss_law(whole), {}};
  FitOptions options;
  options.start = whole.parameters;
  std::set<std::pair<double, std::int64_t>> trajectories;
  for (const Observation& o : observations) trajectories.insert({o.point.N, o.seed});
  for (const auto& left_out : trajectories) {
    std::vector<Observation> rest;
    for (const Observation& o : observations)
      if (std::pair{o.point.N, o.seed} != left_out) rest.push_back(o);
    const FitSummary refit = fit(LawKind::chinchilla, rest, options);
    result.without_each.push_back(refit.is_usable() ? loss_law(refit) : TrainingLaw{NAN, NAN, NAN, NAN, NAN, {}});
  }
  return result;
}

std::optional<LawWithError> known_size_law(Verdict& v, const Table& table, const Thresholds& thresholds) {
  const std::vector<Observation> observations = loss_observations(table, thresholds);
  const FitSummary fit = theory::fit(LawKind::chinchilla, observations, {});
  const bool is_known = determines_size(fit);
  add_control(v, Control::effective_size, is_known);
  if (!is_known) return std::nullopt;
  add_finding(v, {"loss_law.a", "A of the loss law", "nats"}, std::exp(fit.parameters[0]));
  add_finding(v, {"loss_law.alpha", "alpha of the loss law"}, fit.parameters[1]);
  return law_with_error(fit, observations);
}

Interval interval_with_law(const LawWithError& law, const std::vector<RowKey>& keys,
                           const std::function<double(const TrainingLaw&, const std::vector<std::size_t>&)>& statistic,
                           const IntervalOptions& options) {
  const auto of_rows = [&](const std::vector<std::size_t>& rows) { return std::vector{statistic(law.law, rows)}; };
  const Interval held = jackknife(keys, of_rows, options)[0];
  const std::vector<std::size_t> all = all_indices(keys.size());
  double squares = 0;
  for (const TrainingLaw& other : law.without_each) squares += std::pow(statistic(other, all) - held.estimate, 2);
  const double count = static_cast<double>(law.without_each.size());
  Interval result = interval_around(
      held.estimate, std::hypot(held.standard_error, std::sqrt((count - 1) / count * squares)), held.freedom, options);
  result.failures = held.failures;
  return result;
}

}  // namespace hone::theory
