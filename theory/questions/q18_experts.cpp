#include "theory/questions/q18_experts.hpp"

#include <map>
#include <set>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/bit_scale.hpp"
#include "theory/questions/findings.hpp"
#include "theory/rows/curve.hpp"

namespace hone::theory {
namespace {

/// Dense trunks of one size, seed, width and training, over ln D.
using DenseKey = std::tuple<Training, std::int64_t, double, double>;
DenseKey key_of(const PtqRow& r, double N) { return {recipe_of(r).training, r.seed, r.P, N}; }

/// What experts change against dense models, row by row.
struct Change {
  std::vector<PtqRow> rows;
  std::vector<double> delta, predicted, sigma;
  int unmatched = 0;

  std::vector<double> residual() const {
    std::vector<double> rest;
    for (std::size_t i = 0; i < delta.size(); ++i) rest.push_back(delta[i] - predicted[i]);
    return rest;
  }
  Interval mean(const std::vector<double>& of, const IntervalOptions& options) const {
    return mean_interval(keys_of(rows), of, sigma, options);
  }
};

/// Contrasts of each row with experts with the dense size nearest to `size`(row).
template <class Size>
Change change_of(const std::vector<PtqRow>& selected, const Thresholds& thresholds, Size&& size) {
  std::map<DenseKey, Curve> delta, predicted;
  std::set<double> sizes;
  for (const PtqRow& r : selected) {
    if (r.has_experts()) continue;
    sizes.insert(r.N);
    delta[key_of(r, r.N)].add(std::log(r.D), std::log(r.delta));
    predicted[key_of(r, r.N)].add(std::log(r.D), std::log(r.predicted));
  }
  Change change;
  for (const PtqRow& r : selected) {
    if (!r.has_experts()) continue;
    double base = NAN, base_predicted = NAN, nearest = INFINITY;
    for (const double N : sizes) {
      const double distance = std::abs(std::log(N / size(r)));
      const auto dense = delta.find(key_of(r, N));
      if (!is_equal_size(N, size(r), thresholds) || !(distance < nearest) || dense == delta.end()) continue;
      nearest = distance;
      base = dense->second.at(std::log(r.D)), base_predicted = predicted.at(key_of(r, N)).at(std::log(r.D));
    }
    if (!std::isfinite(base)) {
      ++change.unmatched;
      continue;
    }
    change.rows.push_back(r);
    change.delta.push_back(std::log(r.delta) - base);
    change.predicted.push_back(std::log(r.predicted) - base_predicted);
    const double relative = r.delta_se / r.predicted;  // that of the dense model is taken as large
    change.sigma.push_back(combined_sigma({relative, relative}, thresholds.fit_scatter));
  }
  return change;
}

/// One contrast with its parts. Returns the interval that decides, NaN where too few trajectories have it.
Interval add_change(Verdict& v, const std::string& key, const std::string& name, const Change& change,
                    const Thresholds& thresholds) {
  add_finding(v, {"unmatched." + key, "rows without a dense model of equal " + name}, change.unmatched);
  const auto keys = keys_of(change.rows);
  const bool decides = count_cells(keys) >= thresholds.cells_min &&
                       count_trajectories(keys) >= static_cast<int>(thresholds.trajectories_min);
  if (change.rows.empty()) return {NAN, NAN, NAN, 0};
  const IntervalOptions alone = interval_options(thresholds);
  const Interval together = change.mean(change.delta, simultaneous_options(thresholds, 2));
  const std::string of = "experts over dense, equal " + name;
  add_finding(v, {key, "ln of damage, " + of, "ln"}, together);
  add_finding(v, {"predicted." + key, "ln of predicted damage, " + of, "ln"}, change.mean(change.predicted, alone));
  add_finding(v, {"residual." + key, "ln of damage at equal prediction, " + of, "ln"},
              change.mean(change.residual(), alone));
  std::map<double, std::vector<std::size_t>> widths;
  for (std::size_t i = 0; i < change.rows.size(); ++i) widths[change.rows[i].P].push_back(i);
  for (const auto& [bits, places] : widths) {
    Change own;
    for (const std::size_t i : places) {
      own.rows.push_back(change.rows[i]);
      own.delta.push_back(change.delta[i]), own.sigma.push_back(change.sigma[i]);
    }
    add_finding(v, {fmt::format("{}.bits_{}", key, key_number(bits)), fmt::format("{}, {:g} bits", of, bits), "ln"},
                own.mean(own.delta, alone));
  }
  return decides ? together : Interval{NAN, NAN, NAN, 0};
}

/// How the damage of one expert goes with the tokens that reach it.
void add_loads(Verdict& v, const Table& table, const Thresholds& thresholds) {
  using Layer = std::tuple<std::string, std::string, double, double, double>;
  std::map<Layer, std::vector<ExpertRow>> layers;
  for (const ExpertRow& r : table.expert_damage)
    if (r.is_transformer() && is_full_trunk(r) && std::isfinite(r.delta) && r.load > 0)
      layers[{r.run, r.variant, r.D, r.P, r.layer}].push_back(r);
  std::vector<ExpertRow> rows;
  std::vector<double> log_load, share, equal;
  std::vector<std::size_t> group;
  std::size_t number = 0;
  for (const auto& [layer, experts] : layers) {
    double sum = 0, variance = 0;
    for (const ExpertRow& r : experts) sum += r.delta, variance += r.delta_se * r.delta_se;
    // Below the noise of the losses no share of it means anything.
    if (!(sum > thresholds.ptq_min_snr * std::sqrt(variance))) continue;
    for (const ExpertRow& r : experts) {
      rows.push_back(r), group.push_back(number), equal.push_back(1);
      log_load.push_back(std::log(r.load)), share.push_back(r.delta * double(experts.size()) / sum);
    }
    ++number;
  }
  add_control(v, Control::expert_loads, !rows.empty());
  if (rows.empty()) return;
  const auto slope = [&](const std::vector<std::size_t>& some) {
    return std::vector<double>{slope_within(log_load, share, equal, group, some)};
  };
  const Interval found = jackknife(keys_of(rows), slope, interval_options(thresholds))[0];
  add_finding(v, {"load_slope", "damage of an expert over its layer's mean, per e-fold of its tokens"}, found);
  v.prose +=
      fmt::format(" One expert's damage changes by {} of its layer's mean per e-fold of its tokens.", in_words(found));
}

/// gamma_w of models with experts and of dense ones.
void add_scales(Verdict& v, const Table& table, const Thresholds& thresholds) {
  int unpaired = 0;
  LowWeightModels models = low_weight_models(table.losses, unpaired);
  std::erase_if(models,
                [&](const Subject& s) { return s.method != "qat" || s.train_w_bits < thresholds.q16_bits_min; });
  const auto experts = places_of(models, [](const Subject& s) { return s.has_experts(); });
  const auto dense = places_of(models, [](const Subject& s) { return !s.has_experts(); });
  const bool has_both = !experts.empty() && !dense.empty();
  add_control(v, Control::experts_at_few_bits, has_both);
  if (!has_both) return;
  const std::optional<LawWithError> law = known_size_law(v, table, thresholds);
  if (!law) return;
  const IntervalOptions options = interval_options(thresholds);
  const auto scale = [&](const TrainingLaw& of, const std::vector<std::size_t>& some) {
    return log_scale_of(of, models, some);
  };
  const auto gap = [&](const TrainingLaw& of, const std::vector<std::size_t>& some) {
    std::vector<std::size_t> sides[2];
    for (const std::size_t i : some) sides[models[i].has_experts()].push_back(i);
    return scale(of, sides[1]) - scale(of, sides[0]);
  };
  for (const auto& [key, places] : {std::pair{"experts", experts}, std::pair{"dense", dense}}) {
    const Interval log = interval_of_models(*law, models, places, scale, options);
    add_finding(v, {std::string("scale.") + key, std::string("gamma_w in training, ") + key, "bits"}, exponential(log));
  }
  const Interval difference =
      interval_of_models(*law, models, places_of(models, [](const Subject&) { return true; }), gap, options);
  add_finding(v, {"gap.scale", "ln of gamma_w in training, experts over dense", "ln"}, difference);
  v.prose += fmt::format(" ln gamma_w of experts over dense in training is {}.", in_words(difference));
}

}  // namespace

Verdict judge_experts(const Table& table, const Thresholds& thresholds) {
  Verdict v =
      open_verdict("Q18", "Do mixtures of experts break more than dense models?",
                   "at equal tokens the damage is larger with experts, at equal active and at equal total size",
                   {"active", "ln of the damage with experts over that of dense models of equal active size", "ln"},
                   experts_rule(), thresholds);
  Dropped dropped;
  const auto selected = select_predicted(
      table.ptq, [](const Subject& s) { return is_full_trunk(s) && is_settled(s); }, thresholds, dropped);
  add_dropped(v, dropped);
  const Change active = change_of(selected, thresholds, [](const Subject& s) { return s.active_N(); });
  const Change total = change_of(selected, thresholds, [](const Subject& s) { return s.N; });
  ExpertsEvidence evidence{add_change(v, "active", "active size", active, thresholds),
                           add_change(v, "total", "total size", total, thresholds)};
  add_control(v, Control::equal_active_size, std::isfinite(evidence.active.low));
  add_control(v, Control::equal_total_size, std::isfinite(evidence.total.low));
  v.n = static_cast<int>(active.rows.size() + total.rows.size());
  if (!std::isfinite(evidence.active.low) && !std::isfinite(evidence.total.low)) {
    v.prose = fmt::format(
        "Nothing can be said: {} rows of models with experts have a dense model of equal active size beside them and "
        "{} "
        "one of equal total size; {:g} cells and {:g} trajectories are needed.",
        active.rows.size(), total.rows.size(), thresholds.cells_min, thresholds.trajectories_min);
  } else {
    const bool has_active = std::isfinite(evidence.active.low);
    if (!has_active)
      v.estimate_key = "q18.total", v.estimate_label = "ln of the damage with experts over that of equal total size";
    set_estimate(v, has_active ? evidence.active : evidence.total);
    decide(v, experts_rule(), evidence, thresholds);
    v.prose = fmt::format(
        "At equal tokens and bits, ln of the damage with experts over that of dense models is {} at equal active and "
        "{} "
        "at equal total size.",
        in_words(evidence.active), in_words(evidence.total));
  }
  add_loads(v, table, thresholds);
  add_scales(v, table, thresholds);
  return v;
}

}  // namespace hone::theory
