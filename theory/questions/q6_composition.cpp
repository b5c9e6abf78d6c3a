#include "theory/questions/q6_composition.hpp"

#include <algorithm>
#include <optional>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/loss_fit.hpp"
#include "theory/questions/q6_interactions.hpp"

namespace hone::theory {
namespace {

const Sites weights_activations{"WxA", {0, 1}}, weights_cache{"WxKV", {0, 2}}, activations_cache{"AxKV", {1, 2}},
    all_sites{"WxAxKV", {0, 1, 2}};

CombinationEvidence evidence_of(const Combination& c) { return {c.damage, c.independent}; }

/// Half-width within which nobody would notice that the damages do not add up: never less than independent noise gives.
double noticeable(const Combination& c, const Thresholds& thresholds) {
  return std::max(thresholds.q6_tolerance, band_of(evidence_of(c), thresholds));
}

bool holds(const Combination& c, const Thresholds& thresholds) {
  return is_inside(c.damage, -noticeable(c, thresholds), noticeable(c, thresholds));
}

bool breaks_down(const Combination& c, const Thresholds& thresholds) {
  return is_outside(c.damage, -noticeable(c, thresholds), noticeable(c, thresholds));
}

/// "W3A4 0.09 (0.04 to 0.14), W4A4 …" of the combinations that fulfil the condition; `count` grows by their number.
template <class Condition>
std::string list_of(const std::vector<Combination>& all, int& count, Condition&& condition) {
  std::string text;
  for (const Combination& c : all)
    if (condition(c)) ++count, text += fmt::format("{}{} {}", text.empty() ? "" : ", ", c.label, in_words(c.damage));
  return text;
}

/// A combination: measured, as three theories have it, and whether it breaks down.
void add_combination(Verdict& v, const Combination& c, const Thresholds& thresholds) {
  const std::string key = key_word(c.label);
  const auto add = [&](const char* group, const char* what, const auto& value) {
    add_finding(v, {group + ("." + key), fmt::format("{} {}", what, c.label)}, value);
  };
  add("interaction", "relative interaction", c.damage);
  add("independent", "predicted by (1+nu_w)(1+nu_a)", c.independent);
  add("product", "predicted by a product of N_eff", c.product);
  add("agrees.additive", "not excluded (1) or excluded (0): no interaction,", agrees(c.damage, 0));
  add("agrees.independent", "not excluded (1) or excluded (0): independent noise,", agrees(c.damage, c.independent));
  add("agrees.product", "not excluded (1) or excluded (0): a product of N_eff,",
      std::isfinite(c.product) ? agrees(c.beyond_product, 0) : NAN);
  const bool breaks = breaks_down(c, thresholds);
  add("breaks_down", "breaks down", breaks ? 1 : holds(c, thresholds) ? 0 : NAN);
}

/// The fewest bits from which on every measured combination adds up; NaN where there are none.
double holds_from(const std::vector<Combination>& all, const Sites& sites, const Thresholds& thresholds) {
  const auto fewest = [&](const Combination& c) {
    double bits = INFINITY;
    for (const std::size_t s : sites.of) bits = std::min(bits, c.bits[s]);
    return bits;
  };
  double most_broken = -INFINITY;
  for (const Combination& c : all)
    if (!holds(c, thresholds)) most_broken = std::max(most_broken, fewest(c));
  double from = INFINITY;
  for (const Combination& c : all)
    if (fewest(c) > most_broken) from = std::min(from, fewest(c));
  return std::isfinite(from) ? from : NAN;
}

/// Combinations that cost more, and less, than the sum: signs are counted apart, or they would cancel.
void add_signs(Verdict& v, const Sites& sites, const std::vector<Combination>& all, const Thresholds& thresholds) {
  const std::string map = key_word(sites.name);
  const auto add = [&](const char* key, const char* what, auto&& condition) {
    int count = 0;
    const std::string names = list_of(all, count, condition);
    add_finding(v, {key + ("." + map), fmt::format("{} {}: {}", what, sites.name, count > 0 ? names : "none")}, count);
  };
  const auto band = [&](const Combination& c) { return band_of(evidence_of(c), thresholds); };
  add("super_additive", "combinations that cost more than the sum,",
      [](const Combination& c) { return c.decides && c.damage.low > 0; });
  add("sub_additive", "combinations that cost less than the sum,",
      [](const Combination& c) { return c.decides && c.damage.high < 0; });
  add("above_band", "combinations that cost more than independent noise gives,",
      [&](const Combination& c) { return c.decides && c.damage.low > band(c); });
  add("below_band", "combinations that cost less by more than independent noise gives,",
      [&](const Combination& c) { return c.decides && c.damage.high < -band(c); });
}

/// The interval that reaches farthest from 0: where it lies within a range, all do.
void add_farthest(Verdict& v, const Sites& sites, const std::vector<Combination>& all) {
  const auto reach = [](const Combination& c) { return std::max(std::abs(c.damage.low), std::abs(c.damage.high)); };
  const Combination* farthest = nullptr;
  for (const Combination& c : all)
    if (c.decides && (farthest == nullptr || reach(c) > reach(*farthest))) farthest = &c;
  if (farthest != nullptr)
    add_finding(v,
                {"farthest." + key_word(sites.name),
                 fmt::format("interaction that reaches farthest from 0, {}: {}", sites.name, farthest->label)},
                farthest->damage);
}

/// The map of some sites: every combination of their bits, and where additivity ends. Returns those that break down.
std::string add_map(Verdict& v, const Sites& sites, const std::vector<Combination>& all, const Interactions& found,
                    const Thresholds& thresholds) {
  for (const Combination& c : all) add_combination(v, c, thresholds);
  for (const Combination& c : combinations_of(sites, found.dominated, thresholds)) {
    const std::string key = key_word(c.label), where = c.label + " (one site dominates)";
    add_finding(v, {"dominated." + key, "interaction relative to the smaller damage " + where}, c.damage);
    add_finding(v, {"dominated_independent." + key, "predicted by independent noise, likewise, " + where},
                c.independent);
  }
  for (const auto& [bits, count] : found.unbalanced)
    add_finding(v,
                {"unbalanced." + key_word(sites.label(bits)), "pairs in which one site dominates " + sites.label(bits)},
                count);
  if (all.empty()) return "";
  add_signs(v, sites, all, thresholds);
  add_farthest(v, sites, all);
  add_finding(
      v, {"holds_from." + key_word(sites.name), "fewest bits from which on the damages add up, " + sites.name, "bits"},
      holds_from(all, sites, thresholds));
  int count = 0;
  return list_of(all, count, [&](const Combination& c) { return breaks_down(c, thresholds); });
}

/// The mean over all combinations that decide, measured and as three theories have it. It hides signs and decides nothing.
void add_overall(Verdict& v, const Sites& sites, const std::vector<Combination>& all, const Thresholds& thresholds) {
  std::vector<Interaction> rows;
  for (const Combination& c : all)
    if (c.decides) rows.insert(rows.end(), c.rows.begin(), c.rows.end());
  const auto add = [&](const char* key, const char* what, double Interaction::*number) {
    const Interval interval = interaction_interval(rows, number, interval_options(thresholds));
    if (std::isfinite(interval.estimate))
      add_finding(v, {std::string(key) + "." + key_word(sites.name), fmt::format("{} {}", what, sites.name)}, interval);
  };
  add("overall", "mean relative interaction", &Interaction::damage);
  add("overall_size", "mean relative interaction in ln N_eff", &Interaction::size);
  add("overall_product", "mean interaction if N_eff multiplies", &Interaction::product);
  add("overall_independent", "mean interaction of independent noise", &Interaction::independent);
}

/// The fitted law of the losses, when it says what a size is worth.
std::optional<TrainingLaw> size_law(Verdict& v, const Table& table, const Thresholds& thresholds) {
  const FitSummary fit = fit_losses(table, thresholds);
  const bool is_known = determines_size(fit);
  add_control(v, Control::effective_size, is_known);
  if (!is_known) return std::nullopt;
  add_finding(v, {"loss_law.a", "A of the loss law", "nats"}, std::exp(fit.parameters[0]));
  add_finding(v, {"loss_law.alpha", "alpha of the loss law"}, fit.parameters[1]);
  return loss_law(fit);
}

/// The combinations of weights and activations in words, the signs apart.
std::string decision_in_words(const std::vector<Combination>& judged, const Combination& first,
                              const Thresholds& thresholds) {
  int more = 0, less = 0, beyond = 0;
  const std::string above = list_of(judged, more, [](const Combination& c) { return c.damage.low > 0; });
  const std::string below = list_of(judged, less, [](const Combination& c) { return c.damage.high < 0; });
  const std::string departed = list_of(judged, beyond, [&](const Combination& c) {
    const double band = band_of(evidence_of(c), thresholds);
    return is_outside(c.damage, -band, band);
  });
  std::string text = fmt::format(
      "Quantized after training, weights and activations together cost more than the sum of each alone in {} of {} "
      "combinations of bits, and less in {}.",
      more, judged.size(), less);
  if (more > 0) text += fmt::format(" More, as a share of the sum: {}.", above);
  if (less > 0) text += fmt::format(" Less: {}.", below);
  if (beyond > 0) text += fmt::format(" Beyond what independent noise gives: {}.", departed);
  text += fmt::format(" {} decides: its interaction is {}, that of independent noise {:.2g}.", first.label,
                      in_words(first.damage), first.independent);
  return text;
}

/// Sets outcome, estimate and prose from the combinations that decide.
/// expects at least one of them
void decide_composition(Verdict& v, const std::vector<Combination>& judged, const Thresholds& thresholds) {
  CompositionEvidence evidence;
  for (const Combination& c : judged) evidence.combinations.push_back(evidence_of(c));
  const Combination& first = judged[deciding(evidence, thresholds)];
  const double band = band_of(evidence_of(first), thresholds);
  v.estimate_label += ", " + first.label;
  v.bounds = {-band, band};
  set_estimate(v, first.damage);
  decide(v, composition_rule(), evidence, thresholds);
  v.prose = decision_in_words(judged, first, thresholds);
}

/// Where additivity ends for a user, and what was left out.
std::string map_in_words(const Verdict& v, const std::string& broken, const Dropped& dropped, std::size_t combinations,
                         const Thresholds& thresholds) {
  std::string text;
  const Finding* from = find_finding(v, "q6.holds_from.wxa");
  if (from && std::isfinite(from->estimate))
    text += fmt::format(" From {:g} bits on every interval lies within {:g} of the sum or its own band.",
                        from->estimate, thresholds.q6_tolerance);
  if (!broken.empty())
    text += fmt::format(" Beyond {:g} of the sum and their own band: {}.", thresholds.q6_tolerance, broken);
  if (dropped.unbalanced > 0)
    text += fmt::format(
        " In {} pairs at {} combinations the smaller damage has less than {:g} of the sum; they stand apart, relative "
        "to "
        "the smaller damage.",
        dropped.unbalanced, combinations, thresholds.q6_balance);
  return text;
}

}  // namespace

Verdict judge_composition(const Table& table, const Thresholds& thresholds) {
  Verdict v =
      open_verdict("Q6", "Do weight and activation precision act independently when both are quantized after training?",
                   "quantized after training, both cost the sum of each alone, to within what independent noise adds",
                   {"deciding", "relative interaction of weights and activations in the combination that decides"},
                   composition_rule(), thresholds);
  Dropped dropped, of_others;
  const std::optional<TrainingLaw> law = size_law(v, table, thresholds);
  const TrainingLaw* known = law ? &*law : nullptr;
  const Interactions found = interactions_of(table.factorial, weights_activations, known, thresholds, dropped);
  const std::vector<Combination> all = combinations_of(weights_activations, found.balanced, thresholds);
  std::vector<Combination> judged;
  std::vector<Interaction> rows;
  for (const Combination& c : all) {
    if (!c.decides) continue;
    judged.push_back(c);
    rows.insert(rows.end(), c.rows.begin(), c.rows.end());
  }
  v.n = static_cast<int>(rows.size());
  add_dropped(v, dropped);
  add_finding(v,
              {"dropped.unbalanced", "pairs of weights and activations that stand apart: one site dominates the sum"},
              dropped.unbalanced);
  std::string broken = add_map(v, weights_activations, all, found, thresholds);
  add_overall(v, weights_activations, all, thresholds);
  const std::pair<Sites, Control> other_sites[] = {{weights_cache, Control::weights_with_cache},
                                                   {activations_cache, Control::activations_with_cache},
                                                   {all_sites, Control::all_three_sites}};
  for (const auto& [sites, control] : other_sites) {
    const Interactions others = interactions_of(table.factorial, sites, known, thresholds, of_others);
    const std::vector<Combination> of_sites = combinations_of(sites, others.balanced, thresholds);
    add_control(v, control, !of_sites.empty());
    const std::string more = add_map(v, sites, of_sites, others, thresholds);
    if (!more.empty()) broken += (broken.empty() ? "" : ", ") + more;
    add_overall(v, sites, of_sites, thresholds);
  }
  add_control(v, Control::few_bits, std::any_of(judged.begin(), judged.end(), [](const Combination& c) {
                return c.bits[0] <= 3 || c.bits[1] <= 3;
              }));
  add_finding(v, {"published.chen", "published interaction: Chen et al., W4A4 in training"}, -0.094);
  if (const int cells = count_cells(keys_of(rows)); judged.empty() || cells < thresholds.cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: {} combinations of bits have {:g} trajectories, in {} cells of at least {:g}.",
        judged.size(), thresholds.trajectories_min, cells, thresholds.cells_min);
    return v;
  }
  decide_composition(v, judged, thresholds);
  v.prose += map_in_words(v, broken, dropped, found.unbalanced.size(), thresholds);
  return v;
}

}  // namespace hone::theory
