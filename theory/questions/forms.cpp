#include "theory/questions/forms.hpp"

#include <algorithm>
#include <iterator>
#include <map>

namespace hone::theory {
namespace {

/// Leave-cell-out errors of one shape within checkpoints; NaN where a checkpoint has one number of bits.
std::vector<double> shape_errors(const BitShape& shape, const PredictionRows& p,
                                 const std::vector<std::size_t>& checkpoint) {
  std::vector<double> x;
  std::map<std::int64_t, std::vector<std::size_t>> cells;
  std::map<std::size_t, std::vector<std::size_t>> peers;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    x.push_back(shape.x(p.rows[i].P));
    cells[p.keys[i].cell].push_back(i);
    peers[checkpoint[i]].push_back(i);
  }
  std::vector<double> errors(x.size(), NAN);
  for (const auto& [cell, left_out] : cells) {
    std::vector<std::size_t> rest;
    for (std::size_t i = 0; i < x.size(); ++i)
      if (p.keys[i].cell != cell) rest.push_back(i);
    const double slope = shape.has_slope ? slope_within(x, p.log_delta, p.sigma, checkpoint, rest) : 1;
    for (const std::size_t i : left_out) {
      const auto& group = peers[checkpoint[i]];
      if (group.size() < 2) continue;
      errors[i] = p.log_delta[i] - weighted_mean(p.log_delta, p.sigma, group) -
                  slope * (x[i] - weighted_mean(x, p.sigma, group));
    }
  }
  return errors;
}

/// ln of the prediction of each row; NaN where the fit is not usable.
std::vector<double> log_predictions(const FitSummary& fit, const std::vector<Observation>& rows) {
  std::vector<double> predictions;
  for (const Observation& o : rows)
    predictions.push_back(fit.is_usable() ? std::log(predict(fit.kind, fit.parameters, o.point)) : NAN);
  return predictions;
}

}  // namespace

std::vector<Observation> in_folds(const std::vector<Observation>& rows, int folds) {
  std::map<std::int64_t, std::int64_t> number;
  for (const Observation& o : rows) number.emplace(o.cell, 0);
  std::int64_t next = 0;
  for (auto& [cell, place] : number) place = next++ % folds;
  std::vector<Observation> folded = rows;
  for (Observation& o : folded) o.cell = number[o.cell];
  return folded;
}

FunctionalForm form_of(LawKind kind) { return {law(kind).key, law(kind).name, kind, {}}; }

FunctionalForm warmed(FunctionalForm form, const std::vector<Observation>& rows) {
  if (law(form.kind).form == Form::log_linear) return form;
  const FitSummary whole = fit(form.kind, rows, form.options);
  if (whole.is_usable()) form.options.start = whole.parameters;
  return form;
}

bool are_indistinguishable(const std::vector<double>& a, const std::vector<double>& b,
                           const std::vector<Observation>& rows) {
  constexpr double least_share = 1e-3;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= least_share * rows[i].log_sigma)) return false;
  return true;
}

std::vector<FormScore> score_forms(const std::vector<FunctionalForm>& forms, const std::vector<Observation>& rows,
                                   const Thresholds& thresholds) {
  const auto folded = in_folds(rows, static_cast<int>(thresholds.form_folds));
  const IntervalOptions together = simultaneous_options(thresholds, static_cast<int>(forms.size()) - 1);
  std::vector<FormScore> scores;
  std::vector<double> of_first;
  std::vector<std::vector<double>> fitted;
  for (const FunctionalForm& named : forms) {
    const FunctionalForm form = warmed(named, rows);
    const FitSummary whole = fit(form.kind, rows, form.options);
    fitted.push_back(log_predictions(whole, rows));
    const auto is_twin = [&](const auto& other) { return are_indistinguishable(other, fitted.back(), rows); };
    const auto twin = std::find_if(fitted.begin(), std::prev(fitted.end()), is_twin);
    const auto errors = held_out_rows(form.kind, folded, form.options, Scale::log);
    if (scores.empty()) of_first = errors;
    scores.push_back({form, static_cast<std::size_t>(twin - fitted.begin()), summarize_held_out(errors, folded),
                      aicc(whole, rows), contrast_errors(of_first, errors, rows, together)});
    if (twin == fitted.begin() && scores.size() > 1) scores.back().contrast = {{NAN, NAN, NAN, 0}, true, 0};
  }
  return scores;
}

std::vector<ShapeScore> score_shapes(const std::vector<BitShape>& shapes, const PredictionRows& p,
                                     const std::vector<std::size_t>& checkpoint, const Thresholds& thresholds) {
  std::vector<std::vector<double>> errors;
  for (const BitShape& shape : shapes) errors.push_back(shape_errors(shape, p, checkpoint));
  std::vector<std::size_t> known;
  std::vector<RowKey> keys;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    if (!std::all_of(errors.begin(), errors.end(), [&](const auto& e) { return std::isfinite(e[i]); })) continue;
    known.push_back(i);
    keys.push_back(p.keys[i]);
  }
  if (known.empty()) return {};
  const auto squares = [&](const std::vector<std::size_t>& sample) {
    std::vector<double> means(errors.size(), 0);
    for (const std::size_t k : sample)
      for (std::size_t s = 0; s < errors.size(); ++s)
        means[s] += errors[s][known[k]] * errors[s][known[k]] / static_cast<double>(sample.size());
    for (std::size_t s = 0; s < errors.size(); ++s) means.push_back(means[0] - means[s]);
    return means;
  };
  const auto intervals =
      jackknife(keys, squares, simultaneous_options(thresholds, static_cast<int>(shapes.size()) - 1));
  std::vector<ShapeScore> scores;
  for (std::size_t s = 0; s < shapes.size(); ++s)
    scores.push_back({shapes[s].key, shapes[s].name, std::sqrt(intervals[s].estimate), intervals[errors.size() + s]});
  return scores;
}

}  // namespace hone::theory
