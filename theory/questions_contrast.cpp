// Q5 and Q6: contrasts. Cooled against trunk at equal tokens; joint against separate precision.
#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "sim/base/error.hpp"
#include "theory/evidence.hpp"
#include "theory/noise.hpp"
#include "theory/questions.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// A trunk quantity along tokens, for one (N, seed, P).
struct Curve {
  std::vector<std::pair<double, double>> points;  // ln D, value; ascending in ln D

  /// Linear between neighbours in ln D; NaN outside the measured range.
  double at(double log_d) const {
    const double slack = 1e-9 * std::abs(log_d);  // equal token counts may differ in the last bits
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (std::abs(points[i].first - log_d) <= slack) return points[i].second;
      if (points[i].first > log_d) {
        if (i == 0) return nan;
        const auto [x0, y0] = points[i - 1];
        const auto [x1, y1] = points[i];
        return y0 + (y1 - y0) * (log_d - x0) / (x1 - x0);
      }
    }
    return nan;
  }
};

using CurveKey = std::tuple<std::string, double, std::int64_t, double>;  // model, N, seed, P

template <class Row, class Value>
std::map<CurveKey, Curve> curves_of(const std::vector<Row>& rows, Value&& value) {
  std::map<CurveKey, Curve> curves;
  for (const Row& r : rows) {
    double bits = 0;
    if constexpr (requires { r.P; }) bits = r.P;
    curves[{r.model, r.N, r.seed, bits}].points.emplace_back(std::log(r.D), value(r));
  }
  for (auto& [key, curve] : curves) std::sort(curve.points.begin(), curve.points.end());
  return curves;
}

double curve_at(const std::map<CurveKey, Curve>& curves, const CurveKey& key, double d) {
  const auto curve = curves.find(key);
  return curve == curves.end() ? nan : curve->second.at(std::log(d));
}

/// Cooled rows with a trunk at the same tokens, and their contrasts cooled - trunk in ln units.
struct Contrast {
  std::vector<PtqRow> rows;
  std::vector<double> delta, predicted, sigma;
  int unmatched = 0;
};

Contrast contrast_with_trunk(const Table& table, const Thresholds& thresholds, Dropped& dropped) {
  const auto trunk = select_predicted(table.ptq, "trunk", thresholds, dropped);
  const auto delta = curves_of(trunk, [](const PtqRow& r) { return std::log(r.delta); });
  const auto predicted = curves_of(trunk, [](const PtqRow& r) { return std::log(r.predicted); });
  Contrast c;
  for (const PtqRow& r : select_predicted(table.ptq, "cooled", thresholds, dropped)) {
    const CurveKey key{r.model, r.N, r.seed, r.P};
    const double base = curve_at(delta, key, r.D), base_predicted = curve_at(predicted, key, r.D);
    if (!std::isfinite(base) || !std::isfinite(base_predicted)) {
      ++c.unmatched;
      continue;
    }
    c.rows.push_back(r);
    c.delta.push_back(std::log(r.delta) - base);
    c.predicted.push_back(std::log(r.predicted) - base_predicted);
    // The trunk's own error is taken as large as the cooled one's.
    const double relative = rounding_noise(r) / r.predicted;
    c.sigma.push_back(combined_sigma({relative, relative}, value_of(thresholds, "fit_scatter")));
  }
  return c;
}

void add_trace_contrast(Verdict& v, const Table& table, const Thresholds& thresholds) {
  std::vector<SharpnessRow> trunk, cooled, matched;
  for (const SharpnessRow& r : table.sharpness) {
    if (r.architecture != "transformer" || !(r.trace > 0) || !std::isfinite(r.trace)) continue;
    if (r.variant == "trunk") trunk.push_back(r);
    if (r.variant == "cooled") cooled.push_back(r);
  }
  const auto curves = curves_of(trunk, [](const SharpnessRow& r) { return std::log(r.trace); });
  std::vector<double> contrast;
  for (const SharpnessRow& r : cooled) {
    const double base = curve_at(curves, {r.model, r.N, r.seed, 0}, r.D);
    if (!std::isfinite(base)) continue;
    matched.push_back(r);
    contrast.push_back(std::log(r.trace) - base);
  }
  add_control(v, "trace of cooled and trunk at equal tokens", !matched.empty());
  if (matched.empty()) return;
  add_detail(v, "ln trace, cooled - trunk",
             mean_interval(keys_of(matched), contrast, std::vector<double>(contrast.size(), 1.0),
                           interval_options(thresholds)));
}

/// Slope of ln delta on ln predicted over the trunk.
double trunk_slope(const Table& table, const Thresholds& thresholds) {
  Dropped ignored;  // counted by the contrast
  const PredictionRows p = prediction_rows(table, thresholds, ignored);
  std::vector<std::size_t> all(p.rows.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return regress({p.log_predicted}, p.log_delta, p.sigma, all)[1];
}

}  // namespace

Verdict judge_cooldown(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q5", "At equal tokens, does a cooled checkpoint follow its curvature?",
                           "cooling changes the damage just as it changes the prediction",
                           "supported: interval of the residual inside ± q5_tolerance while that of the predicted "
                           "change lies outside it, so that the residual of a damage that ignored cooling would not; "
                           "refuted: the residual's interval disjoint from ± q5_tolerance; inconclusive otherwise",
                           thresholds,
                           {"q5_tolerance", "ptq_bits_min", "ptq_bits_max", "ptq_min_snr", "fit_scatter", "cells_min"});
  Dropped dropped;
  const Contrast c = contrast_with_trunk(table, thresholds, dropped);
  const double slope = trunk_slope(table, thresholds);
  const std::vector<RowKey> keys = keys_of(c.rows);
  v.n = static_cast<int>(c.rows.size());
  add_dropped(v, dropped);
  add_detail(v, "cooled rows without a trunk at the same tokens", c.unmatched);
  add_detail(v, "slope of ln delta on ln predicted, trunk", slope);
  add_control(v, "cooled and trunk from the same seed", !c.rows.empty());
  add_trace_contrast(v, table, thresholds);
  const int cells = count_cells(keys), cells_min = static_cast<int>(value_of(thresholds, "cells_min"));
  if (cells < cells_min || !std::isfinite(slope)) {
    v.prose = fmt::format(
        "Nothing can be said: {} cooled cells have a trunk at the same tokens (at least {} "
        "needed){}.",
        cells, cells_min, std::isfinite(slope) ? "" : ", and the trunk gives no slope");
    return v;
  }
  std::vector<double> residual;
  for (std::size_t i = 0; i < c.rows.size(); ++i) residual.push_back(c.delta[i] - slope * c.predicted[i]);
  const IntervalOptions options = interval_options(thresholds);
  const Interval r = mean_interval(keys, residual, c.sigma, options);
  const Interval moved = mean_interval(keys, c.predicted, c.sigma, options);
  const Interval damage = mean_interval(keys, c.delta, c.sigma, options);
  set_estimate(v, r);
  add_detail(v, "ln delta, cooled - trunk", damage);
  add_detail(v, "ln predicted, cooled - trunk", moved);
  const double tolerance = value_of(thresholds, "q5_tolerance");
  const bool has_moved = slope * moved.low > tolerance || slope * moved.high < -tolerance;
  const bool is_inside = r.low >= -tolerance && r.high <= tolerance;
  if (r.low > tolerance || r.high < -tolerance)
    v.outcome = Outcome::refuted;
  else if (is_inside && has_moved)
    v.outcome = Outcome::supported;
  v.prose = fmt::format(
      "At equal tokens cooling changes ln damage by {} and its prediction by {}; {} is left "
      "unexplained over {} cells.{}",
      in_words(damage), in_words(moved), in_words(r), cells,
      has_moved ? ""
                : " The predicted change is not beyond the tolerance, so cooling did not put the prediction "
                  "to a test.");
  return v;
}

namespace {

/// Two of the three precision sites, by index into Bits.
struct SitePair {
  std::string name;
  std::size_t first = 0, second = 0;
};

using Bits = std::array<double, 3>;  // weights, activations, KV

struct Interaction : Subject {
  double first_bits = 0, second_bits = 0;
  double relative = 0;  ///< (joint - first - second) / (first + second)
  double sigma = 0;
};

/// The interactions that the factorial holds for one pair of sites, all else unquantized.
std::vector<Interaction> interactions_of(const std::vector<FactorialRow>& rows, const SitePair& pair,
                                         const Thresholds& thresholds, Dropped& dropped) {
  using Checkpoint = std::tuple<std::string, std::int64_t, double, double, std::string>;
  std::map<Checkpoint, std::map<Bits, FactorialRow>> checkpoints;
  for (const FactorialRow& r : rows)
    if (r.architecture == "transformer")
      checkpoints[{r.run, r.seed, r.N, r.D, r.variant}][{r.w_bits, r.a_bits, r.kv_bits}] = r;
  std::vector<Interaction> interactions;
  for (const auto& [checkpoint, cells] : checkpoints)
    for (const auto& [bits, joint] : cells) {
      Bits joint_only{16, 16, 16}, first_only{16, 16, 16}, second_only{16, 16, 16};
      joint_only[pair.first] = first_only[pair.first] = bits[pair.first];
      joint_only[pair.second] = second_only[pair.second] = bits[pair.second];
      if (bits != joint_only || bits[pair.first] >= 16 || bits[pair.second] >= 16) continue;
      const auto first = cells.find(first_only), second = cells.find(second_only);
      if (first == cells.end() || second == cells.end()) continue;
      const double sum = first->second.delta + second->second.delta;
      const double se = combined_sigma({first->second.delta_se, second->second.delta_se}, 0);
      if (!std::isfinite(joint.delta) || !std::isfinite(sum)) {
        ++dropped.not_finite;
      } else if (!(sum > 0)) {
        ++dropped.not_positive;
      } else if (!(sum > value_of(thresholds, "ptq_min_snr") * se)) {
        ++dropped.below_noise;
      } else if (!(std::min(first->second.delta, second->second.delta) >= value_of(thresholds, "q6_balance") * sum)) {
        ++dropped.unbalanced;
      } else {
        Interaction i;
        static_cast<Subject&>(i) = joint;
        i.first_bits = bits[pair.first];
        i.second_bits = bits[pair.second];
        i.relative = (joint.delta - sum) / sum;
        i.sigma = combined_sigma({se / sum, joint.delta_se / sum}, value_of(thresholds, "fit_scatter"));
        interactions.push_back(i);
      }
    }
  return interactions;
}

Interval interaction_interval(const std::vector<Interaction>& rows, const Thresholds& thresholds) {
  std::vector<double> relative, sigma;
  for (const Interaction& i : rows) relative.push_back(i.relative), sigma.push_back(i.sigma);
  return mean_interval(keys_of(rows), relative, sigma, interval_options(thresholds));
}

/// Per pair of bits: measured interaction and that of independent Gaussian noise. Returns the pairs whose interval
/// excludes both 0 and independent noise.
std::string add_cells(Verdict& v, const std::vector<Interaction>& rows, const Thresholds& thresholds) {
  std::map<std::pair<double, double>, std::vector<Interaction>> cells;
  for (const Interaction& i : rows) cells[{i.first_bits, i.second_bits}].push_back(i);
  const int n = static_cast<int>(value_of(thresholds, "q6_channel_length"));
  std::string beyond;
  for (const auto& [bits, some] : cells) {
    const std::string name = fmt::format("W{:g}A{:g}", bits.first, bits.second);
    const Interval measured = interaction_interval(some, thresholds);
    add_detail(v, "relative interaction " + name, measured);
    if (bits.first < 2 || bits.second < 2) continue;
    const double nu_w = rtn_relative_mse(static_cast<int>(bits.first), n);
    const double nu_a = rtn_relative_mse(static_cast<int>(bits.second), n);
    const double independent = nu_w * nu_a / (nu_w + nu_a);
    add_detail(v, "predicted by (1+nu_w)(1+nu_a) " + name, independent);
    if (measured.low > independent || measured.high < 0)
      beyond += fmt::format("{}{} {}", beyond.empty() ? "" : ", ", name, in_words(measured));
  }
  return beyond;
}

}  // namespace

Verdict judge_composition(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q6", "Do weight and activation precision act independently?", "quantizing both costs the sum of quantizing each",
      "supported: interval of the relative interaction inside ± q6_tolerance; refuted: disjoint "
      "from it; inconclusive "
      "otherwise",
      thresholds, {"q6_tolerance", "q6_balance", "q6_channel_length", "ptq_min_snr", "fit_scatter", "cells_min"});
  Dropped dropped, of_others;
  const auto rows = interactions_of(table.factorial, {"WxA", 0, 1}, thresholds, dropped);
  v.n = static_cast<int>(rows.size());
  add_dropped(v, dropped);
  add_detail(v, "pairs dropped: one site dominates the sum", dropped.unbalanced);
  const std::string beyond = add_cells(v, rows, thresholds);
  for (const SitePair& pair : {SitePair{"WxKV", 0, 2}, SitePair{"AxKV", 1, 2}}) {
    const auto others = interactions_of(table.factorial, pair, thresholds, of_others);
    add_control(v, "interaction " + pair.name, !others.empty());
    if (!others.empty()) add_detail(v, "relative interaction " + pair.name, interaction_interval(others, thresholds));
  }
  const bool has_three_bits = std::any_of(rows.begin(), rows.end(),
                                          [](const Interaction& i) { return i.first_bits <= 3 || i.second_bits <= 3; });
  add_control(v, "cells of 3 bits or fewer, where independence should fail", has_three_bits);
  const int cells = count_cells(keys_of(rows)), cells_min = static_cast<int>(value_of(thresholds, "cells_min"));
  if (cells < cells_min) {
    v.prose = fmt::format("Nothing can be said: {} interactions in {} cells, at least {} cells needed.", v.n, cells,
                          cells_min);
    return v;
  }
  const Interval relative = interaction_interval(rows, thresholds);
  set_estimate(v, relative);
  const double tolerance = value_of(thresholds, "q6_tolerance");
  if (relative.low >= -tolerance && relative.high <= tolerance)
    v.outcome = Outcome::supported;
  else if (relative.low > tolerance || relative.high < -tolerance)
    v.outcome = Outcome::refuted;
  v.prose = fmt::format(
      "The damage of both together differs from the sum of each by {} of that sum (positive: more "
      "than the sum), over {} checkpoint cells, where each site has at least {:g} of the sum.{}",
      in_words(relative), cells, value_of(thresholds, "q6_balance"),
      beyond.empty() ? "" : " Beyond both 0 and independent Gaussian noise: " + beyond + ".");
  return v;
}

}  // namespace hone::theory
