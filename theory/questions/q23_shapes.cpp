#include "theory/questions/q23_shapes.hpp"

#include <cmath>
#include <map>
#include <tuple>

#include "theory/precision/effective_parameters.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/forms.hpp"
#include "theory/questions/loss_fit.hpp"

namespace hone::theory {
namespace {

/// The number of the checkpoint of each row.
std::vector<std::size_t> checkpoints_of(const std::vector<PtqRow>& rows) {
  std::map<std::tuple<std::string, std::string, double>, std::size_t> numbers;
  std::vector<std::size_t> checkpoints;
  checkpoints.reserve(rows.size());
  for (const PtqRow& r : rows)
    checkpoints.push_back(numbers.try_emplace({r.run, r.variant, r.D}, numbers.size()).first->second);
  return checkpoints;
}

/// ln of the share of the parameters that the damage of a row is worth; NaN where the law has no such size.
double log_lost(const TrainingLaw& law, const PtqRow& r) {
  const double before = inference_parameters(law, r.D, r.loss),
               after = inference_parameters(law, r.D, r.loss + r.delta);
  return std::log(1 - after / before);
}

}  // namespace

void add_removed_shapes(Verdict& v, const std::string& what, const std::string& words, const PredictionRows& p,
                        const Thresholds& thresholds) {
  const std::vector<BitShape> shapes{
      {"removed", "power of the bits removed", [](double bits) { return std::log(bits_whole - bits); }, true},
      {"exponential", "exponential in bits", [](double bits) { return bits; }, true},
      {"step", "squared step", [](double bits) { return -2 * std::log(std::exp2(bits - 1) - 1); }, false}};
  const std::vector<ShapeScore> scores = score_shapes(shapes, p, checkpoints_of(p.rows), thresholds);
  const ShapeScore* best = nullptr;
  for (const ShapeScore& s : scores) {
    add_finding(v, {what + ".held_out." + s.key, words + ", held-out error within checkpoints: " + s.name, "ln"},
                s.rmse);
    if (s.key == shapes[0].key) continue;
    add_finding(v,
                {what + ".held_out_difference." + s.key,
                 words + ", squared held-out error, power of the bits removed minus " + s.name, "ln^2"},
                s.difference);
    if (best == nullptr || s.rmse < best->rmse) best = &s;
  }
  if (best != nullptr)
    add_finding(v,
                {what + ".best_rival_difference",
                 words + ", squared held-out error, power of the bits removed minus its best rival", "ln^2"},
                best->difference);
}

void add_lost_parameters(Verdict& v, const Table& table, const PredictionRows& p, const Thresholds& thresholds) {
  const auto law = known_size_law(v, table, thresholds);
  if (!law) return;
  std::vector<PtqRow> rows;
  std::vector<double> lost;
  for (const PtqRow& r : p.rows)
    if (const double share = log_lost(law->law, r); std::isfinite(share)) rows.push_back(r), lost.push_back(share);
  add_finding(v, {"dropped.without_size", "rows dropped: no size of the law has their losses"},
              double(p.rows.size() - rows.size()));
  if (rows.empty()) return;
  PredictionRows of_law = prediction_columns(std::move(rows), thresholds);
  of_law.log_delta = std::move(lost);
  std::vector<double> removed;
  for (const PtqRow& r : of_law.rows) removed.push_back(std::log(bits_whole - r.P));
  const std::vector<std::size_t> checkpoint = checkpoints_of(of_law.rows);
  const auto exponent = [&](const TrainingLaw& some, const std::vector<std::size_t>& sample) {
    std::vector<double> y;
    std::vector<std::size_t> known;
    for (const PtqRow& r : of_law.rows) y.push_back(log_lost(some, r));
    for (const std::size_t i : sample)
      if (std::isfinite(y[i])) known.push_back(i);
    return slope_within(removed, y, of_law.sigma, checkpoint, known);
  };
  add_finding(v, {"lost.exponent", "exponent of the bits removed in the parameters lost"},
              interval_with_law(*law, of_law.keys, exponent, interval_options(thresholds)));
  add_removed_shapes(v, "lost", "parameters lost", of_law, thresholds);
}

}  // namespace hone::theory
