#include "theory/questions/loss_fit.hpp"

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

}  // namespace hone::theory
