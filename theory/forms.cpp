#include "theory/forms.hpp"

#include <map>

namespace hone::theory {

std::vector<Observation> in_folds(const std::vector<Observation>& rows, int folds) {
  std::map<std::int64_t, std::int64_t> number;
  for (const Observation& o : rows) number.emplace(o.cell, 0);
  std::int64_t next = 0;
  for (auto& [cell, place] : number) place = next++ % folds;
  std::vector<Observation> folded = rows;
  for (Observation& o : folded) o.cell = number[o.cell];
  return folded;
}

FunctionalForm warmed(FunctionalForm form, const std::vector<Observation>& rows) {
  if (law(form.kind).form == Form::log_linear) return form;
  const FitSummary whole = fit(form.kind, rows, form.options);
  if (whole.is_usable()) form.options.start = whole.parameters;
  return form;
}

std::vector<FormScore> score_forms(const std::vector<FunctionalForm>& forms, const std::vector<Observation>& rows,
                                   const Thresholds& thresholds) {
  const auto folded = in_folds(rows, static_cast<int>(value_of(thresholds, "form_folds")));
  const IntervalOptions together = simultaneous_options(thresholds, static_cast<int>(forms.size()) - 1);
  std::vector<FormScore> scores;
  std::vector<double> of_first;
  for (const FunctionalForm& named : forms) {
    const FunctionalForm form = warmed(named, rows);
    const auto errors = held_out_rows(form.kind, folded, form.options, Scale::log);
    if (scores.empty()) of_first = errors;
    scores.push_back({form, summarize_held_out(errors, folded), aicc(fit(form.kind, rows, form.options), rows),
                      contrast_errors(of_first, errors, rows, together)});
  }
  return scores;
}

}  // namespace hone::theory
