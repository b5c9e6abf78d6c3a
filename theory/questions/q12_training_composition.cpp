#include "theory/questions/q12_training_composition.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "sim/base/error.hpp"
#include "theory/precision/compute_optimal.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/loss_fit.hpp"
#include "theory/questions/q12_joint_cells.hpp"

namespace hone::theory {
namespace {

using Models = std::vector<LoweredModel>;

/// All models of one set of training bits.
struct TrainedCell {
  Bits bits = unquantized;
  Sites sites;
  std::string label;  ///< "W3A4"
  Models models;
  bool decides = false;  ///< joint, from q12_bits_min bits and trajectories_min trajectories on
  Interval interaction, additive, beyond_additive,
      beyond_independent;  ///< hold together with those of all cells that decide
  double independent = NAN;
};

double fewest_bits(const TrainedCell& c) { return *std::min_element(c.bits.begin(), c.bits.end()); }

/// Mean over models of one number under the law; models where it is NaN are left out.
Interval mean_size(const LawWithError& law, const Models& models, double SizesOfModel::*number,
                   const IntervalOptions& options) {
  Models known;
  for (const LoweredModel& m : models)
    if (std::isfinite(sizes_of(m, law.law).*number)) known.push_back(m);
  if (known.empty()) return {NAN, NAN, NAN, 0};
  const auto mean = [&](const TrainingLaw& of, const std::vector<std::size_t>& some) {
    double sum = 0;
    for (const std::size_t i : some) sum += sizes_of(known[i], of).*number;
    return sum / static_cast<double>(some.size());
  };
  return interval_with_law(law, keys_of(known), mean, options);
}

/// Cells of one site and of several, in the order of their bits.
std::vector<TrainedCell> cells_of(const Models& models, const LawWithError& law, const Thresholds& thresholds) {
  std::map<Bits, TrainedCell> by_bits;
  for (const LoweredModel& m : models) {
    TrainedCell& c = by_bits[m.bits];
    c.bits = m.bits, c.sites = m.sites, c.label = m.sites.label(m.bits);
    c.models.push_back(m);
  }
  int deciding = 0;
  for (auto& [bits, c] : by_bits) {
    c.decides = c.sites.of.size() > 1 && fewest_bits(c) >= thresholds.q12_bits_min &&
                count_trajectories(keys_of(c.models)) >= thresholds.trajectories_min;
    deciding += c.decides;
  }
  const IntervalOptions together = simultaneous_options(thresholds, std::max(deciding, 1));
  std::vector<TrainedCell> all;
  for (auto& [bits, c] : by_bits) {
    const auto mean = [&, &models_of = c.models](double SizesOfModel::*number) {
      return mean_size(law, models_of, number, together);
    };
    c.interaction = mean(&SizesOfModel::interaction), c.additive = mean(&SizesOfModel::additive);
    c.beyond_additive = mean(&SizesOfModel::beyond_additive);
    c.beyond_independent = mean(&SizesOfModel::beyond_independent);
    c.independent = mean(&SizesOfModel::independent).estimate;
    all.push_back(std::move(c));
  }
  return all;
}

bool holds(const TrainedCell& c, const Thresholds& t) {
  return is_inside(c.interaction, -t.q12_tolerance, t.q12_tolerance);
}
bool breaks_down(const TrainedCell& c, const Thresholds& t) {
  return is_outside(c.interaction, -t.q12_tolerance, t.q12_tolerance);
}

/// N_eff/N of a cell; of a joint one the interaction, as three theories have it, and whether the product breaks down.
void add_cell(Verdict& v, const TrainedCell& c, const LawWithError& law, const Thresholds& thresholds) {
  const std::string key = key_word(c.label);
  const auto add = [&](const std::string& group, const char* what, const auto& value, const char* unit = "1") {
    add_finding(v, {group + "." + key, fmt::format("{} {}", what, c.label), unit}, value);
  };
  const auto mean = [&](double SizesOfModel::*number) {
    return mean_size(law, c.models, number, interval_options(thresholds));
  };
  add("fraction", "N_eff/N in training,", exponential(mean(&SizesOfModel::own)));
  if (c.sites.of.size() < 2) return;
  add("product", "product of the single sites' N_eff/N,", exponential(mean(&SizesOfModel::product)));
  add("interaction", "ln of N_eff over that product,", c.interaction, "ln");
  add("additive", "the same if rises of the loss add up,", c.additive, "ln");
  add("independent", "the same of independent noise,", c.independent, "ln");
  add("agrees.product", "not excluded (1) or excluded (0): a product of N_eff,", agrees(c.interaction, 0));
  add("agrees.additive", "not excluded (1) or excluded (0): rises that add up,", agrees(c.beyond_additive, 0));
  add("agrees.independent", "not excluded (1) or excluded (0): independent noise,", agrees(c.beyond_independent, 0));
  add("breaks_down", "breaks down", breaks_down(c, thresholds) ? 1 : holds(c, thresholds) ? 0 : NAN);
  if (const Interval third = mean(&SizesOfModel::third); std::isfinite(third.estimate))
    add("third_order", "interaction in ln N_eff that no pair explains,", third, "ln");
}

/// "W3A4 -0.09 (-0.14 to -0.04), …" of the cells that fulfil the condition; `count` grows by their number.
template <class Condition>
std::string list_of(const std::vector<TrainedCell>& cells, int& count, Condition&& condition) {
  std::string text;
  for (const TrainedCell& c : cells)
    if (condition(c))
      ++count, text += fmt::format("{}{} {}", text.empty() ? "" : ", ", c.label, in_words(c.interaction));
  return text;
}

/// The fewest bits from which on every cell lies within the band; NaN where there are none.
double holds_from(const std::vector<TrainedCell>& cells, const Thresholds& thresholds) {
  double most_broken = -INFINITY, from = INFINITY;
  for (const TrainedCell& c : cells)
    if (!holds(c, thresholds)) most_broken = std::max(most_broken, fewest_bits(c));
  for (const TrainedCell& c : cells)
    if (fewest_bits(c) > most_broken) from = std::min(from, fewest_bits(c));
  return std::isfinite(from) ? from : NAN;
}

/// Signs and the breakdown map of one set of sites, cells of too few trajectories included in the map alone.
void add_map(Verdict& v, const std::string& name, const std::vector<TrainedCell>& cells, const Thresholds& thresholds) {
  const std::string map = key_word(name);
  const auto add = [&](const char* key, const char* what, auto&& condition) {
    int count = 0;
    const std::string names = list_of(cells, count, condition);
    add_finding(v, {key + ("." + map), fmt::format("{} {}: {}", what, name, count > 0 ? names : "none")}, count);
  };
  add("below_product", "cells that leave less N_eff than the product,",
      [](const TrainedCell& c) { return c.decides && c.interaction.high < 0; });
  add("above_product", "cells that leave more N_eff than the product,",
      [](const TrainedCell& c) { return c.decides && c.interaction.low > 0; });
  add_finding(v, {"holds_from." + map, "fewest bits from which on N_eff is the product in training, " + name, "bits"},
              holds_from(cells, thresholds));
}

/// The equal bits of all sites lowered together that leave most N_eff per bit. Returns why there are none.
std::string add_joint_optimum(Verdict& v, const std::vector<TrainedCell>& joint, const LawWithError& law,
                              const Thresholds& thresholds) {
  std::map<std::vector<std::size_t>, std::vector<const TrainedCell*>> ladders;
  for (const TrainedCell& c : joint) {
    const auto is_equal = [&](std::size_t s) { return c.bits[s] == fewest_bits(c); };
    if (std::all_of(c.sites.of.begin(), c.sites.of.end(), is_equal)) ladders[c.sites.of].push_back(&c);
  }
  const std::vector<const TrainedCell*>* ladder = nullptr;
  for (const auto& [sites, cells] : ladders)
    if (cells.size() >= 3 && (ladder == nullptr || sites.size() > ladder->front()->sites.of.size())) ladder = &cells;
  if (ladder == nullptr) return "no sites were lowered together to three equal numbers of bits";
  Models models;
  for (const TrainedCell* c : *ladder) models.insert(models.end(), c->models.begin(), c->models.end());
  const auto optimum = [&](const TrainingLaw& of, const std::vector<std::size_t>& some) {
    std::map<double, std::pair<double, int>> sums;
    for (const std::size_t i : some) {
      auto& [sum, count] = sums[*std::min_element(models[i].bits.begin(), models[i].bits.end())];
      sum += std::exp(sizes_of(models[i], of).own), ++count;
    }
    std::map<double, double> curve;
    for (const auto& [bits, sum] : sums) curve[bits] = sum.first / sum.second;
    const double best = measured_optimum({curve});
    return best > curve.begin()->first ? best : NAN;  // at the fewest bits trained it is only a bound
  };
  const Interval best = interval_with_law(law, keys_of(models), optimum, interval_options(thresholds));
  const std::string name = ladder->front()->sites.name;
  if (!std::isfinite(best.estimate)) return "N_eff per bit still rises at the fewest bits trained, " + name;
  add_finding(
      v, {"joint_optimal_bits", "bits of most N_eff per bit, equal in all sites lowered together, " + name, "bits"},
      best);
  return "";
}

/// The cells in words: signs apart, and which theories they exclude.
std::string cells_in_words(const std::vector<TrainedCell>& judged, const TrainedCell& first) {
  int below = 0, above = 0;
  const std::string less = list_of(judged, below, [](const TrainedCell& c) { return c.interaction.high < 0; });
  const std::string more = list_of(judged, above, [](const TrainedCell& c) { return c.interaction.low > 0; });
  int product = 0, additive = 0, independent = 0;
  for (const TrainedCell& c : judged) {
    product += agrees(c.interaction, 0) == 0;
    additive += agrees(c.beyond_additive, 0) == 0;
    independent += agrees(c.beyond_independent, 0) == 0;
  }
  std::string text = fmt::format(
      "Of {} joint cells of training bits {} leave less effective size than the product of the single sites, and {} "
      "more.",
      judged.size(), below, above);
  if (below > 0) text += fmt::format(" Less, as ln of the ratio: {}.", less);
  if (above > 0) text += fmt::format(" More: {}.", more);
  text += fmt::format(
      " {} decides: {}; losses that add up in training would give {:.2g}. A product is excluded in {} cells, losses "
      "that add up in {}, independent noise in {}.",
      first.label, in_words(first.interaction), first.additive.estimate, product, additive, independent);
  return text;
}

/// Sets outcome, estimate and prose from the cells that decide.
/// expects at least one of them
void decide_cells(Verdict& v, const std::vector<TrainedCell>& judged, const Thresholds& thresholds) {
  TrainingCompositionEvidence evidence;
  for (const TrainedCell& c : judged) evidence.cells.push_back({c.interaction, c.additive});
  const TrainedCell& first = judged[deciding(evidence, thresholds)];
  v.estimate_label += ", " + first.label;
  set_estimate(v, first.interaction);
  decide(v, training_composition_rule(), evidence, thresholds);
  v.prose = cells_in_words(judged, first);
  const bool is_told = std::any_of(evidence.cells.begin(), evidence.cells.end(),
                                   [&](const JointCellEvidence& c) { return tells(c, thresholds); });
  add_control(v, Control::telling_cells, is_told);
  if (!is_told)
    v.prose += fmt::format(
        " In no cell would losses that add up in training leave ± {:g} for certain: agreement with the product would "
        "show nothing.",
        thresholds.q12_tolerance);
}

/// All cells with their findings; the joint ones by their sites.
std::map<std::string, std::vector<TrainedCell>> add_cells(Verdict& v, const Models& models, const LawWithError& law,
                                                          const Thresholds& thresholds) {
  std::map<std::string, std::vector<TrainedCell>> maps;
  const TrainedCell* fewest = nullptr;
  const std::vector<TrainedCell> cells = cells_of(models, law, thresholds);
  for (const TrainedCell& c : cells) {
    add_cell(v, c, law, thresholds);
    if (c.sites.of.size() < 2) continue;
    maps[c.sites.name].push_back(c);
    const auto sum = [](const Bits& b) { return b[0] + b[1] + b[2]; };
    if (c.sites.of.size() == 2 && (fewest == nullptr || sum(c.bits) < sum(fewest->bits))) fewest = &c;
  }
  for (const auto& [name, of_sites] : maps) add_map(v, name, of_sites, thresholds);
  if (fewest != nullptr)
    add_finding(v,
                {"beyond_additive.fewest",
                 "ln of N_eff over that of losses that add up, pair of fewest bits: " + fewest->label, "ln"},
                fewest->beyond_additive);
  return maps;
}

}  // namespace

Verdict judge_training_composition(const Table& table, const Thresholds& thresholds) {
  Verdict v =
      open_verdict("Q12", "Do weight, activation and KV precision compose independently in training?",
                   "in training, the effective size of sites lowered together is the product of that of each alone",
                   {"deciding", "ln of N_eff over the product of single sites in the joint cell that decides", "ln"},
                   training_composition_rule(), thresholds);
  UnpairedModels unpaired;
  const Models models = lowered_models(table.losses, thresholds, unpaired);
  add_finding(v, {"dropped.without_full", "lowered models dropped: no full precision of equal size, tokens and seed"},
              unpaired.without_full);
  add_finding(v, {"dropped.without_single", "joint models dropped: a site was not lowered alone"},
              unpaired.without_single);
  add_control(v, Control::full_precision_peers, !models.empty());
  const std::optional<LawWithError> law = known_size_law(v, table, thresholds);
  if (!law || models.empty()) {
    v.prose = models.empty() ? "Nothing can be said: no model was trained with a site at few bits beside its twin in "
                               "full precision."
                             : "Nothing can be said: the losses in full precision do not determine what a size is "
                               "worth; several model sizes and token counts are needed.";
    return v;
  }
  const auto maps = add_cells(v, models, *law, thresholds);
  std::vector<TrainedCell> joint, judged;
  Models rows;
  for (const auto& [name, cells] : maps) joint.insert(joint.end(), cells.begin(), cells.end());
  for (const TrainedCell& c : joint) {
    if (!c.decides) continue;
    judged.push_back(c);
    rows.insert(rows.end(), c.models.begin(), c.models.end());
  }
  v.n = static_cast<int>(rows.size());
  add_control(v, Control::joint_training, maps.contains("WxA"));
  add_control(v, Control::weights_with_cache, maps.contains("WxKV"));
  add_control(v, Control::activations_with_cache, maps.contains("AxKV"));
  add_control(v, Control::all_three_sites, maps.contains("WxAxKV"));
  add_control(v, Control::few_bits,
              std::any_of(judged.begin(), judged.end(), [](const TrainedCell& c) { return fewest_bits(c) <= 3; }));
  const std::string no_optimum = add_joint_optimum(v, joint, *law, thresholds);
  if (const int cells = count_cells(keys_of(rows)); judged.empty() || cells < thresholds.cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: of {} joint cells of training bits {} have {:g} trajectories from {:g} bits on, at {} "
        "places of size, tokens and bits of at least {:g}.",
        joint.size(), judged.size(), thresholds.trajectories_min, thresholds.q12_bits_min, cells, thresholds.cells_min);
    return v;
  }
  decide_cells(v, judged, thresholds);
  if (!no_optimum.empty()) v.prose += fmt::format(" Optimal joint bits are not known: {}.", no_optimum);
  return v;
}

}  // namespace hone::theory
