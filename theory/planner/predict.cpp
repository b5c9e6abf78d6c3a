#include "theory/planner/predict.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Full-precision training at a measured checkpoint: what a planner can start from.
bool is_subject(const PtqRow& r) {
  return r.is_transformer() && r.is_full_precision() && (r.variant == "trunk" || r.variant == "imported") && r.N > 0;
}

/// Distance of a checkpoint from the question in e-folds; imported ones do not know their tokens.
double distance(const PtqRow& r, const Asked& asked) {
  const double tokens = r.D > 0 && asked.D > 0 ? std::abs(std::log(r.D / asked.D)) : 0;
  return std::abs(std::log(r.N / asked.N)) + tokens;
}

/// The rows of the checkpoint nearest to the question that have a prediction; ties to the first.
std::vector<PtqRow> nearest_rows(const Table& table, const Asked& asked) {
  const PtqRow* nearest = nullptr;
  for (const PtqRow& r : table.ptq)
    if (is_subject(r) && std::isfinite(r.predicted) && (!nearest || distance(r, asked) < distance(*nearest, asked)))
      nearest = &r;
  std::vector<PtqRow> rows;
  if (nearest == nullptr) return rows;
  for (const PtqRow& r : table.ptq)
    if (r.run == nearest->run && r.D == nearest->D && r.variant == nearest->variant && std::isfinite(r.predicted))
      rows.push_back(r);
  std::sort(rows.begin(), rows.end(), [](const PtqRow& a, const PtqRow& b) { return a.P < b.P; });
  return rows;
}

/// M/Delta of a grid at some bits, in ln units.
double log_steps_at(Grid grid, double bits) {
  Point x;
  x.P = bits;
  x.grid = grid;
  return log_steps(x);
}

/// The grid whose steps the recorded ones follow, by its name; nothing when none does or one width cannot tell.
std::optional<std::pair<Grid, std::string>> recorded_grid(const std::vector<PtqRow>& rows) {
  for (const auto& [grid, name] : {std::pair{Grid::restricted, "M/(2^(P-1)-1)"},
                                   {Grid::midrise, "2M/(2^P-1)"},
                                   {Grid::signed_absmax, "M/2^(P-1)"}}) {
    std::vector<double> log_range;
    for (const PtqRow& r : rows) log_range.push_back(0.5 * std::log(r.mean_step2) + log_steps_at(grid, r.P));
    if (log_range.size() < 2) return {};
    const auto [least, most] = std::minmax_element(log_range.begin(), log_range.end());
    if (*most - *least < 1e-6) return std::pair{grid, std::string(name)};
  }
  return {};
}

/// Half of the interval of a prediction: Student's over its probes, normal where the file does not say how many.
double width_of(const PtqRow& r, double level) {
  if (!std::isfinite(r.predicted_se)) return 0;
  if (std::isnan(r.predicted_probes)) return normal_quantile(level) * r.predicted_se;
  return half_width({r.predicted, r.predicted_se, int(r.predicted_probes)}, level);
}

CurvatureStep measured_step(const PtqRow& r, double level) {
  CurvatureStep s;
  s.P = r.P;
  s.second_order = r.predicted;
  s.standard_error = std::isfinite(r.predicted_se) ? r.predicted_se : 0;
  s.gradient = r.gradient;
  s.rise = r.predicted + (std::isfinite(r.gradient) ? r.gradient : 0);
  s.low = s.rise - width_of(r, level), s.high = s.rise + width_of(r, level);
  s.measured = r.delta, s.measured_se = r.delta_se;
  return s;
}

CurvatureStep rescaled_step(const PtqRow& from, Grid grid, double bits, double level) {
  const double ratio = std::exp(2 * (log_steps_at(grid, from.P) - log_steps_at(grid, bits)));
  PtqRow r = from;
  r.P = bits, r.predicted *= ratio, r.predicted_se *= ratio;
  r.gradient = r.delta = r.delta_se = nan;
  CurvatureStep s = measured_step(r, level);
  s.is_rescaled = true;
  return s;
}

}  // namespace

Asked resolved(const Table& table, Asked asked) {
  EXPECTS(asked.rise_max > 0 && std::is_sorted(asked.bits.begin(), asked.bits.end()) && !asked.bits.empty(),
          "predict: rise {} of {} widths, expected > 0 and rising widths", asked.rise_max, asked.bits.size());
  const PtqRow* best = nullptr;
  for (const PtqRow& r : table.ptq) {
    if (!is_subject(r)) continue;
    const bool is_larger = !best || r.N > best->N || (r.N == best->N && r.D > best->D);
    const bool is_nearer = best && distance(r, {asked.N}) < distance(*best, {asked.N});
    const bool is_later = best && r.N == best->N && r.D > best->D;
    if (asked.N > 0 ? !best || is_nearer || is_later : is_larger) best = &r;
  }
  if (!best)
    throw OptionError(
        "predict: no damage of weights on the trunk of a transformer in these runs; give runs of a study with "
        "[quantize] bits, or files of hone measure");
  if (!(asked.N > 0)) asked.N = best->N;
  if (!(asked.D > 0)) asked.D = best->D;
  return asked;
}

CurvatureRoute curvature_route(const Table& table, const Asked& asked) {
  CurvatureRoute route;
  route.fewest = {nan, nan, nan};
  const std::vector<PtqRow> rows = nearest_rows(table, asked);
  if (rows.empty()) return route;
  route.at = rows.front();
  route.loss = rows.front().loss;
  const auto grid = recorded_grid(rows);
  if (grid) route.grid = grid->second;
  for (const double bits : asked.bits) {
    const auto nearest = std::min_element(rows.begin(), rows.end(), [bits](const PtqRow& a, const PtqRow& b) {
      return std::abs(a.P - bits) < std::abs(b.P - bits);
    });
    if (nearest->P == bits)
      route.ladder.push_back(measured_step(*nearest, asked.level));
    else if (grid && bits > 1)
      route.ladder.push_back(rescaled_step(*nearest, grid->first, bits, asked.level));
  }
  route.fewest = {fewest_within(route.ladder, &CurvatureStep::rise, asked.rise_max),
                  fewest_within(route.ladder, &CurvatureStep::low, asked.rise_max),
                  fewest_within(route.ladder, &CurvatureStep::high, asked.rise_max)};
  return route;
}

}  // namespace hone::theory
