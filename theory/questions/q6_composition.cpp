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

/// Whether independence of these bits breaks down: 1 beyond the share, 0 within it, NaN undecided.
double breakdown(const Interval& interaction, double share) {
  if (is_outside(interaction, -share, share)) return 1;
  return is_inside(interaction, -share, share) ? 0 : NAN;
}

/// The combinations that enter an overall number: the fewest bits shrink weights, which is no rounding noise.
std::vector<Interaction> of_enough_bits(const std::vector<Interaction>& rows, const Thresholds& thresholds) {
  std::vector<Interaction> some;
  for (const Interaction& i : rows)
    if (*std::min_element(i.bits.begin(), i.bits.end()) >= thresholds.ptq_bits_min) some.push_back(i);
  return some;
}

/// Per combination of bits: the interaction, that of independent noise, and the breakdown. Returns the combinations
/// that break down.
std::string add_map(Verdict& v, const Sites& sites, const std::vector<Interaction>& rows,
                    const Thresholds& thresholds) {
  std::map<Bits, std::vector<Interaction>> cells;
  for (const Interaction& i : rows) cells[i.bits].push_back(i);
  std::string broken;
  for (const auto& [bits, some] : cells) {
    const std::string name = sites.label(bits);
    const Interval measured = interaction_interval(some, &Interaction::damage, thresholds);
    const double breaks = breakdown(measured, thresholds.q6_breakdown);
    const std::string key = key_word(name);
    add_finding(v, {"interaction." + key, "relative interaction " + name}, measured);
    add_finding(v, {"independent." + key, "predicted by (1+nu_w)(1+nu_a) " + name}, some.front().independent);
    add_finding(v, {"breaks_down." + key, "breaks down " + name}, breaks);
    if (breaks == 1) broken += fmt::format("{}{} {}", broken.empty() ? "" : ", ", name, in_words(measured));
  }
  return broken;
}

/// The interaction of given sites over all bits, measured and as three theories have it.
void add_overall(Verdict& v, const Sites& sites, const std::vector<Interaction>& rows, const Thresholds& thresholds) {
  if (rows.empty()) return;
  const auto add = [&](const char* key, const char* what, double Interaction::*number) {
    const Interval interval = interaction_interval(rows, number, thresholds);
    if (std::isfinite(interval.estimate))
      add_finding(v, {std::string(key) + "." + key_word(sites.name), fmt::format("{} {}", what, sites.name)}, interval);
  };
  add("overall", "relative interaction", &Interaction::damage);
  add("overall_size", "relative interaction in ln N_eff", &Interaction::size);
  add("overall_product", "interaction if N_eff multiplies", &Interaction::product);
  add("overall_independent", "interaction of independent noise", &Interaction::independent);
}

/// Which of the theories the sign of the W x A interaction speaks for.
std::string sign_in_words(const Interval& damage, const Interval& size) {
  std::string text = " Its sign is undecided";
  if (damage.low > 0) text = " It is super-additive, as independent noise in a linear map is";
  if (damage.high < 0) text = " It is sub-additive, as saturating coverage is and as Chen et al. measured (-0.094)";
  if (!std::isfinite(size.low)) return text + ".";
  const bool is_product = size.low <= 0 && size.high >= 0;
  return text + fmt::format("; in ln N_eff it is {}, {} a product of N_eff.", in_words(size),
                            is_product ? "compatible with" : "not");
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

}  // namespace

Verdict judge_composition(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q6", "Do weight and activation precision act independently?", "quantizing both costs the sum of quantizing each",
      {"interaction", "relative interaction of weights and activations"}, composition_rule(), thresholds);
  Dropped dropped, of_others;
  const std::optional<TrainingLaw> law = size_law(v, table, thresholds);
  const TrainingLaw* known = law ? &*law : nullptr;
  const auto all = interactions_of(table.factorial, weights_activations, known, thresholds, dropped);
  const auto rows = of_enough_bits(all, thresholds);
  v.n = static_cast<int>(rows.size());
  add_dropped(v, dropped);
  add_finding(v, {"dropped.unbalanced", "pairs dropped: one site dominates the sum"}, dropped.unbalanced);
  std::string broken = add_map(v, weights_activations, all, thresholds);
  add_overall(v, weights_activations, rows, thresholds);
  const std::pair<Sites, Control> other_sites[] = {{weights_cache, Control::weights_with_cache},
                                                   {activations_cache, Control::activations_with_cache},
                                                   {all_sites, Control::all_three_sites}};
  for (const auto& [sites, control] : other_sites) {
    const auto others = interactions_of(table.factorial, sites, known, thresholds, of_others);
    add_control(v, control, !others.empty());
    const std::string more = add_map(v, sites, others, thresholds);
    if (!more.empty()) broken += (broken.empty() ? "" : ", ") + more;
    add_overall(v, sites, of_enough_bits(others, thresholds), thresholds);
  }
  const bool has_three_bits =
      std::any_of(rows.begin(), rows.end(), [](const Interaction& i) { return i.bits[0] <= 3 || i.bits[1] <= 3; });
  add_control(v, Control::few_bits, has_three_bits);
  add_finding(v, {"published.chen", "published interaction: Chen et al., W4A4 in training"}, -0.094);
  const int cells = count_cells(keys_of(rows)), cells_min = static_cast<int>(thresholds.cells_min);
  if (cells < cells_min) {
    v.prose = fmt::format("Nothing can be said: {} interactions in {} cells, at least {} cells needed.", v.n, cells,
                          cells_min);
    return v;
  }
  const Interval relative = interaction_interval(rows, &Interaction::damage, thresholds);
  set_estimate(v, relative);
  decide(v, composition_rule(), relative, thresholds);
  v.prose = fmt::format(
      "The damage of both together differs from the sum of each by {} of that sum (positive: more "
      "than the sum), over {} checkpoint cells, where each site has at least {:g} of the sum.{}{}",
      in_words(relative), cells, thresholds.q6_balance,
      sign_in_words(relative, interaction_interval(rows, &Interaction::size, thresholds)),
      broken.empty() ? "" : fmt::format(" Beyond {:g} of the sum: {}.", thresholds.q6_breakdown, broken));
  return v;
}

}  // namespace hone::theory
