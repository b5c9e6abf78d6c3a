#include "theory/questions/controls.hpp"

#include <iterator>

namespace hone::theory {
namespace {

struct Words {
  Control control;
  std::string_view key, label;
};

constexpr Words words[] = {
    {Control::several_seeds, "several_seeds", "several seeds"},
    {Control::several_sizes, "several_sizes", "several model sizes"},
    {Control::tokens_apart_from_size, "tokens_apart_from_size", "N and D not collinear"},
    {Control::token_range, "token_range", "tokens span 1.5 decades"},
    {Control::saturating_rival, "saturating_rival", "saturating rival fitted to the same rows"},
    {Control::updates_apart, "updates_apart", "updates of the optimizer apart from tokens: several batch sizes"},
    {Control::larger_ratio, "larger_ratio", "extrapolation to larger D/N"},
    {Control::larger_size, "larger_size", "extrapolation to a larger model"},
    {Control::one_schedule, "one_schedule", "one schedule (constant learning rate trunk) for all rows"},
    {Control::one_rate, "one_rate", "one peak learning rate for all sizes"},
    {Control::shifted_windows, "shifted_windows", "damage on windows of another corpus"},
    {Control::tuned_branches, "tuned_branches", "branches tuned on other data"},
    {Control::other_data, "other_data", "the same question on other training data"},
    {Control::no_row_lost, "no_row_lost", "no row lost for its measured damage"},
    {Control::residual_exponent, "residual_exponent", "residual exponent of D at fixed prediction"},
    {Control::growth_split, "growth_split", "split of the growth into curvature, step, alignment and higher order"},
    {Control::mediators, "mediators", "competing mediators: tr H, lambda_max, weight norm, loss"},
    {Control::noise_top, "noise_top", "noise of equal energy in subspace top"},
    {Control::noise_random, "noise_random", "noise of equal energy in subspace random"},
    {Control::noise_complement, "noise_complement", "noise of equal energy in subspace complement"},
    {Control::noise_isotropic, "noise_isotropic", "noise of equal energy in subspace isotropic"},
    {Control::injection_spaces, "injection_spaces", "noise of equal predicted rise in four parts of the spectrum"},
    {Control::proportional_cooldowns, "proportional_cooldowns", "cooldowns of a length proportional to the tokens"},
    {Control::fixed_cooldowns, "fixed_cooldowns", "cooldowns of one length"},
    {Control::weight_averages, "weight_averages", "weight averages"},
    {Control::cosine_ends, "cosine_ends", "ends of cosine schedules"},
    {Control::other_rates, "other_rates", "other learning rates"},
    {Control::other_batches, "other_batches", "other batch sizes"},
    {Control::other_decay, "other_decay", "other weight decay"},
    {Control::rotation, "rotation", "rotation: same curvature, other steps"},
    {Control::rescaling, "rescaling", "rescaled weights: same function, other curvature"},
    {Control::flatter_minima, "flatter_minima", "curvature held down in training, at equal tokens"},
    {Control::trace_at_equal_tokens, "trace_at_equal_tokens", "trace at equal tokens"},
    {Control::effective_size, "effective_size", "N_eff from a Chinchilla law fitted to the losses of the main trunk"},
    {Control::weights_with_cache, "weights_with_cache", "interaction WxKV"},
    {Control::activations_with_cache, "activations_with_cache", "interaction AxKV"},
    {Control::all_three_sites, "all_three_sites", "interaction WxAxKV"},
    {Control::few_bits, "few_bits", "cells of 3 bits or fewer, where independence should fail"},
    {Control::joint_training, "joint_training", "weights and activations lowered together in training, and each alone"},
    {Control::telling_cells, "telling_cells", "joint cells in which losses that add up would leave the band"},
    {Control::three_widths, "three_widths", "three or more numbers of bits"},
    {Control::loss_exponents, "loss_exponents", "exponents of the losses as those of the damage (Capybara)"},
    {Control::fewer_bits, "fewer_bits", "extrapolation to fewer bits than were fitted"},
    {Control::more_bits, "more_bits", "extrapolation to more bits than were fitted"},
    {Control::late_forms, "late_forms", "the forms on the rows of the late regime alone"},
    {Control::several_precisions, "several_precisions", "several precisions of training"},
    {Control::several_low_sizes, "several_low_sizes", "low precision at several model sizes"},
    {Control::models_on_more_tokens, "models_on_more_tokens",
     "optimal bits of the same models at fewer and at more tokens"},
    {Control::weights_apart, "weights_apart", "bits of w apart from the other parts"},
    {Control::activations_apart, "activations_apart", "bits of a apart from the other parts"},
    {Control::cache_apart, "cache_apart", "bits of kv apart from the other parts"},
    {Control::growing_budgets, "growing_budgets", "refits to growing budgets"},
    {Control::information_scale, "information_scale", "scale derived from the information in the codes"},
    {Control::full_precision_peers, "full_precision_peers",
     "losses beside full precision at equal size, tokens and seed"},
    {Control::other_windows, "other_windows", "curvature on windows other than those of the damage"},
    {Control::scheme_kinds, "scheme_kinds", "schemes by error feedback (gptq), by scales (awq) and by rotation"},
    {Control::equal_budget, "equal_budget", "guided and uniform bits within a tenth of a bit per weight"},
    {Control::extreme_bits, "extreme_bits", "weights trained at one and at log2(3) bits"},
    {Control::other_procedures, "other_procedures", "other procedures of training at few bits than straight-through"},
    {Control::other_style, "other_style", "models in the style of GPT-2 beside those in the style of Llama"},
    {Control::other_heads, "other_heads", "another number of heads at equal size"},
    {Control::other_mlp_width, "other_mlp_width", "another share of the MLPs at equal size"},
    {Control::other_depth, "other_depth", "another depth at equal size"},
    {Control::equal_active_size, "equal_active_size", "dense models as large as the parameters that a token passes"},
    {Control::equal_total_size, "equal_total_size", "dense models as large as all experts together"},
    {Control::expert_loads, "expert_loads", "damage of each expert alone, with its load"},
    {Control::experts_at_few_bits, "experts_at_few_bits", "models with experts and dense ones trained at few bits"},
    {Control::long_context, "long_context", "a quantized cache at sixteen training windows"},
    {Control::copy_distances, "copy_distances", "copies of tokens over several distances"},
    {Control::reversed_bits, "reversed_bits", "the same widths in the opposite order"},
    {Control::token_score, "token_score", "widths chosen by the surprise of each token"},
    {Control::several_tasks, "several_tasks", "several tasks"},
    {Control::answers_shifted, "answers_shifted", "damage on text of another corpus beside the tasks"},
    {Control::tuned_few_and_many, "tuned_few_and_many",
     "branches of one checkpoint tuned on few and on many tokens of one text"},
    {Control::eight_bits, "eight_bits", "damage at 8 bits at few and at many tokens"},
    {Control::other_roundings, "other_roundings", "other modes of rounding at the same checkpoints"},
};

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < std::size(words); ++i)
    if (static_cast<std::size_t>(words[i].control) != i) return false;
  return std::size(words) == static_cast<std::size_t>(Control::count);
}
static_assert(is_in_order(), "the table of controls follows the enum");

}  // namespace

std::string_view key_of(Control control) { return words[static_cast<std::size_t>(control)].key; }

std::string_view label_of(Control control) { return words[static_cast<std::size_t>(control)].label; }

const std::vector<Control>& all_controls() {
  static const std::vector<Control> all = [] {
    std::vector<Control> list;
    for (const Words& w : words) list.push_back(w.control);
    return list;
  }();
  return all;
}

}  // namespace hone::theory
